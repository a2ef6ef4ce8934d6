"""Keeps the rows of the projections in SQL, exactly once in effect."""
