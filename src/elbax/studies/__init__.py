"""Studies of papers: what they claim, what they train, where it is kept, what came of it."""
