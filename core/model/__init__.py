"""What one decoder is and what is asked of it: shapes, workloads, runtimes; arithmetic alone."""
