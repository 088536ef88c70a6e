"""This program's own files, each written and read back: tables of candidates, training plans, raw measurements."""
