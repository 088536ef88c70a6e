"""Measuring on this machine: timed decoders, the protocol, the sweep and its child process."""
