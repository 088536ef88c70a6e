"""The inference-aware paper: its fits reproduced, its method of selection, its solver."""
