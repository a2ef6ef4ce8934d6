"""What does each campaign look like now, told to whoever reads `campaign-state`?"""
