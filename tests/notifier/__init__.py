"""The notifier's tests."""
