import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

import elbax
from elbax.training.config import RunSpec

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "expected epochs >= 1; got 0"),
        ({"epochs": -3}, "expected epochs >= 1; got -3"),
        ({"batch_size": 0}, "expected batch_size >= 1; got 0"),
        ({"epochs": True}, "expected epochs to be a whole number; got True"),
        ({"learning_rate": 0.0}, r"expected learning_rate .*; got 0\.0"),
        ({"learning_rate": -1e-3}, r"expected learning_rate .*; got -0\.001"),
        ({"learning_rate": float("nan")}, "expected learning_rate .*; got nan"),
        ({"adam_eps": 0.0}, r"expected adam_eps .*; got 0\.0"),
        ({"adam_b1": 1.0}, r"expected adam_b1 in \[0, 1\), in float32 too; got 1\.0"),
        ({"adam_b2": -0.1}, r"expected adam_b2 in \[0, 1\), in float32 too; got -0\.1"),
        ({"adam_b2": float("nan")}, "expected adam_b2 .*; got nan"),
        ({"clip_norm": 0.0}, r"expected clip_norm > 0 or none; got 0\.0"),
        ({"clip_norm": float("nan")}, "expected clip_norm > 0 or none; got nan"),
        (
            {"schedule": "burd"},
            "unknown schedule 'burd'; did you mean 'burda'.*Known: anneal,",
        ),
    ],
)
def test_a_protocol_that_cannot_be_trained_is_refused(options, message):
    with pytest.raises(elbax.InputError, match=message):
        elbax.TrainConfig(**options)


def test_the_protocol_of_burda_and_others_is_the_default_but_for_the_schedule():
    assert elbax.TrainConfig().schedule == "anneal"
    assert dataclasses.asdict(elbax.TrainConfig(epochs=3280, schedule="burda")) == {
        "epochs": 3280,
        "batch_size": 20,
        "learning_rate": 1e-3,
        "schedule": "burda",
        "adam_b1": 0.9,
        "adam_b2": 0.999,
        "adam_eps": 1e-4,
        "clip_norm": None,
        "matmul_precision": "float32",
        "bootstrap": False,
    }


@pytest.mark.parametrize(
    ("run", "name"),
    [
        (RunSpec("iwae(k=4)", 7), "iwae-k4-seed7"),
        (RunSpec("ciwae(k=8, beta=0.05)", 0, 0.002), "ciwae-k8-beta0.05-lr0.002-seed0"),
        (RunSpec("piwae(m=2, k=4, gradient=dreg)", 1), "piwae-m2-k4-gradientdreg-seed1"),
        (RunSpec("mine", 2, 1e-5), "mine-lr1e-05-seed2"),
    ],
)
def test_a_run_is_named_after_what_it_is(run, name):
    assert run.name == name


UNTYPED = """
import elbax
from tests.unit.training.runs import train
config = lambda **given: elbax.TrainConfig(**given)
for call in (
    lambda: config(epochs=2.5),
    lambda: config(batch_size="a"),
    lambda: train(seeds=3),
    lambda: train(seeds=(0, 1.5)),
    lambda: train(seeds=(0, True)),
):
    try:
        call()
    except elbax.InputError as error:
        print(error)
"""


def test_numbers_of_another_type_are_refused():
    """In a process of its own: types are checked in this one before a function sees them."""
    told = subprocess.run(
        [sys.executable, "-c", UNTYPED], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert told.stdout.splitlines() == [
        "expected epochs to be a whole number; got 2.5.",
        "expected batch_size to be a whole number; got 'a'.",
        "expected seeds in a list; got 3. Write (3,).",
        "expected a seed from 0 to 4294967295; got 1.5.",
        "expected a seed from 0 to 4294967295; got True.",
    ]
