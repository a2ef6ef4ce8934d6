"""What runs Ringfold on one machine: the local broker, and the stack of all its processes."""
