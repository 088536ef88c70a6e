"""The report and the help pages."""
