"""File formats, one module each; every reader and writer is a plain function."""
