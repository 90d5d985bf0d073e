"""A member of a fleet is the run it would be alone, whatever its neighbours are and do."""

import dataclasses
import gc
import itertools
import json
import threading
import weakref
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

import elbax
from elbax import bounds
from elbax.spelling import parse
from elbax.training.config import RunSpec
from elbax.training.fleet import Fleet, compiled
from elbax.training.folder import newest_checkpoint
from elbax.training.state import OK, init_key
from elbax.training.table import ObjectiveTable

from .runs import MODEL, all_finite, binary_images, bits, build, grey_dataset, model_bits, train

METHODS = ("ciwae(k=4, beta=0.5)", "ciwae(k=4, beta=0.05)", "piwae(m=2, k=2, gradient=dreg)")


class Nan(bounds.VAE):
    """A bound that is never finite."""

    def __call__(self, log_w):
        return super().__call__(log_w) * jnp.nan


NAN = Nan(4)
# The runs of the last objective, "nan", never see a finite bound.
FLEET = {method: parse(method) for method in METHODS} | {"nan": elbax.Objective(NAN, NAN)}
RATES, SEEDS = (0.05, 0.01), (0, 3)
NUM_RUNS = len(FLEET) * len(RATES) * len(SEEDS)
# Runs that are also trained alone: index in the fleet, method, learning rate, seed.
ALONE = [(5, METHODS[1], 0.05, 3), (10, METHODS[2], 0.01, 0)]


def tensors_of(folder: Path, index: int) -> dict[str, np.ndarray]:
    """The final state of one run of a folder, but for its place among a fleet's objectives."""
    stacked = safetensors.numpy.load_file(newest_checkpoint(folder))
    names = set(stacked) - {"kind", "hyper"}
    return {name: stacked[name][index] for name in sorted(names)}


def lines_of(folder: Path, name: str) -> list[str]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [line for line in lines if json.loads(line)["run"] == name]


def seen(_look) -> dict[str, float]:
    return {"seen": 1.0}


def trained(folder: Path, objectives, **options):
    """A run folder and what `fit` returned; the monitor leaves a mark where it looked."""
    options = {"schedule": "burda"} | options
    return folder, train(objectives, directory=folder, monitor=seen, **options)


