"""What comes from outside, made up by hypothesis: nothing of it raises what is not declared, and no URL leads inside."""
