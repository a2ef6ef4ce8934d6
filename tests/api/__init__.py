"""The API: over HTTP on the real decider and real databases, in one process; and as processes on a real Kafka."""
