"""`fit` as its user sees it: what it learns, tells and refuses."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax.training.fleet import compiled
from elbax.training.setup import chosen

from .runs import binary_images, build, probe, slow_machine, train

METHODS = ("vae(m=4)", "iwae(k=4)", "miwae(m=2, k=2)", "piwae(m=2, k=2)", "ciwae(k=4, beta=0.5)")
EPOCHS, PER_EPOCH, BATCH, RATE = 12, 10, 4, 0.01
PROTOCOL = {"epochs": EPOCHS, "batch_size": BATCH, "learning_rate": RATE, "schedule": "burda"}
KEYS = {"run", "epoch", "step", "status", "learning_rate", "num_nonfinite"}
MEANS = {"bound", "inference_bound", "ess", "grad_norm"}


def output_bias(model) -> float:
    return float(jnp.sum(model.generative.decoder.logits.bias))


@pytest.fixture(scope="module")
def learned():
    """Five methods trained on easy data by a slow machine, and what `fit` told meanwhile."""
    told, looks = [], []
    compiled.cache_clear()

    def monitor(look):
        assert look.epoch == told[-1].epoch + 1
        looks.append((look.epoch, look.run, look.metrics))
        return {"output_bias": output_bias(look.model)}

    options = {"monitor_every": 5, "progress": told.append, "fleet_map": "sequential"}
    with pytest.MonkeyPatch.context() as patched:
        slow_machine(patched)
        result = train(METHODS, **PROTOCOL, monitor=monitor, **options)
    return SimpleNamespace(result=result, told=told, looks=looks)


def records_of(result, index: int) -> list[dict]:
    name = result.runs[index].name
    return [record for record in result.metrics if record["run"] == name]


@pytest.mark.parametrize("index", range(len(METHODS)), ids=METHODS)
def test_every_method_raises_its_bound_on_easy_data(learned, index):
    bounds = [record["bound"] for record in records_of(learned.result, index)]
    # Six coins cost 6 log 2 nats; two noisy patterns about log 2 + 6 * 0.2.
    assert bounds[0] < -3.8
    assert bounds[-1] > bounds[0] + 0.7
    assert learned.result.status[index] == "ok"


@pytest.mark.parametrize("index", range(len(METHODS)), ids=METHODS)
def test_a_run_has_one_record_per_epoch(learned, index):
    records = records_of(learned.result, index)
    assert [record["epoch"] for record in records] == list(range(1, EPOCHS + 1))
    assert [record["step"] for record in records] == list(range(PER_EPOCH, 121, PER_EPOCH))
    for record in records:
        assert set(record) - {"output_bias"} == KEYS | MEANS
        assert np.isfinite([record[name] for name in MEANS]).all()
        assert 1 <= record["ess"] <= 4
        assert record["grad_norm"] > 0
        assert (record["status"], record["num_nonfinite"]) == ("ok", 0)


def test_the_inference_bound_is_another_one_for_piwae_alone(learned):
    for index, method in enumerate(METHODS):
        gaps = [r["bound"] - r["inference_bound"] for r in records_of(learned.result, index)]
        # On the same samples IWAE(m k) is above MIWAE(m, k).
        assert min(gaps) > 0 if method.startswith("piwae") else max(map(abs, gaps)) == 0


def test_records_hold_the_learning_rate_of_the_epochs_last_step(learned):
    stages = [i for i in range(8) for _ in range(3**i)]
    for record in records_of(learned.result, 0):
        middle = (record["step"] - 0.5) / (EPOCHS * PER_EPOCH)
        rate = RATE * 10 ** (-stages[int(middle * 3280)] / 7)
        assert record["learning_rate"] == pytest.approx(rate, rel=1e-6)


def test_the_monitor_looks_at_every_run_at_its_epochs_and_at_the_last(learned):
    expected = [(epoch, run) for epoch in (5, 10, EPOCHS) for run in learned.result.runs]
    assert [(epoch, run) for epoch, run, _ in learned.looks] == expected
    records = {(record["run"], record["epoch"]): record for record in learned.result.metrics}
    for epoch, run, metrics in learned.looks:
        record = records[run.name, epoch]
        assert metrics == {name: record[name] for name in record if name != "output_bias"}
    for index, model in enumerate(learned.result.models):
        records = records_of(learned.result, index)
        told = {r["epoch"]: r["output_bias"] for r in records if "output_bias" in r}
        assert list(told) == [5, 10, EPOCHS]
        assert told[EPOCHS] == output_bias(model) != told[5]


def test_progress_goes_forward_to_the_end_chunk_by_chunk(learned):
    # A first chunk of 8 steps, then what is left of the epoch; that took a second, and so on.
    steps = [8, *range(10, EPOCHS * PER_EPOCH + 1, 2)]
    assert [told.step for told in learned.told] == steps
    seconds = [told.seconds for told in learned.told]
    assert seconds == sorted(set(seconds))
    for told in learned.told:
        assert (told.epochs, told.num_steps) == (EPOCHS, EPOCHS * PER_EPOCH)
        assert told.epoch == (told.step - 1) // PER_EPOCH


@pytest.mark.parametrize(
    "model", [probe(6), elbax.ModelConfig(hidden=(8,), latents=2, likelihood="gaussian")]
)
def test_any_finite_values_suit_a_model_that_is_not_bernoulli(model):
    _, fleet, _ = build(data=3 * binary_images() - 1, model=model)
    assert float(fleet.images.min()) == -1


def holed(value: float) -> np.ndarray:
    images = binary_images()
    images[3, 1] = value
    return images


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 41}, "at least batch_size = 41 training data; got 40. Choose a smaller"),
        ({"data": holed(np.nan)}, "finite values in data; got NaN or infinity in 1 of 40 rows"),
        ({"data": holed(np.inf)}, "finite values in data; .* first in row 3"),
        ({"data": holed(1.5)}, r"in \[0, 1\] for a Bernoulli likelihood; got values from 0 to 1.5"),
        ({"data": holed(-0.5)}, r"in \[0, 1\] for a Bernoulli .*; got values from -0.5 to 1"),
        ({"data": binary_images()[0]}, r"expected data of shape \[N, \*event\].*got shape \[6\]"),
        ({"data": binary_images()[:0]}, r"at least one datum .*; got shape \[0, 6\]"),
        ({"data": binary_images().astype(str)}, "an array of real numbers; got dtype <U"),
        ({"seeds": ()}, r"expected one or more different seeds; got \(\)"),
        ({"seeds": (0, 1, 0)}, r"expected one or more different seeds; got \(0, 1, 0\)"),
        ({"learning_rates": (0.1, 0.1)}, r"different learning rates .*; got \(0\.1, 0\.1\)"),
        ({"learning_rates": (0.1, 0.0)}, r"learning rates .*; got \(0\.1, 0\.0\)"),
        ({"objectives": []}, "expected one or more different objectives; got 0"),
        (
            {"objectives": ["iwae(k=4)", " IWAE( k = 4 )", "vae(m=4)"]},
            "expected one or more different objectives; got 3, of which 2 differ. Name each once",
        ),
        ({"objectives": "iwea(k=4)"}, "unknown method 'iwea'; did you mean 'iwae'"),
        ({"objectives": "iwae(q=4)"}, "unknown argument of iwae 'q'"),
        ({"objectives": "ciwae(k=4, beta=1.5)"}, r"expected beta in \[0, 1\]"),
        ({"objectives": ["iwae(k=4)", "vae(m=8)"]}, r"draw equally many samples.*got \[4, 8\]"),
        ({"model": elbax.ModelConfig(hidden=(0,))}, "expected one or more layers with sizes >= 1"),
        ({"model": elbax.ModelConfig(likelihood="poisson")}, "unknown likelihood 'poisson'"),
        ({"monitor_every": 0}, "expected monitor_every >= 1; got 0"),
        ({"monitor": lambda model, objective, epoch: {}}, "takes one argument, a Look"),
        ({"learning_rates": (0.1, 1e-46)}, "a number that float32 can hold .* got 1e-46"),
        ({"learning_rates": (float("inf"),)}, "a number that float32 can hold .* got inf"),
        ({"epochs": 10**9}, "epochs times steps per epoch < 2147483648; got 5000000000"),
        ({"objectives": f"iwae(k={10**9})"}, "fit in memory.* at least 192 GB"),
        ({"model": elbax.ModelConfig(hidden=(10**9,))}, "fit in memory.* of 112,000,000,000 weigh"),
        ({"fleet_map": "vmpa"}, "unknown fleet map 'vmpa'; did you mean 'vmap'"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_trained(
    tmp_path, monkeypatch, options, message
):
    monkeypatch.setattr("elbax._checks.memory_bytes", lambda: 2**33)
    with pytest.raises(elbax.InputError, match=message):
        train(**options, directory=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_datum_that_overflows_is_left_out_and_training_goes_on():
    """500 standard deviations away: the encoder's scale overflows, the others do not."""
    rows = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    rows[3] = 500.0
    model = elbax.ModelConfig(hidden=(), latents=2, likelihood="gaussian")
    result = train("iwae(k=4)", data=rows, model=model, epochs=1)
    (record,) = result.metrics
    assert (result.status, record["num_nonfinite"]) == (("ok",), 1)
    assert np.isfinite(record["bound"])
    arrays = jax.tree.leaves(eqx.filter(result.models, eqx.is_array))
    assert all(np.isfinite(leaf).all() for leaf in arrays)


