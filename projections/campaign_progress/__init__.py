"""How far is each campaign, and what became of each of its calls?"""
