"""Fitting: solving, resampling, validation."""
