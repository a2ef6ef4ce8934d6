"""Takes queued calls, claims them through the log, places each at most once at a provider, and reports what became of it."""
