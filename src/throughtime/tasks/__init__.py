"""The stories: one task from the user's files to predictions, from top to bottom."""
