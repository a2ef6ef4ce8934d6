"""Speaks HTTP: takes commands, answers from the read model, receives the providers' callbacks."""
