"""The contestants beside ours, each a program of its own, written as its documentation would have it; they use no code of the services."""
