"""Results measured by other tools."""
