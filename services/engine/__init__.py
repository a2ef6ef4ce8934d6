"""The engine: the only writer of the facts, one partition at a time."""
