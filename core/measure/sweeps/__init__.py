"""What to measure and in which order, on one device, several, or a cluster."""
