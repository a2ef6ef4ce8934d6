"""Tests of the plumbing that the services share."""
