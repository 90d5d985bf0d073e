"""The report's curves: prefixes of a protocol, what is looked at, and how far they are apart."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest

import elbax
from elbax._errors import ElbaxWarning, InputError
from elbax.data.dataset import Dataset
from elbax.models import linear_gaussian
from elbax.models.config import ModelConfig
from elbax.studies import study as s
from elbax.studies import verdicts as v
from elbax.studies.looks import log_p_hat_at
from elbax.studies.papers import report_curves
from elbax.studies.papers.catalogue import STUDIES
from elbax.studies.perform import chosen, perform
from elbax.studies.plan import PlannedRun, grid
from elbax.studies.store import Store
from elbax.training.claims import claimed
from elbax.training.config import RunSpec, TrainConfig
from elbax.training.records import Look

from .planted import bounds_of, lost, planted

PRESET = chosen(STUDIES["curves"], "paper", data=("mnist",), until=40)


def quiet(what, done):
    pass


# ------------------------------------------------------------------ the report's own numbers


@pytest.mark.data
def test_the_values_are_those_that_were_logged(real_data_dir):
    names = {"VAE(1)": "vae-m1", "IWAE(64)": "iwae-k64", "MIWAE(8,8)": "miwae-m8-k8"}
    names["VAE(2)"] = "ciwae-k1-beta0.5(a VAE with one sample)"
    names[report_curves.PIWAE] = "piwae(encoder 10x10, decoder 10)"
    with np.load(Path(real_data_dir) / "report_curves" / "log_p_hat_by_epoch.npz") as logged:
        for (data, size, method), values in report_curves.LOG_P_HAT.items():
            curve = logged[f"{data}-{size}/{names[method]}"]
            windows = report_curves.windows(data).items()
            # The first value was logged after the first epoch.
            means = [curve[end - length : end].mean() for end, length in windows]
            np.testing.assert_allclose(values, means, atol=0.0051)


def test_three_looks_give_the_mean_over_a_window_of_any_parabola():
    for end, length in report_curves.WINDOWS.items():
        epochs = np.arange(end - length + 1, end + 1)
        assert report_curves.three(end, length)[::2] == (epochs[0], epochs[-1])
        curve = {epoch: 3 - 0.7 * epoch + 0.01 * epoch**2 for epoch in map(int, epochs)}
        looks = tuple(curve[epoch] for epoch in report_curves.three(end, length))
        mean = report_curves.window_mean(looks, length)
        assert mean == pytest.approx(np.mean(list(curve.values())), rel=1e-9)


# ------------------------------------------------------------------ what is concluded


def logged(plan: PlannedRun, away: dict[int, float]):
    """A run whose looks are the report's window means, further away at some ends."""
    told = report_curves.published(plan.data, "reference", plan.label)
    curve = []
    for end, length in report_curves.WINDOWS.items():
        for epoch in report_curves.three(end, length) if end <= plan.looks[-1] else ():
            value = told.get(end, -90.0) + away.get(end, 0.0)
            curve.append({"epoch": epoch, "log_p_hat": value, "log_p_hat_error": 0.05})
    return planted(plan, bounds_of(-89.0, -1.0), curve=curve)


def concluded(away, method="IWAE(64)"):
    study = STUDIES["curves"]
    plans = study.planned(PRESET)
    runs = [logged(plan, away if plan.label == method else {}) for plan in plans]
    return study.conclude(PRESET, s.Found(Store(Path("nowhere")), runs), quiet)


def test_curves_that_are_the_report_s_are_found_so_and_one_that_is_not_is_named():
    findings = concluded({})
    assert {verdict.verdict for verdict in findings.verdicts} == {v.REPRODUCED}
    assert len(findings.verdicts) == 5
    findings = concluded({13: 0.3, 40: -0.6})
    by_claim = {verdict.claim: verdict for verdict in findings.verdicts}
    apart = by_claim.pop(
        "mnist, reference model: IWAE(64) is within 0.5 nats of the report's curve"
    )
    assert apart.verdict == v.NOT_REPRODUCED
    assert apart.reason == "farthest at epoch 40, by -0.60; stages that ended: 4, 13, 40"
    assert apart.published == -89.99
    assert apart.obtained == pytest.approx(-90.59)
    assert {verdict.verdict for verdict in by_claim.values()} == {v.REPRODUCED}


def test_the_tables_hold_ours_theirs_and_the_difference_at_the_ends_of_stages():
    lines, theirs, ours = concluded({40: -0.6}).exhibits
    assert theirs.columns == ["method", "4", "13", "40"]
    at = [row[0] for row in theirs.rows].index("IWAE(64)")
    assert theirs.rows[at + 1] == ["  the report", "-104.68", "-94.20", "-89.99"]
    assert theirs.rows[at + 2] == ["  difference", "+0.00", "+0.00", "-0.60"]
    assert "PIWAE(8, 8)" in {row[0] for row in ours.rows} or "PIWAE(8,8)" in {
        row[0] for row in ours.rows
    }
    assert {line["label"] for line in lines.lines if line.get("points")} == {
        f"{name}, the report" for name in report_curves.METHODS
    }


