"""Tests that hold the shape of the code: who may import whom, what is pure, and that importing does nothing."""
