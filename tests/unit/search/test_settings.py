"""A point is what is trained, and the command says the same."""

import shlex

import pytest

import elbax
from elbax.cli.parse import parse
from elbax.cli.train import _method, chosen_model
from elbax.search.fleets import grouped
from elbax.search.settings import Setting, command_of
from elbax.spelling import describe
from elbax.spelling import parse as parsed

BASE = Setting("iwae(k=8)", elbax.ModelConfig(), elbax.TrainConfig(epochs=7))
POINTS = [
    {"learning_rate": 0.00312},
    {"k": 4, "gradient": "dreg", "warmup": 2.5, "hidden": "100x50", "latents": "20"},
    {"latents": "20x10", "hidden_above": "50", "activation": "relu", "scale": "softplus"},
    {"batch_size": 10, "clip_norm": 0.5, "schedule": "burda", "adam_b1": 0.8, "adam_eps": 1e-5},
]


@pytest.mark.parametrize("point", POINTS)
def test_the_command_trains_the_setting(point):
    setting = BASE.at(point)
    request = {"name_or_path": "a b.npy", "seed": 3, "levels": 16.0}
    text = command_of(setting, (0, 4), request, data_dir="d", binarise="fixed", out="o")
    assert all(len(line) <= 80 for line in text.splitlines())
    options = parse(shlex.split(text.replace("\\\n", " "))[1:])
    assert describe(parsed(_method(options))) == setting.method
    assert chosen_model(options.model) == setting.model
    rate = {"learning_rate": setting.learning_rate} if setting.learning_rate else {}
    assert options.train == elbax.TrainConfig(**(vars(setting.train) | rate))
    assert (options.seeds, options.run.out) == ((0, 4), "o")
    data = options.data
    assert (data.data, data.data_seed, data.levels) == ("a b.npy", 3, 16.0)
    assert (data.data_dir, data.binarise, data.num_valid) == ("d", "fixed", 0)


def test_sizes_and_protocols_are_fleets_of_their_own_and_numbers_are_not():
    points = [
        {"learning_rate": 0.01}, {"learning_rate": 0.02}, {"warmup": 3.0}, {"gradient": "dreg"},
        {"k": 4}, {"hidden": "50"}, {"batch_size": 10},
    ]  # fmt: skip
    settings = {number: BASE.at(point) for number, point in enumerate(points)}
    assert [list(fleet) for fleet in grouped(settings)] == [[0, 1, 2, 3], [4], [5], [6]]


@pytest.mark.parametrize(
    ("base", "point", "message"),
    [
        (BASE, {"beta": 0.5}, "unknown argument of iwae 'beta'"),
        (BASE, {"learning_rate": -1.0}, "expected learning_rate > 0"),
        (BASE, {"schedule": "cosine"}, "unknown schedule 'cosine'"),
        (Setting("iwae(k=8)", "mine:build", BASE.train), {"hidden": "5"}, "a model of your own"),
    ],
)
def test_what_cannot_be_trained_is_refused(base, point, message):
    with pytest.raises(elbax.InputError, match=message):
        base.at(point)
