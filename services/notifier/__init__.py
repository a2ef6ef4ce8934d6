"""The notifier: tells customers' servers what became of their campaigns and contacts."""
