"""Clocks, the protocol, energy, memory, the machine and its state."""
