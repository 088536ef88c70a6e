"""The measuring process: its two ends, its messages, points timed alone or interleaved."""
