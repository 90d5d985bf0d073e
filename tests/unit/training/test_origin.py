"""Two-stage training: what is taken over from another run, what begins anew, and the lineage."""

import dataclasses
import hashlib
import json

import equinox as eqx
import jax
import pytest

import elbax
from elbax._errors import InputError
from elbax.runs.evaluate import _descent
from elbax.runs.load import load_runs, origin_of
from elbax.training.origin import as_origin
from elbax.training.recorded import identity_of, read_config

from .runs import MODEL, bits, build, train


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A first stage of two methods with two seeds each."""
    path = tmp_path_factory.mktemp("first") / "stage1"
    train(["vae(m=4)", "iwae(k=4)"], seeds=(0, 1), directory=path)
    return load_runs(path)


def parameters(model):
    return bits(eqx.filter(model, eqx.is_inexact_array))


def test_parameters_are_taken_over_and_everything_else_begins_anew(first):
    origin = origin_of(first, name="vae-m4-seed1")
    _, fleet, _ = build("iwae(k=4)", origin=origin)
    _, plain, _ = build("iwae(k=4)")
    [state], [fresh] = fleet.states, plain.states
    assert parameters(fleet.model(0)) == parameters(first.models[1])
    assert bits(state._replace(params=None)) == bits(fresh._replace(params=None))


def test_every_seed_starts_from_its_own_run(first, tmp_path):
    train("vae(m=4)", seeds=(0, 1), directory=tmp_path / "one")
    origin = origin_of(load_runs(tmp_path / "one"), seeds=(1, 0))
    _, fleet, _ = build(["iwae(k=4)", "ciwae(k=4, beta=0.5)"], seeds=(1, 0), origin=origin)
    starts = [parameters(fleet.model(index)) for index in range(4)]
    expected = [parameters(first.models[index]) for index in (1, 0, 1, 0)]
    assert starts == expected


def test_the_lineage_is_recorded_over_three_stages(first, tmp_path):
    train(origin=origin_of(first, name="vae-m4-seed0"), directory=tmp_path / "second", seeds=(3,))
    second = load_runs(tmp_path / "second")
    train("vae(m=4)", origin=origin_of(second), directory=tmp_path / "third")
    lineage = read_config(tmp_path / "third")["origin"]
    assert lineage["runs"] == ["iwae-k4-seed3"]
    assert lineage["configuration"] == identity_of(second.config)
    assert lineage["origin"]["folder"] == "stage1"
    assert lineage["origin"]["methods"] == ["vae(m=4)"]
    assert lineage["origin"]["epochs"] == 2
    assert "origin" not in lineage["origin"]


def test_an_interrupted_second_stage_goes_on_bit_for_bit(first, tmp_path):
    origin = origin_of(first, name="vae-m4-seed0")
    whole = train(origin=origin, directory=tmp_path / "whole", config=elbax.TrainConfig(3, 8))

    def stop(progress):
        if progress.epoch == 1:
            raise KeyboardInterrupt

    cut = {"origin": origin, "directory": tmp_path / "cut", "config": elbax.TrainConfig(3, 8)}
    with pytest.raises(KeyboardInterrupt):
        train(**cut, progress=stop, checkpoint_seconds=0.0)
    resumed = train(**cut, resume=True)
    assert parameters(resumed.models[0]) == parameters(whole.models[0])


WRONG = {
    "several runs of a seed": (lambda runs: origin_of(runs), "expected one run of seed 0"),
    "no such run": (lambda runs: origin_of(runs, name="vae-m4-seed7"), "unknown run"),
    "another model": (
        lambda runs: build(
            origin=origin_of(runs, name="vae-m4-seed0"),
            model=elbax.ModelConfig(hidden=(9,), latents=2),
        ),
        "expected the same model",
    ),
    "another activation": (
        lambda runs: build(
            origin=origin_of(runs, name="vae-m4-seed0"),
            model=elbax.ModelConfig(**{**vars(MODEL), "activation": "elu"}),
        ),
        "expected the same model",
    ),
    "too many runs": (
        lambda runs: build(
            seeds=(0, 1, 2),
            origin=elbax.training.origin.Origin(runs.models[:2], {}),
        ),
        r"one per seed \(3\); got 2",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_started_from_is_refused(name, first):
    call, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        call(first)


def test_a_diverged_run_is_no_start(first):
    lost = dataclasses.replace(first, status=("diverged",) * 4)
    with pytest.raises(InputError, match="cannot start from vae-m4-seed0: it diverged"):
        origin_of(lost, name="vae-m4-seed0")


def in_memory(seed=7):
    return elbax.one_layer((6,), MODEL, key=jax.random.key(seed))


def test_a_model_in_memory_is_a_start_and_survives_it(tmp_path):
    model = in_memory()
    before = parameters(model)
    _, fleet, identity = build(origin=model, model=None)
    assert parameters(fleet.model(0)) == before
    expected = hashlib.sha256()
    for name, leaf in sorted(elbax.arrays_of(model).items()):
        expected.update(json.dumps([name, leaf.dtype.str, leaf.shape]).encode() + leaf.tobytes())
    assert identity["origin"] == {"memory": [expected.hexdigest()]}
    # Configuration and likelihood are the model's own.
    assert identity["model"]["hidden"] == [8]
    train(origin=model, directory=tmp_path)
    assert parameters(model) == before
    assert read_config(tmp_path)["origin"] == identity["origin"]
    with pytest.raises(elbax.CheckpointError, match="another configuration"):
        train(origin=in_memory(8), directory=tmp_path, resume=True)
    assert _descent(identity["origin"]) == " from a model in memory"


def test_every_seed_starts_from_its_own_model_in_memory():
    models = [in_memory(seed) for seed in (1, 2)]
    _, fleet, _ = build(["vae(m=4)", "iwae(k=4)"], seeds=(5, 6), origin=models)
    starts = [parameters(fleet.model(index)) for index in range(4)]
    assert starts == [parameters(models[index]) for index in (0, 1, 0, 1)]


def test_an_own_model_in_memory_needs_no_builder():
    model = elbax.linear_gaussian(6, 2, key=jax.random.key(0))
    _, fleet, identity = build(origin=model, model=None)
    assert parameters(fleet.model(0)) == parameters(model)
    assert identity["model"]["custom"] == "the model it started from"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "expected origin as a model, a list of models, .*; got list"),
        ("runs/vae", "expected origin as a model, .*; got str"),
        ([in_memory] * 2, "expected origin as a model, .*; got list"),
    ],
)
def test_what_is_no_model_is_no_start(given, message):
    with pytest.raises(InputError, match=message):
        as_origin(given)
