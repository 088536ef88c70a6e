"""The program around the window: start, settings, logs, crashes, fonts, colours."""
