"""The Pareto plot, in layers."""
