"""The window. It lays out and draws; it does no arithmetic on measurements."""
