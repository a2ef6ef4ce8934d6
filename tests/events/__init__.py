"""Tests of the language of the log."""
