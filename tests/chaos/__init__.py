"""Faults on the real thing: real processes, a real broker and real databases, and an independent check of I1 to I9 after each round."""
