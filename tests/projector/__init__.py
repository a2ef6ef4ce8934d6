"""The projector as a process on real Kafka."""
