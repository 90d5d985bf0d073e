"""Training: configuration, state, step, fleet, folder, and `fit`, which ties them together."""
