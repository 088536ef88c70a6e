"""Decoder shapes, workloads and runtimes, by arithmetic alone."""
