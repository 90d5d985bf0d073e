"""Activations and initializations by name, free of JAX."""

ACTIVATIONS = ("tanh", "relu", "leaky-relu", "elu", "gelu", "softplus")
"""The names that `elbax.nn.Activation` and `ModelConfig.activation` take."""
INITIALIZATIONS = ("glorot", "fan-in")
"""The names that `elbax.nn.Linear` and `ModelConfig.initialization` take."""
