"""Runs on resamples of the data: each its own, the same in every epoch."""

import jax.numpy as jnp
import numpy as np

import elbax
from elbax.training.setup import new_fleet


def orders(bootstrap: bool):
    config = elbax.TrainConfig(epochs=3, batch_size=50, bootstrap=bootstrap)
    data = np.random.default_rng(0).random((1000, 3)).astype(np.float32)
    model = elbax.ModelConfig(hidden=(2,), latents=1)
    _, fleet, _ = new_fleet("vae(m=1)", data, model=model, config=config, seeds=(0, 1))
    images = jnp.asarray(data)
    return [
        [
            np.asarray(fleet.program.order(state._replace(step=jnp.asarray(20 * epoch)), images))
            for epoch in range(2)
        ]
        for state in fleet.states
    ]


def test_a_resample_is_that_of_the_seed_in_every_epoch():
    (first, second), (other, _) = orders(bootstrap=True)
    assert (first != second).any()
    np.testing.assert_array_equal(np.sort(first), np.sort(second))
    assert (np.sort(first) != np.sort(other)).any()
    # Of 1000 rows 1 - 1 / e are drawn at least once: sd of the number is about 9.5.
    assert abs(len(set(first.tolist())) - 1000 * (1 - np.exp(-1))) < 45


def test_without_one_every_row_comes_once():
    for run in orders(bootstrap=False):
        for order in run:
            assert sorted(order.tolist()) == list(range(1000))
