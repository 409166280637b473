"""What each command does: turns flags into a task's arguments, and its results into text or JSON."""

STANDARD_INPUT = "(standard input)"
"""What stands for a bare hyphen among the arguments that a command is given."""
