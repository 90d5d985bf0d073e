"""Trained runs on disk, and what is found about them."""
