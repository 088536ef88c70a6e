"""Panels around the plot, one file each."""
