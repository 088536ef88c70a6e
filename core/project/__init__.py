"""The project file and what the user picks in it."""
