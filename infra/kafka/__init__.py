"""A real Apache Kafka for one machine: one KRaft node from the official jars, on loopback."""
