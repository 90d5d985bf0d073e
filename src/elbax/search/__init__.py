"""Searching for good settings: trials asked of Optuna, trained in fleets, told on a page."""
