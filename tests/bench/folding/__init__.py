"""How much log can be folded with one second of CPU: ours, its rivals and the bare clients, side by side."""
