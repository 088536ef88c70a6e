"""Configurations of decoders that training and serving tools read and write."""
