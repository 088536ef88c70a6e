"""One owner of what is shown, and long work off the window's thread."""
