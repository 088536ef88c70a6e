"""Configurations of decoders, as training and serving tools read and write them."""
