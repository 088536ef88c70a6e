"""Results that other tools measured."""