@pytest.fixture(scope="module")
def sequential(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sequential") / "run"
    compiled.cache_clear()
    return trained(folder, FLEET, learning_rates=RATES, seeds=SEEDS, fleet_map="sequential")


@pytest.fixture(scope="module")
def vmapped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vmapped") / "run"
    compiled.cache_clear()
    return trained(folder, FLEET, learning_rates=RATES, seeds=SEEDS, fleet_map="vmap")


@pytest.mark.parametrize(("index", "method", "rate", "seed"), ALONE)
def test_a_member_equals_the_run_alone_bit_for_bit(sequential, tmp_path, index, method, rate, seed):
    folder, fleet = sequential
    options = {"learning_rates": (rate,), "seeds": (seed,), "fleet_map": "sequential"}
    own, alone = trained(tmp_path / "run", method, **options)
    assert alone.runs == (fleet.runs[index],)
    assert bits(tensors_of(own, 0)) == bits(tensors_of(folder, index))
    assert lines_of(own, alone.runs[0].name) == lines_of(folder, alone.runs[0].name)
    assert model_bits(alone.models[0]) == model_bits(fleet.models[index])


def test_a_vmapped_member_equals_the_run_alone_within_rounding(sequential, vmapped):
    for index in range(len(sequential[1].runs)):
        mapped, alone = tensors_of(vmapped[0], index), tensors_of(sequential[0], index)
        assert mapped.keys() == alone.keys()
        for name, tensor in alone.items():
            np.testing.assert_allclose(mapped[name], tensor, rtol=1e-4, atol=1e-6, err_msg=name)


def test_members_differ_by_more_than_rounding(sequential):
    members = [tensors_of(sequential[0], i) for i in range(NUM_RUNS - 4)]
    weights = [member["params.generative.decoder.logits.weight"] for member in members]
    for one, other in itertools.combinations(weights, 2):
        assert not np.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_one_compilation_serves_every_objective_beta_and_seed(sequential, vmapped):
    assert sequential[1].num_compilations == vmapped[1].num_compilations == 1


def test_runs_are_ordered_by_objective_then_learning_rate_then_seed(sequential):
    names = [run.name for run in sequential[1].runs]
    first = "ciwae-k4-beta0.5-"
    assert names[:3] == [f"{first}lr0.05-seed0", f"{first}lr0.05-seed3", f"{first}lr0.01-seed0"]
    assert names[4] == "ciwae-k4-beta0.05-lr0.05-seed0"
    assert len(set(names)) == NUM_RUNS
    assert [record["run"] for record in sequential[1].metrics] == names * 2


def test_records_tell_each_runs_own_learning_rate(sequential):
    for record in sequential[1].metrics[-NUM_RUNS:]:
        rate = 0.05 if "-lr0.05-" in record["run"] else 0.01
        assert record["learning_rate"] == pytest.approx(rate / 10, rel=1e-6)


def test_objectives_that_differ_in_numbers_only_are_one_kind():
    table = ObjectiveTable([parse(method) for method in METHODS])
    assert table.kind == [0, 0, 1]
    assert [float(hyper[0]) for hyper in table.hyper] == [0.5, np.float32(0.05), 0]


def linear(key) -> elbax.Model:
    """A model that compiles quickly."""
    return elbax.linear_gaussian(6, 2, key=key)


def three_runs(second_rate: float, fleet_map: str = "sequential") -> Fleet:
    """Three runs, the second one with a learning rate of its own."""
    options = {"learning_rates": (0.01, second_rate, 0.003), "fleet_map": fleet_map}
    _, fleet, _ = build(model=linear, **options)
    return fleet


@pytest.fixture(scope="module", params=["sequential", "vmap"])
def three(request) -> Fleet:
    """A compiled fleet of three; each test sets its states."""
    compiled.cache_clear()
    return three_runs(0.02, request.param)


def history(fleet: Fleet, second_rate: float, cuts=(1,) * 5) -> list[list]:
    """The states of the three runs after each of some chunks."""
    fleet.states, seen = three_runs(second_rate).states, []
    for cut in cuts:
        fleet.advance(cut)
        # Copies, since the next chunk takes the memory of the states it is given.
        seen.append(jax.tree.map(jnp.copy, fleet.states))
    return seen


def test_results_do_not_depend_on_how_an_epoch_is_cut(three):
    whole = [bits(state) for state in history(three, 0.02, (5, 5))[-1]]
    for cuts in ((1,) * 10, (3, 2, 4, 1), (2, 3, 0, 5)):
        cut = history(three, 0.02, cuts)[-1]
        assert [bits(state) for state in cut] == whole
        assert [int(state.step) for state in cut] == [10] * 3
    assert three.num_compilations == 1


def test_a_diverged_run_keeps_its_last_finite_parameters(three):
    states = [states[1] for states in history(three, 1e30)]
    statuses = [int(state.status) for state in states]
    first = next(i for i, status in enumerate(statuses) if status != OK)
    assert first > 0
    assert statuses[first:] == [first + 1] * (5 - first)  # the step, counted from 1
    kept = bits(states[first - 1].params)
    assert all(bits(state.params) == kept for state in states[first:])
    assert all_finite(states[-1].params)
    assert [int(state.step) for state in states] == [1, 2, 3, 4, 5]


def test_a_diverged_run_does_not_begin_again_where_its_bound_is_finite(three):
    states = three_runs(0.02).states
    starts = [bits(state.params) for state in states]
    states[1] = states[1]._replace(status=jnp.asarray(3, jnp.int32))
    three.states = states
    three.advance(5)
    ends = [bits(state.params) for state in three.states]
    assert [end == start for end, start in zip(ends, starts, strict=True)] == [False, True, False]
    assert int(three.states[1].status) == 3
    assert np.isfinite(float(three.states[1].sums.bound))


def test_the_neighbours_of_a_diverged_run_do_not_notice(three):
    diverging, sound = history(three, 1e30), history(three, 0.02)
    statuses = [int(states[-1][1].status) for states in (diverging, sound)]
    assert [status != OK for status in statuses] == [True, False]
    for neighbour in (0, 2):
        assert bits(diverging[-1][neighbour]) == bits(sound[-1][neighbour])


def start(seed: int) -> elbax.Model:
    """The model that a run of this seed begins with."""
    mean = binary_images().mean(axis=0, dtype=np.float64).astype(np.float32)
    return elbax.one_layer((6,), MODEL, key=init_key(seed), data_mean=mean)


def test_a_run_without_a_finite_bound_stays_where_it_started(sequential):
    _, result = sequential
    assert result.status == ("ok",) * (NUM_RUNS - 4) + ("diverged",) * 4
    for model, run in zip(result.models[-4:], result.runs[-4:], strict=True):
        assert run.method == "nan"
        assert model_bits(model) == model_bits(start(run.seed))
    assert model_bits(result.models[0]) != model_bits(start(0))


def test_a_diverged_run_says_so_in_its_records_and_is_not_looked_at(sequential):
    folder, _ = sequential
    lines = [json.loads(line) for line in lines_of(folder, "nan-lr0.05-seed3")]
    assert [line["epoch"] for line in lines] == [1, 2]
    for line in lines:
        assert line["status"] == "diverged"
        assert line["bound"] is line["inference_bound"] is None
        assert line["num_nonfinite"] == 40
        assert "seen" not in line
    assert lines[0]["cause"].startswith("at step 1 (epoch 1), because the bound was not finite")
    assert "cause" not in lines[1]
    sound = lines_of(folder, "ciwae-k4-beta0.5-lr0.05-seed3")
    assert [json.loads(line)["seen"] for line in sound] == [1, 1]


def test_the_same_program_is_compiled_once_in_a_process_and_gives_the_same_bits():
    compiled.cache_clear()
    options = {"model": linear, "epochs": 1, "batch_size": 20}
    first, again = (train(**options) for _ in range(2))
    assert (first.num_compilations, again.num_compilations) == (1, 0)
    assert model_bits(first.models[0]) == model_bits(again.models[0])
    assert first.metrics == again.metrics
    # Seeds, rates and the values of the data are in the state, other shapes are compiled anew.
    flipped = {"seeds": (7, 8), "learning_rates": (0.1, 0.2), "data": 1 - binary_images()}
    assert train(**options | flipped).num_compilations == 0
    assert train(**options, data=binary_images(44)).num_compilations == 1


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 3},  # its schedule is part of it
        {"batch_size": 20},
        {"adam_b1": 0.5},
        {"data": grey_dataset()},
        {"objectives": "iwae(k=5)"},
        {"objectives": ["iwae(k=4)", "vae(m=4)"]},
        {"model": MODEL},
    ],
    ids=str,
)
def test_another_program_is_not_taken_for_one_compiled_before(change):
    program, same, other = (
        build(**{"model": linear} | options)[1].program for options in ({}, {"seeds": (3,)}, change)
    )
    assert program == same
    assert program != other


