"""What the API asks of the read model: plain rows, each read in a short transaction."""
