"""What Ringfold costs: the same work side by side with its rivals and with the bare client, on one real broker, in one run."""