class Counter(eqx.Module):
    """A static part of a model that two programs may or may not share."""

    steps: jax.Array
    function: object


def test_programs_are_told_apart_by_the_content_of_static_arrays_and_by_functions():
    _, fleet, _ = build(model=linear)

    def program(steps, function):
        return dataclasses.replace(fleet.program, static_model=Counter(steps, function))

    one = program(jnp.arange(3), jnp.tanh)
    assert one == program(jnp.arange(3), jnp.tanh)
    assert hash(one) == hash(program(jnp.arange(3), jnp.tanh))
    assert one != program(jnp.arange(4), jnp.tanh)
    assert one != program(jnp.arange(3), jnp.sin)
    unhashable = program(jnp.arange(3), [])
    assert unhashable != program(jnp.arange(3), {1})


def test_only_so_many_programs_are_kept():
    """A process that trains ever new models does not keep them all."""
    assert compiled.cache_info().maxsize is not None
    compiled.cache_clear()
    functions = [lambda log_w: jnp.mean(log_w)]
    dead = weakref.ref(functions[0])
    objective = bounds.Custom(functions.pop(), num_samples=4)
    build({"own": elbax.Objective(objective, objective)}, model=linear)
    del objective
    for k in range(compiled.cache_info().maxsize):
        build(f"vae(m={k + 1})", model=linear)
    gc.collect()
    assert dead() is None


def own(function) -> elbax.Objective:
    return elbax.Objective(*[bounds.Custom(function, num_samples=4)] * 2)


def tempered(power: float) -> elbax.Objective:
    return own(lambda log_w: power * jnp.max(log_w))


