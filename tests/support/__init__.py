"""What the tests share: a broker, databases, a clock that is moved by hand, and waiting with a deadline."""
