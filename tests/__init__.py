"""Tests of Ringfold, arranged by what they hold."""
