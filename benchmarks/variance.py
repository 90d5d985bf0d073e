"""Variance of each gradient rule's inference gradient, beside the reparameterized one of IWAE.

    python benchmarks/variance.py                    # a half-trained model of real MNIST
    python benchmarks/variance.py --model sbn        # discrete latents, beside VIMCO
    python benchmarks/variance.py --data digits --k 16 --draws 200    # quick

Trains a model a little, takes one minibatch, draws gradients of IWAE(k) by every rule from the
same keys, and prints the trace of their covariance relative to the reference rule's, the relative
noise E|g - E g|^2 / |E g|^2, and how far the mean is from the reference's in its standard errors.
"""

import argparse

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import elbax
from elbax.models.config import PRESETS
from elbax.objectives import Needs
from elbax.rules import Context
from elbax.training.adaptive import initial_adaptive

RULES = (
    *("reparam", "stl", "dreg", "wake-dreg"),
    *("vimco", "vimco-centered", "vimco-geometric", "ovis:0", "ovis:0.5", "ovis"),
    *(
        "nvil",
        "score",
        "wake",
    ),
)


def main():
    options = parsed()
    data = elbax.load_data(options.data)
    discrete = PRESETS[options.model].latent != "normal"
    reference = "vimco" if discrete else "reparam"
    rules = [rule for rule in RULES if not discrete or not needs_path(rule)]
    trained = elbax.fit(
        f"iwae(k={options.k}, gradient={reference})",
        data,
        model=PRESETS[options.model],
        config=elbax.TrainConfig(epochs=options.epochs, schedule="constant"),
    )
    model, images = trained.models[0], jnp.asarray(data.evaluation_split("train", 0)[:2000])
    x = images[:20]
    context = learned_context(model, images, x, options.k)
    keys = jax.random.split(jax.random.key(1), options.draws)
    found = {rule: moments(rule, model, x, context, keys, options.k) for rule in rules}

    mean, variance = found[reference]
    error = np.sqrt(variance / options.draws)
    print(
        f"{options.data}, {options.model}, {options.epochs} epochs of IWAE({options.k}) "
        f"{reference}; {options.draws} draws of one minibatch of 20\n"
    )
    print("| rule | variance | relative noise | distance of the mean |\n|---|---|---|---|")
    for rule, (own_mean, own_variance) in found.items():
        spread = np.sqrt(own_variance / options.draws)
        both = np.hypot(spread, error)
        distance = np.sqrt(np.mean(((own_mean - mean) / np.where(both > 0, both, 1)) ** 2))
        # The square of the mean, less what its own variance adds to it.
        square = (own_mean**2).sum() - (own_variance / options.draws).sum()
        noise = own_variance.sum() / square if square > 0 else float("inf")
        print(
            f"| `{rule}` | {own_variance.sum() / variance.sum():.3g} | {noise:.3g} "
            f"| {distance:.2f} |"
        )


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--model", default="reference", choices=PRESETS)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--k", type=int, default=64)
    parser.add_argument("--draws", type=int, default=500)
    return parser.parse_args()


def needs_path(rule):
    return elbax.rules.rule_named(rule).needs_path


def learned_context(model, images, x, k, num_steps=400):
    """NVIL's baseline after some steps on a model that stands still."""
    objective = elbax.iwae(k, gradient="nvil")
    adaptive = initial_adaptive(
        objective, Needs(baseline=True), (), images[0].size, jax.random.key(2)
    )

    @eqx.filter_jit
    def step(baseline, key):
        rows = images[jax.random.choice(key, len(images), (20,), replace=False)]
        (_, info), _ = elbax.value_and_grad(objective)(model, rows, key=key)
        return baseline.updated(rows, info.signal, info.finite)

    baseline = adaptive.baseline
    for key in jax.random.split(jax.random.key(3), num_steps):
        baseline = step(baseline, key)
    return baseline.context(x)._replace(scale=1.0)  # variances are compared at one scale


def moments(rule, model, x, context, keys, k):
    """Mean and variance of every inference parameter's gradient, streamed."""
    objective = elbax.iwae(k, gradient=rule)
    used = context if rule == "nvil" else Context()

    @eqx.filter_jit
    def one(model, key):
        _, gradients = elbax.value_and_grad(objective)(model, x, key=key, context=used)
        return ravel_pytree(eqx.filter(gradients.inference, eqx.is_array))[0]

    mean = square = 0.0
    for count, key in enumerate(keys, start=1):
        gradient = np.asarray(one(model, key), np.float64)
        change = gradient - mean
        mean = mean + change / count
        square = square + change * (gradient - mean)
    return mean, square / (len(keys) - 1)


if __name__ == "__main__":
    main()
