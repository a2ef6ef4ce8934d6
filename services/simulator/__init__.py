"""Plays a provider and the phone network behind it: takes calls over HTTP, lets time pass, calls back."""