def snapshot(model) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in elbax.arrays_of(model).items()}


@pytest.mark.parametrize("fleet_map", ["sequential", "vmap"])
def test_what_a_builder_returns_stays_the_users(fleet_map):
    own = elbax.linear_gaussian(6, 2, key=jax.random.key(0))
    before = snapshot(own)
    options = {"model": lambda key: own, "seeds": (0, 1), "fleet_map": fleet_map}
    result = train("iwae(k=4)", epochs=1, **options)
    assert snapshot(own) == before
    assert snapshot(result.models[0]) != snapshot(result.models[1]) != before


def test_an_array_that_a_model_holds_twice_is_trained(tmp_path):
    shared = jnp.ones(2)
    plain = elbax.linear_gaussian(6, 2, key=jax.random.key(0))
    where = lambda m: (m.generative.prior_mean, m.inference.bias)  # noqa: E731
    tied = eqx.tree_at(where, plain, (shared, shared))
    assert train("iwae(k=4)", epochs=1, model=lambda key: tied).status == ("ok",)
    assert shared.tolist() == [1, 1]


@pytest.mark.parametrize("found", [{"value": np.zeros(3)}, {"value": "a"}, [1]])
def test_a_monitor_that_finds_no_numbers_is_refused(found):
    with pytest.raises(elbax.InputError, match="expected a monitor to return numbers by name"):
        train("iwae(k=4)", monitor=lambda look: found)


