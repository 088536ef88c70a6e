"""Dominance: limits, fronts, the chance to be on one, what a front is worth."""
