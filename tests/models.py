"""Models for tests: small, quick, and together covering every way a model can be made."""

import equinox as eqx
import jax
import jax.numpy as jnp

import elbax
from elbax.distributions import Bernoulli, DiagonalNormal
from elbax.models import Generative, Inference


class TwoLayerGenerative(elbax.AbstractGenerative):
    """A user's own: p(z2) p(z1 | z2) p(x | z1), nonlinear, with a scale that depends on z2."""

    down: eqx.nn.Linear
    out: eqx.nn.Linear

    def _conditional(self, z2):
        raw = self.down(jnp.tanh(z2))
        return DiagonalNormal(raw[:3], 0.3 + jax.nn.softplus(raw[3:]))

    def log_prior(self, z):
        z1, z2 = z
        prior = DiagonalNormal(jnp.zeros(2), jnp.ones(2))
        return prior.log_prob(z2) + self._conditional(z2).log_prob(z1)

    def log_prob(self, x, z):
        return self.log_prior(z) + Bernoulli(self.out(jnp.tanh(z[0]))).log_prob(x)

    def follow_prior(self, z):
        z1, z2 = jax.lax.stop_gradient(z)
        return self._conditional(z2).follow(z1), z2

    def sample_prior(self, key):
        key1, key2 = jax.random.split(key)
        z2 = jax.random.normal(key2, (2,))
        return self._conditional(z2).sample(key1), z2

    def mean(self, z):
        return jax.nn.sigmoid(self.out(jnp.tanh(z[0])))


class TwoLayerInference(elbax.AbstractInference):
    """q(z1 | x) q(z2 | z1); the variance of z2 depends on z1, which biases careless DReG."""

    first: eqx.nn.Linear
    second: eqx.nn.Linear

    def encode(self, x):
        raw = self.first(x)
        return DiagonalNormal(raw[:3], 0.3 + jax.nn.softplus(raw[3:]))

    def _conditional(self, z1):
        raw = self.second(jnp.tanh(z1))
        return DiagonalNormal(raw[:2], 0.3 + jax.nn.softplus(raw[2:]))

    def sample(self, context, key):
        key1, key2 = jax.random.split(key)
        z1 = context.sample(key1)
        return z1, self._conditional(z1).sample(key2)

    def log_prob(self, context, z):
        z1, z2 = z
        return context.log_prob(z1) + self._conditional(z1).log_prob(z2)

    def mean(self, context):
        return context.loc, self._conditional(context.loc).loc


def two_layer():
    keys = jax.random.split(jax.random.key(3), 4)
    return elbax.Model(
        TwoLayerGenerative(eqx.nn.Linear(2, 6, key=keys[0]), eqx.nn.Linear(3, 4, key=keys[1])),
        TwoLayerInference(eqx.nn.Linear(4, 6, key=keys[2]), eqx.nn.Linear(3, 4, key=keys[3])),
    )


def own_networks():
    """A user's own Equinox networks in the one-layer model; the page on own networks has them."""
    encoder_key, decoder_key = jax.random.split(jax.random.key(4))
    encoder = eqx.nn.MLP(4, 4, 8, 1, key=encoder_key)
    decoder = eqx.nn.MLP(2, 4, 8, 1, key=decoder_key)

    class Encoder(eqx.Module):
        network: eqx.nn.MLP

        def __call__(self, x):
            raw = self.network(x)
            return DiagonalNormal(raw[:2], jnp.exp(raw[2:]))

    class Decoder(eqx.Module):
        network: eqx.nn.MLP

        def __call__(self, z):
            return Bernoulli(self.network(z))

    return elbax.Model(Generative(Decoder(decoder), 2, (4,)), Inference(Encoder(encoder)))


def _one_layer(**options):
    config = elbax.ModelConfig(hidden=(5,), latents=2, **options)
    return elbax.one_layer((4,), config, key=jax.random.key(1))


def hierarchical(latents, **options):
    """The library's own layers: `latents` per layer."""
    config = elbax.ModelConfig(hidden=(3,), hidden_above=(3,), latents=latents, **options)
    return elbax.hierarchical((4,), config, key=jax.random.key(6))


# Every model takes data of shape [B, 4] with values 0 or 1.
MODELS = {
    "linear-gaussian": lambda: elbax.linear_gaussian(4, 2, key=jax.random.key(2), offset=0.3),
    "bernoulli-exp": _one_layer,
    "gaussian-softplus": lambda: _one_layer(likelihood="gaussian", scale="softplus"),
    "two-layer": two_layer,
    "own-networks": own_networks,
    "hierarchical": lambda: hierarchical((3, 2)),
    "sbn": lambda: hierarchical((2, 2), latent="bernoulli"),
    "categorical": lambda: hierarchical((1, 1), latent="categorical", categories=3),
}


DISCRETE = ("sbn", "categorical")


def binary_data(num_data: int = 3):
    """Some data for the models above, `[B, 4]`."""
    return jax.random.bernoulli(jax.random.key(9), 0.5, (num_data, 4)).astype(float)
