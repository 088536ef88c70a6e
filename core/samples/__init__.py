"""From raw samples to numbers: medians, percentiles, intervals, correction of drift."""
