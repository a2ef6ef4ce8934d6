"""The contract in words, and which tests hold each of its rules."""
