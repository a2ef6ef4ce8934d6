"""The machine-readable documents of what Ringfold takes and writes, made from the models and checked in."""
