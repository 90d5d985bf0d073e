"""Epochs chosen by rows left out: few where a network can learn rows by heart, many where not."""

from dataclasses import replace

import numpy as np
import pytest

import elbax
from elbax.runs import epochs as room
from elbax.runs.epochs import chosen_epochs

CONFIG = elbax.TrainConfig(epochs=300, batch_size=20, learning_rate=5e-3)


def chosen(x, hidden, **options):
    table = elbax.table_of(x, types={f"x{i}": "gaussian" for i in range(x.shape[1])})
    model = elbax.ModelConfig(hidden=hidden, latents=2)
    arguments = {"model": model, "config": CONFIG, "seed": 0} | options
    return chosen_epochs("iwae(k=5)", table, **arguments)


def noise(rows):
    return np.random.default_rng(0).normal(size=(rows, 6))


def line(rows):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(rows, 1))
    return z * np.linspace(1, 2, 6) + 0.1 * rng.normal(size=(rows, 6))


def test_noise_learned_by_heart_is_trained_for_few_epochs_and_structure_for_many():
    """Of independent columns nothing is left to learn after their means and variances."""
    few, many = chosen(noise(80), (64, 64)), chosen(line(80), ())
    assert few <= 8
    assert many >= 16


def test_training_ends_once_it_has_only_lost(monkeypatch):
    seen = []

    def counted(*arguments, **options):
        result = room.fit(*arguments, **options)
        seen.append((result.finished, result.epochs, len(arguments[1])))
        return result

    chosen(noise(80), (64, 64), train=counted)
    [(finished, epoch, rows)] = seen
    assert not finished
    assert epoch < CONFIG.epochs
    assert rows == 80 - 80 // 3


def test_the_first_look_within_an_error_of_the_best_is_taken():
    looks = room._Looks(elbax.table_of(noise(50)), 8, 0)
    rng = np.random.default_rng(0)
    base = rng.normal(size=50)
    error = 0.3 / 50**0.5
    for epoch, lost in {1: 5.0, 2: 1.5, 4: 0.5, 8: 0.0}.items():
        wiggle = rng.normal(size=50)
        wiggle = (wiggle - wiggle.mean()) / wiggle.std(ddof=1) * 0.3
        looks.found[epoch] = base - lost * error - (epoch != 8) * wiggle
    assert (looks.best, looks.first_of_the_best()) == (8, 4)


def test_tables_of_few_rows_have_none_to_leave_out():
    never = pytest.fail
    assert chosen(noise(19), (4,), config=replace(CONFIG, epochs=7), train=never) == 7


def test_a_training_that_diverges_at_once_is_left_to_the_one_to_come():
    config = replace(CONFIG, epochs=3, learning_rate=1e30)
    assert chosen(noise(40), (8,), config=config) == 3
