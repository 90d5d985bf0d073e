"""Models: the interface, networks, one stochastic layer, and the linear-Gaussian oracle."""
