"""Folds the log into the read model, exactly once in effect, and tells `campaign-state` what changed."""
