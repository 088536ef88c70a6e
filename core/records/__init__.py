"""Frozen values the engine passes around, and their form as plain data."""
