"""Models of a few bits, where a sum over all latents takes the place of draws."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import elbax
from elbax.rules import Context

DISCRETE = {
    "bernoulli": dict(latents=(2, 2), latent="bernoulli", hidden=(3,)),
    "categorical": dict(latents=(1, 1), latent="categorical", categories=3, hidden=()),
}


def discrete_model(kind):
    config = elbax.ModelConfig(**DISCRETE[kind])
    model = elbax.hierarchical((4,), config, key=jax.random.key(31))
    moved = jax.random.normal(jax.random.key(32), (1000,))
    flat, unravel = ravel_pytree(model)
    return jax.tree.map(lambda a: a.astype(jnp.float64), unravel(flat + 0.5 * moved[: flat.size]))


def every_latent(kind):
    """Every value of (z1, z2), stacked."""
    options = DISCRETE[kind]
    if kind == "bernoulli":
        layer = [np.array(bits) for bits in itertools.product([0.0, 1.0], repeat=2)]
    else:
        layer = list(np.eye(options["categories"])[:, None])
    pairs = list(itertools.product(layer, layer))
    return tuple(jnp.array([pair[i] for pair in pairs]) for i in range(2))


def expectations(model, x, z, bound, kl_weight, rules):
    """The true gradients (theta, phi) of E[G], and each rule's expected gradient, summed over x.

    All pairs of latent values take the place of draws.
    """
    num = len(z[0])
    pairs = jnp.array(list(itertools.product(range(num), repeat=2))).T

    def log_probs(model):
        context = jax.vmap(model.inference.encode)(x)
        joint = jax.vmap(jax.vmap(model.generative.log_prob, (None, 0)), (0, None))
        posterior = jax.vmap(jax.vmap(model.inference.log_prob, (None, 0)), (0, None))
        prior = jax.vmap(model.generative.log_prior)(z)
        return joint(x, z), posterior(context, z), prior

    def of_pairs(values):
        return values[:, pairs]  # [B, 2, pairs]

    def log_w(model):
        log_p, log_q, log_prior = log_probs(model)
        annealed = log_p + (kl_weight - 1) * log_prior - kl_weight * log_q
        return of_pairs(annealed), of_pairs(log_q)

    def flatten(values):
        return jnp.moveaxis(values, 1, 0).reshape(2, -1)  # [2, B * pairs]

    def expected(model):
        weights, log_q = log_w(model)
        return jnp.sum(jnp.exp(flatten(log_q).sum(0)) * bound(flatten(weights)))

    def moving(model):
        log_p, log_q, log_prior = log_probs(model)
        joint = of_pairs(log_p + (kl_weight - 1) * log_prior)
        return flatten(joint), flatten(of_pairs(log_q))

    weights, log_q = (flatten(values) for values in log_w(model))
    chance = jnp.exp(log_q.sum(0))
    g, _ = bound.derivatives(weights)
    context = Context(kl_weight=kl_weight, baseline=0.3)
    scores = jnp.stack([rule(bound, weights, context).score for rule in rules])
    _, pull = jax.vjp(moving, model)

    def estimated(score):
        return ravel_pytree(pull((chance * g, chance * score))[0])[0]

    truth = ravel_pytree(jax.grad(expected)(model))[0]
    return truth, jax.vmap(estimated)(scores)


def sleep_gradient(model, z):
    """The gradient for phi of E_p(x, z) log q(z | x), over every x and z."""
    x = jnp.array(list(itertools.product([0.0, 1.0], repeat=4)))
    joint = jax.vmap(jax.vmap(model.generative.log_prob, (None, 0)), (0, None))(x, z)

    def value(inference):
        context = jax.vmap(inference.encode)(x)
        log_q = jax.vmap(jax.vmap(inference.log_prob, (None, 0)), (0, None))(context, z)
        return jnp.sum(jnp.exp(joint) * log_q)

    return ravel_pytree(jax.grad(value)(model.inference))[0]
