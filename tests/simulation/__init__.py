"""The real services' logic in one process, on a seeded clock, log, store, provider and network that fail as the seed says."""
