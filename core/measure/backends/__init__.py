"""Ways of running a model so that it can be timed or scored."""
