"""The inference-aware paper: its fits reproduced, its selection, its solver."""
