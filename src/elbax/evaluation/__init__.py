"""Evaluation: held-out likelihood, what the posterior does, images."""
