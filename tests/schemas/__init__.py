"""Tests of the machine-readable documents: that they are current, compatible, true of the samples and of the API's answers."""
