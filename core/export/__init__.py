"""Exports: configurations, selections, tables, raw measurements."""