def test_seeds_that_got_further_than_others_stand_alone_there():
    study = STUDIES["curves"]
    preset = chosen(study, "paper", data=("mnist",), until=13, methods=("vae(1)",), seeds=(0, 1))
    plans = [plan for plan in study.planned(preset) if plan.model.initialization == "fan-in"]
    ahead, behind = (
        logged(plan, {4: away, 13: away}) for plan, away in zip(plans, (0.2, 0.4), strict=True)
    )
    behind.curve[:] = [look for look in behind.curve if look["epoch"] < 13]
    findings = study.conclude(preset, s.Found(Store(Path("nowhere")), [ahead, behind]), quiet)
    _, table = findings.exhibits  # nothing was run from elbax's start
    assert table.rows[0] == ["VAE(1)", "-110.59 ± 0.14", "-98.64"]
    assert table.rows[2] == ["  difference", "+0.30", "+0.20"]
    [verdict] = findings.verdicts
    assert verdict.reason == "farthest at epoch 4, by +0.30; stages that ended: 4, 13"
    assert verdict.error == pytest.approx(0.1)  # of two seeds that are 0.2 apart


def test_runs_that_were_not_looked_at_or_diverged_say_nothing():
    study = STUDIES["curves"]
    plans = study.planned(PRESET)
    runs = [planted(plan, bounds_of(-89.0, -1.0)) for plan in plans[::2]]
    runs += [lost(plan) for plan in plans[1::2]]
    findings = study.conclude(PRESET, s.Found(Store(Path("nowhere")), runs), quiet)
    assert {verdict.verdict for verdict in findings.verdicts} == {v.NOT_TESTABLE}


# ------------------------------------------------------------------ what is planned


def test_a_prefix_of_the_paper_s_protocol_keeps_its_schedule():
    assert PRESET.name == "paper, altered, until epoch 40"  # MNIST alone
    assert not PRESET.is_paper
    plans = STUDIES["curves"].planned(PRESET)
    assert {plan.train.epochs for plan in plans} == {3280}
    assert {plan.epochs for plan in plans} == {40}
    assert {plan.looks for plan in plans} == {report_curves.looks("mnist", 40)}
    theirs = [plan for plan in plans if plan.model.initialization == "fan-in"]
    assert [plan.label for plan in theirs] == list(report_curves.METHODS)
    assert {plan.train.adam_eps for plan in theirs} == {2e-7}
    assert {(plan.model.scale, plan.model.output_bias) for plan in theirs} == {("softplus", False)}
    whole = STUDIES["curves"].presets["paper"]
    assert {plan.epochs for plan in STUDIES["curves"].planned(whole)} == {3280, 1000}
    with pytest.raises(InputError, match="expected --until >= 1; got 0"):
        chosen(STUDIES["curves"], "paper", until=0)


def test_some_methods_can_be_taken_alone_where_each_is_compared_with_a_paper():
    study = STUDIES["curves"]
    preset = chosen(study, "paper", data=("mnist",), until=4, methods=("vae(1)", "piwae(8, 8)"))
    assert {run.label for run in study.planned(preset)} == {"VAE(1)", "PIWAE(8,8)"}
    with pytest.raises(InputError, match="compares them with each other"):
        chosen(STUDIES["table1"], "quick", methods=("vae(64)",))
    with pytest.raises(InputError, match="expected --as-trained with a study that compares each"):
        chosen(STUDIES["table1"], "quick", as_trained=True)
    with pytest.raises(InputError, match="unknown method of curves 'vae\\(m=3\\)'"):
        study.planned(chosen(study, "paper", methods=("vae(3)",)))


# ------------------------------------------------------------------ what is measured


def test_log_p_hat_of_all_is_estimated_from_few_without_bias():
    """Against the exact log p(x) of a linear-Gaussian model, whose bounds by 64 are far from it."""
    model = linear_gaussian(6, 3, key=jax.random.key(0))
    x = 3 * np.random.default_rng(1).normal(size=(2000, 6)).astype(np.float32)
    dataset = Dataset(name="x", train=x, test=x)
    look = Look(RunSpec("iwae(k=4)", 0), model, elbax.iwae(4), 2, {})
    whole = elbax.evaluate(model, x, key=jax.random.key(2), ks=(64, 2048))
    found = log_p_hat_at((2,), dataset, k=2048, corrected=400)(look)
    assert found["iwae_64"] == pytest.approx(whole.estimate("iwae_64").mean, abs=0.05)
    gap = whole.log_p_hat.mean - whole.estimate("iwae_64").mean
    assert gap > 10 * found["log_p_hat_error"] > 0
    z = (found["log_p_hat"] - whole.log_p_hat.mean) / found["log_p_hat_error"]
    assert abs(z) < 4
    # The same few by themselves are far noisier: that is what the correction is for.
    alone = np.std(whole.per_datum("log_p_hat"), ddof=1) / 400**0.5
    assert alone > 3 * found["log_p_hat_error"]
    assert log_p_hat_at((1, 3), dataset)(look) is None


