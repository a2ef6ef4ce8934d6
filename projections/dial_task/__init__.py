"""What a dialer must know to place a call."""