def test_own_objectives_that_differ_in_a_lambda_are_two(tmp_path):
    runs, fleet, _ = build([tempered(1.0), tempered(0.5)], model=linear)
    assert len({run.name for run in runs}) == 2
    assert all(run.method.startswith("custom(function=<lambda>, t=4, id=") for run in runs)
    fleet.advance(1)
    halves = [float(state.sums.bound) for state in fleet.states]
    assert halves[1] == pytest.approx(halves[0] / 2, rel=1e-5)
    with pytest.raises(elbax.InputError, match="got 2, of which 1 differ"):
        build([tempered(1.0), tempered(1.0)], model=linear)


@pytest.mark.parametrize("named", [False, True])
def test_a_folder_of_one_own_objective_is_not_resumed_as_another(tmp_path, named):
    def given(power):
        return {"mine": tempered(power)} if named else tempered(power)

    options = {"model": linear, "directory": tmp_path, "resume": True, "epochs": 1}
    train(given(1.0), **options)
    train(given(1.0), **options)
    with pytest.raises(elbax.CheckpointError, match=r"already holds another .*runs\.0\.\w+: "):
        train(given(0.5), **options)


def test_a_folder_of_one_own_model_is_not_resumed_as_another(tmp_path):
    def builder(latents):
        return lambda key: elbax.linear_gaussian(6, latents, key=key)

    identities = [build(model=builder(latents))[2] for latents in (2, 2, 3)]
    assert identities[0] == identities[1]
    assert identities[0]["model"]["custom"] == identities[2]["model"]["custom"]
    assert identities[0]["model"]["code"] != identities[2]["model"]["code"]


def test_what_cannot_be_told_apart_has_to_be_named():
    thing = threading.Lock()
    odd = own(lambda log_w: jnp.max(log_w) if thing else jnp.min(log_w))
    with pytest.raises(elbax.InputError, match=r"cannot tell .* Name it"):
        build(odd, model=linear)
    assert build({"mine": odd}, model=linear)[0][0].method == "mine"


def test_the_names_of_known_methods_are_all_of_their_identity():
    texts = ["ciwae(k=4, beta=1.0)", "piwae(m=2, k=2, gradient=dreg)", "iwae(k=4, warmup=3)"]
    for objective in (texts, {text: parse(text) for text in texts}):
        _, _, identity = build(objective, model=linear)
        assert [run["method"] for run in identity["runs"]] == [
            "ciwae(k=4, beta=1)" if objective is texts else texts[0],
            *texts[1:],
        ]
        keys = [set(run) for run in identity["runs"]]
        assert keys == [{"name", "method", "seed", "learning_rate"}] * 3


def test_unequal_numbers_of_samples_are_refused():
    with pytest.raises(elbax.InputError, match=r"equally many samples.*got \[4, 8\]. Match m \* k"):
        ObjectiveTable([elbax.iwae(4), elbax.miwae(2, 4), elbax.vae(8)])


def test_an_unknown_map_is_refused():
    with pytest.raises(elbax.InputError, match="unknown fleet map 'vmpa'; did you mean 'vmap'"):
        build(fleet_map="vmpa")


def test_a_model_of_a_fleet_is_whole_and_that_of_its_seed():
    _, fleet, _ = build(["iwae(k=4)", "vae(m=4)"], seeds=(5, 6))
    for index, seed in enumerate((5, 6, 5, 6)):
        assert eqx.tree_equal(fleet.model(index), start(seed))


def test_bfloat16_products_train_alike_alone_and_in_a_fleet():
    """Near float32 and not equal to it; the same bits alone; float32 after it is undisturbed."""
    options = {"seeds": (0, 1), "matmul_precision": "bfloat16", "epochs": 2}
    both = train(["iwae(k=4)", "vae(m=4)"], **options)
    alone = train("vae(m=4)", **options | {"seeds": (1,)})
    plain = train("vae(m=4)", **options | {"seeds": (1,), "matmul_precision": "float32"})
    [index] = [i for i, run in enumerate(both.runs) if run.name == alone.runs[0].name]
    assert model_bits(both.models[index]) == model_bits(alone.models[0])
    assert model_bits(plain.models[0]) != model_bits(alone.models[0])
    bounds_seen = [result.metrics[-1]["bound"] for result in (alone, plain)]
    assert bounds_seen[0] == pytest.approx(bounds_seen[1], abs=0.05)
    leaves = jax.tree.leaves(eqx.filter(alone.models[0], eqx.is_array))
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("float32")}


