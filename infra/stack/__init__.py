"""All processes of Ringfold on one machine: started, watched, restarted and stopped together."""
