"""One row per candidate, one column per metric, each value with its source and interval."""
