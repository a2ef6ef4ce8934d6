"""The whole stack as real processes: what a user sees from outside."""
