"""Dominance: limits, fronts, the chance to be on a front, its hypervolume."""
