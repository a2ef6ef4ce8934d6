"""Tests of the simulated phone network."""
