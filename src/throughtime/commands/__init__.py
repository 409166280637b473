"""What each command does: turns flags into a task's arguments, and its results into text or JSON."""