def test_a_store_trains_a_prefix_looks_at_it_and_goes_on_later(tmp_path):
    model, train = ModelConfig(hidden=(4,), latents=2), TrainConfig(epochs=3, batch_size=400)
    whole = grid("digits", ["vae(2)", "iwae(2)"], (0,), model, train)
    first = [dataclasses.replace(run, until=1, looks=(1, 3)) for run in whole]
    later = [dataclasses.replace(run, looks=(1, 3)) for run in first]
    store = Store(tmp_path)
    store.train(first, quiet)
    assert store.missing(first) == []
    last = [dataclasses.replace(run, until=None) for run in later]
    assert store.missing(last) == last
    store.train(last, quiet)
    [folder] = tmp_path.iterdir()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert {line["epoch"] for line in lines if "log_p_hat" in line} == {1, 3}
    # What has gone further is enough for the prefix too.
    assert store.missing(first) == []


def test_a_study_can_be_concluded_from_what_is_trained_so_far(tmp_path):
    """Of three methods one is trained for one epoch of three, and another is in training."""
    model, train = ModelConfig(hidden=(4,), latents=2), TrainConfig(epochs=3, batch_size=400)
    methods = ["vae(2)", "iwae(2)", "iwae(3)"]
    plans = [
        dataclasses.replace(run, looks=(1, 3))
        for run in grid("digits", methods, (0,), model, train)
    ]
    study = dataclasses.replace(
        STUDIES["curves"], runs=lambda _: plans, conclude=lambda *_: s.Findings([], [])
    )
    preset = chosen(study, "quick", num_data=20, as_trained=True)
    assert preset.name == "quick, as far as trained"
    store, out = Store(tmp_path / "runs"), tmp_path / "curves"
    with pytest.raises(InputError, match=r"expected runs of curves in .*; got none\. Train some"):
        perform(study, preset, store, out, quiet)
    assert not out.exists()
    for method in plans[:2]:
        store.train([dataclasses.replace(method, until=1)], quiet)
    with (
        claimed(store.place([plans[1]])),
        pytest.warns(ElbaxWarning, match=r"is left out: process .* is at work in it"),
    ):
        [run] = perform(study, preset, store, out, quiet)["runs"]
    assert (run["label"], run["epochs"], len(run["looks"])) == ("VAE(2)", 1, 1)
    assert set(run["looks"][0]) == {"epoch", "iwae_64", "log_p_hat", "log_p_hat_error"}
    assert store.missing(plans) == plans


# ------------------------------------------------------------------ by epochs and annealing


def test_mcvae_shows_each_column_that_was_reached_beside_the_paper_s():
    study = STUDIES["mcvae"]
    preset = chosen(study, "paper", until=30)
    nll = {"VAE(1)": 90.0, "IWAE(10)": 88.5, "IWAE(50)": 89.4}
    runs = []
    for plan in study.planned(preset):
        values = [{"epoch": 10, "ais": -nll[plan.label], "log_p_hat": -nll[plan.label] - 0.2}]
        runs.append(planted(plan, bounds_of(-nll[plan.label], -1.0), curve=values))
    findings = study.conclude(preset, s.Found(Store(Path("nowhere")), runs), quiet)
    table = findings.exhibits[0]
    assert table.columns == ["", "10 epochs"]
    assert [row[1] for row in table.rows[:3]] == ["90.00", "90.20", "89.83"]
    published = {verdict.claim: verdict.published for verdict in findings.verdicts}
    assert published == {
        "IWAE(10) has a higher log p-hat than VAE(1)": pytest.approx(1.29),
        "IWAE(10) has a higher log p-hat than IWAE(50)": pytest.approx(0.86),
    }
    assert {verdict.verdict for verdict in findings.verdicts} == {v.REPRODUCED}


def test_annealing_adds_to_log_p_hat_what_samples_fall_short_of():
    """A linear-Gaussian model, far from its data: 64 samples are short, annealing is not."""
    model = linear_gaussian(6, 3, key=jax.random.key(0))
    x = 3 * np.random.default_rng(1).normal(size=(200, 6)).astype(np.float32)
    dataset = Dataset(name="x", train=x, test=x)
    look = Look(RunSpec("iwae(k=4)", 0), model, elbax.iwae(4), 2, {})
    found = log_p_hat_at((2,), dataset, k=128, corrected=200, annealed=200)(look)
    exact = float(np.mean(jax.vmap(model.generative.log_marginal)(x)))
    assert exact - found["log_p_hat"] > 3 * found["ais_error"] > 0
    assert abs(found["ais"] - exact) < 4 * found["ais_error"]
