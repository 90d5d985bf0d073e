"""Activations by name, free of JAX."""

ACTIVATIONS = ("tanh", "relu", "leaky-relu", "elu", "gelu", "softplus")
"""The names that `elbax.nn.Activation` and `ModelConfig.activation` take."""
