"""Spaces of shapes and the candidates in them, as columns."""
