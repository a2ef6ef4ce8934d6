"""What the tests of the official Node SDK need: its lock, a script that drives it, and how scripts are run."""