def test_a_monitor_may_find_nothing():
    assert "iwae_64" not in train("iwae(k=4)", monitor=lambda look: None).metrics[-1]


def test_a_monitor_may_keep_the_models_it_sees():
    kept, seen = [], []

    def monitor(look):
        kept.append(look.model)
        seen.append(snapshot(look.model))
        return {}

    train("iwae(k=4)", epochs=3, monitor=monitor)
    assert [snapshot(model) for model in kept] == seen
    assert seen[0] != seen[1] != seen[2]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (elbax.ModelConfig, "expected the function that builds the model to return an elbax.Model"),
        ("smal", r"unknown model 'smal'; did you mean 'small'\?.* module:function"),
        ("nowhere_at_all:build", "found no module 'nowhere_at_all'"),
    ],
)
def test_what_is_no_model_is_refused(model, message):
    model = (lambda key: elbax.ModelConfig()) if model is elbax.ModelConfig else model
    with pytest.raises(elbax.InputError, match=message):
        build(model=model)


def test_a_model_in_the_place_of_its_configuration_is_told_where_it_goes():
    own = elbax.linear_gaussian(6, 2, key=jax.random.key(0))
    with pytest.raises(elbax.InputError, match=r"got Model\. A model to start from is given"):
        chosen(own, None)
    with pytest.raises(elbax.InputError, match=r"expected model as a conf.*; got int"):
        chosen(3, None)


def test_a_preset_goes_by_its_name():
    _, _, identity = build(model="small")
    assert identity["model"]["hidden"] == [100]
