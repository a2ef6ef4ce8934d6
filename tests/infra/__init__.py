"""Tests of what runs Ringfold on one machine."""
