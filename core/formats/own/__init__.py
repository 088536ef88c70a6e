"""This program's own files, written and read: tables of candidates, training plans, measurements."""
