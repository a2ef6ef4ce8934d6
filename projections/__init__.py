"""The questions that are answered from the log: one folder of pure folds per question, and the store that keeps their rows."""
