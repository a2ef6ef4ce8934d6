"""What the engine starts a partition from."""
