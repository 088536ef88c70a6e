"""What leaves the program: configurations, selections, tables, raw measurements."""