PRUNED = "ciwae-k4-beta0.5-lr0.05-seed0"


def second_prunes(records):
    """The first run is ended after its second epoch."""
    assert all(record["status"] != "pruned" for record in records)
    return [PRUNED] if records[0]["epoch"] == 2 else []


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """Three runs given one by one, of which the first is ended after two of four epochs."""
    folder = tmp_path_factory.mktemp("pruned") / "run"
    options = {"fleet_map": "sequential", "epochs": 4}
    specs = [
        RunSpec(METHODS[0], 0, 0.05),
        RunSpec(METHODS[1], 3, 0.01),
        RunSpec("ciwae(4, 0.2)", 1),
    ]
    return folder, train(specs, directory=folder, prune=second_prunes, **options), options, specs


def test_runs_given_one_by_one_are_the_runs_alone(pruned):
    _, result, options, _ = pruned
    assert [run.seed for run in result.runs] == [0, 3, 1]
    alone = train(METHODS[1], seeds=(3,), learning_rates=(0.01,), **options)
    assert model_bits(alone.models[0]) == model_bits(result.models[1])
    assert result.num_compilations <= 1


def test_a_pruned_run_ends_and_the_others_go_on(pruned):
    folder, result, options, _ = pruned
    assert result.status == ("pruned", "ok", "ok")
    assert result.finished
    lines = [json.loads(line) for line in lines_of(folder, PRUNED)]
    assert [(line["epoch"], line["status"]) for line in lines] == [(1, "ok"), (2, "pruned")]
    assert len(lines_of(folder, result.runs[1].name)) == 4
    assert elbax.load_runs(folder).status == ("pruned", "ok", "ok")
    # Its parameters are those that the same run alone has then.
    kept = {}

    def keep(look):
        kept[look.epoch] = look.model

    train(METHODS[0], learning_rates=(0.05,), monitor=keep, **options)
    assert model_bits(kept[2]) == model_bits(result.models[0]) != model_bits(kept[4])


def test_a_pruned_run_stays_so_when_its_fleet_is_resumed(pruned, tmp_path):
    folder, result, options, specs = pruned
    told = []
    stopped = train(
        specs, directory=tmp_path / "run", prune=second_prunes, checkpoint_seconds=0.0,
        progress=lambda now: told.append(now.step), stop=lambda: bool(told) and told[-1] > 12,
        **options,
    )  # fmt: skip
    assert not stopped.finished
    assert stopped.status[0] == "pruned"
    resumed = train(specs, directory=tmp_path / "run", prune=second_prunes, resume=True, **options)
    for one, other in zip(resumed.models, result.models, strict=True):
        assert model_bits(one) == model_bits(other)
    lines = "metrics.jsonl"
    assert (tmp_path / "run" / lines).read_bytes() == (folder / lines).read_bytes()


def test_under_vmap_a_pruned_run_keeps_what_it_had(pruned):
    _, result, options, specs = pruned
    batched = train(specs, prune=second_prunes, **(options | {"fleet_map": "vmap"}))
    assert batched.status == ("pruned", "ok", "ok")
    for one, other in zip(batched.models, result.models, strict=True):
        leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
        assert all(np.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in leaves if eqx.is_array(a))


def test_a_pruned_run_takes_no_more_steps(monkeypatch):
    _, fleet, _ = build([RunSpec("iwae(4)", 0), RunSpec("iwae(4)", 1)], fleet_map="sequential")
    fleet.advance(1)
    fleet.end(0)
    taken = []
    chunk = fleet._chunk
    fleet._chunk = lambda state, *rest: taken.append(int(state.status)) or chunk(state, *rest)
    fleet.advance(2)
    assert taken == [OK]
    assert [int(state.step) for state in fleet.states] == [3, 3]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ([RunSpec("iwae(4)", 0)], {"seeds": (0, 1)}, "expected no seeds and no learning_rates"),
        ([RunSpec("iwae(4)", 0), "iwae(4)"], {}, "got both in one list"),
        ([RunSpec("iwae(4)", 0)] * 2, {}, "one of them is given twice"),
        ([RunSpec("iwae(4)", 0, -1.0)], {}, "expected different learning rates > 0"),
    ],
)
def test_wrong_lists_of_runs_are_refused(given, options, message):
    with pytest.raises(elbax.InputError, match=message):
        train(given, **options)
