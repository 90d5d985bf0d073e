"""Every study on planted runs: where the paper's numbers are planted, its claims come out so."""

import dataclasses
import importlib
import json
import pkgutil
from pathlib import Path

import jax
import numpy as np
import pytest

from elbax._errors import InputError, RunFailedError
from elbax._files import finite
from elbax.exhibits import plus_minus
from elbax.models.build import build
from elbax.models.config import ModelConfig
from elbax.report import figures
from elbax.spelling import describe, parse
from elbax.studies import papers
from elbax.studies import study as s
from elbax.studies import verdicts as v
from elbax.studies.papers import iwae_table, log_expectation, table1, two_stage
from elbax.studies.papers.catalogue import STUDIES
from elbax.studies.perform import chosen, perform
from elbax.studies.store import Store

from .planted import bounds_of, lost, planted

PUBLISHED = dict(
    zip(
        table1.LABELS,
        zip(table1._PUBLISHED["log_p_hat"], table1._PUBLISHED["gap_64"], strict=True),
        strict=True,
    )
)


def quiet(what, done):
    pass


def preset_of(name, kind="quick"):
    return STUDIES[name].presets[kind]


def concluded(name, results, preset=None):
    """What a study concludes of planted runs; `results` maps a plan to arguments of `planted`."""
    preset = preset or preset_of(name)
    runs = [planted(plan, **results(plan)) for plan in STUDIES[name].runs(preset)]
    found = s.Found(Store(Path("nowhere")), runs)
    return STUDIES[name].conclude(preset, found, quiet)


def by_claim(findings):
    return {verdict.claim: verdict.verdict for verdict in findings.verdicts}


def test_table1_confirms_the_paper_on_its_own_numbers():
    """Its PIWAE(4,16) leads IWAE in log p-hat by 0.12 nats, which these errors resolve."""
    paper = dataclasses.replace(preset_of("table1", "paper"), epochs={"mnist": 3280})
    findings = concluded("table1", lambda p: {"bounds": bounds_of(*PUBLISHED[p.label])}, paper)
    assert set(by_claim(findings).values()) == {v.REPRODUCED}
    assert len(findings.verdicts) == 8 + 8
    row = next(row for row in findings.exhibits[0].rows if row[0] == "MIWAE(8,8)")
    assert row[2] == "-85.69 ± 0.04"
    assert row[1].startswith(("-85.6", "-85.7"))


def test_table1_refutes_the_paper_where_everything_is_upside_down():
    flipped = {name: (-84.0 - (score + 85.0), gap) for name, (score, gap) in PUBLISHED.items()}
    findings = concluded("table1", lambda p: {"bounds": bounds_of(*flipped[p.label])})
    verdicts = by_claim(findings)
    assert verdicts["digits: the VAE has the lowest log p-hat"] == v.NOT_REPRODUCED
    assert verdicts["digits: the VAE's gap_64 is the smallest"] == v.REPRODUCED
    assert verdicts["MNIST: every method's log p-hat is the published one"] == v.NOT_TESTABLE


def test_the_tables_of_burda_come_out_on_their_own_numbers():
    def results(plan):
        depth = len(plan.model.layers)
        place = 0 if plan.method.startswith("vae") else 1
        cell = iwae_table._PUBLISHED["mnist"][depth, plan.num_samples][place]
        nll, units = cell.split()
        counts = tuple(int(count) for count in units.strip("()").split("+"))
        return {"bounds": bounds_of(-float(nll), -0.5), "units": counts}

    standard = dataclasses.replace(preset_of("iwae-table", "standard"), epochs={"mnist": 10})
    findings = concluded("iwae-table", results, standard)
    assert set(by_claim(findings).values()) == {v.REPRODUCED}
    last = findings.exhibits[0].rows[-1]
    assert last[0] == "2 layers, k = 50"
    assert last[3].endswith("(26+7)")
    assert last[4] == "82.90 (26+7)"

    def stages(plan):
        nll, _ = two_stage._PUBLISHED[plan.label].split()
        return {"bounds": bounds_of(-float(nll), -0.5)}

    assert set(by_claim(concluded("two-stage", stages)).values()) == {v.REPRODUCED}


def test_warmup_and_discrete_name_what_is_planted():
    def warm(plan):
        better = "warmup" in plan.method
        return {"bounds": bounds_of(-24.0 + better, -0.5), "units": (20, 5 + 3 * better)}

    assert set(by_claim(concluded("warmup", warm)).values()) == {v.REPRODUCED}

    def equal(plan):
        return {"bounds": bounds_of(-24.0, -0.5)}

    assert set(by_claim(concluded("discrete", equal)).values()) == {v.NOT_TESTABLE}


def test_methods_are_spelled_as_their_runs_will_be():
    """A study finds its runs by the labels of its texts, and "ovis:0" is not "ovis:0.0"."""
    names = [module.name for module in pkgutil.iter_modules(papers.__path__)]
    modules = [importlib.import_module(f"{papers.__name__}.{name}") for name in names]
    texts = [text for module in modules for text in getattr(module, "METHODS", ()) if "=" in text]
    assert len(texts) > 10
    assert [describe(parse(text)) for text in texts] == texts


def test_beta_tells_the_degenerate_rules_from_the_other():
    def results(plan):
        start = float(plan.method.split("beta=")[1].split(",")[0].strip(")"))
        ends = {"ascend": 0.0, "descend": 1.0, "noise": 0.6}
        rule = next((rule for rule in ends if rule in plan.method), None)
        curve = [
            {"epoch": e, "beta": start + (ends[rule] - start) * e / 20} for e in (1, 20) if rule
        ]
        return {"bounds": bounds_of(-80 - (0 if rule else 5 * start), -0.5), "curve": curve}

    findings = concluded("beta", results)
    assert set(by_claim(findings).values()) == {v.REPRODUCED}
    table = findings.exhibits[0]
    assert [row[3] for row in table.rows] == [
        "0.10, 0.35, 0.65, 0.90", "0.60, 0.60, 0.60, 0.60",
        "0.00, 0.00, 0.00, 0.00", "1.00, 1.00, 1.00, 1.00",
    ]  # fmt: skip


def test_curves_are_paired_by_seed_and_rolled():
    def results(plan):
        ahead = 0.5 if plan.label in (table1.MIWAE8, table1.PIWAE8) else 0.0
        level = -24.0 + 0.01 * plan.seed + ahead
        curve = [
            {"epoch": e, "iwae_64": level - 4 / e, "iwae_512": level - 3 / e} for e in range(1, 31)
        ]
        return {"bounds": bounds_of(-24.0, -0.5), "curve": curve}

    findings = concluded("curves", results)
    assert set(by_claim(findings).values()) == {v.REPRODUCED}
    gap = next(one for one in findings.exhibits if one.name == "digits-gap").lines[0]
    exact = [-1 / e for e in (28, 29, 30)]
    assert gap["y"][-1] == pytest.approx(np.mean(exact))


def test_two_points_are_what_every_outcome_gives():
    ks = np.array([1, 2, 3])
    a, b = 1.0, 9.0
    by_hand = [
        np.mean([np.log(np.mean([(a, b)[i] for i in pick])) for pick in np.ndindex(*(2,) * k)])
        for k in ks
    ]
    np.testing.assert_allclose(log_expectation.two_points(a, b, ks), by_hand, rtol=1e-12)


@pytest.mark.parametrize("name", ["reconstructions", "generalization", "manifold"])
def test_studies_that_look_at_models_show_them(name, tmp_path):
    """Untrained models: what is looked at is another matter than how it looks."""
    preset = dataclasses.replace(preset_of(name), seeds=(0, 1), num_data=12)
    model = build((8, 8), ModelConfig(hidden=(4,), latents=2), key=jax.random.key(0))
    runs = [planted(plan, bounds_of(-24.0, -0.5)) for plan in STUDIES[name].runs(preset)]
    for run in runs:
        run.__dict__["model"] = model
    findings = STUDIES[name].conclude(preset, s.Found(Store(tmp_path), runs), quiet)
    shown = [one for one in findings.exhibits if one.kind == "images"]
    assert shown
    for exhibit in shown:
        assert all(array.shape[1:] == (8, 8) for array in exhibit.arrays().values())
    # Equal models cannot be told apart.
    assert v.REPRODUCED not in by_claim(findings).values()


@pytest.mark.parametrize("which", ["all", "first", "every other"])
@pytest.mark.parametrize("name", [name for name in STUDIES if name != "snr"])  # it trains none
def test_runs_that_diverged_end_no_study(name, which, tmp_path):
    preset = dataclasses.replace(preset_of(name), seeds=(0, 1), num_data=12)
    curve = [{"epoch": 1, "iwae_64": -30.0, "iwae_512": -29.0, "beta": 0.5, "grad_norm": 1.0}]
    model = build((8, 8), ModelConfig(hidden=(4,), latents=2), key=jax.random.key(0))
    runs = []
    for place, plan in enumerate(STUDIES[name].runs(preset)):
        gone = which == "all" or (place % 2 == 0 and (place == 0 or which != "first"))
        runs.append(lost(plan) if gone else planted(plan, bounds_of(-24.0, -0.5), curve=curve))
        runs[-1].__dict__["model"] = model
    findings = STUDIES[name].conclude(preset, s.Found(Store(tmp_path), runs), quiet)
    of_runs = [one for one in findings.verdicts if not one.claim.startswith("Two points")]
    if which == "all":
        assert {one.verdict for one in of_runs} <= {v.NOT_TESTABLE}
    for exhibit in findings.exhibits:
        json.dumps(finite(exhibit.content()))
        if exhibit.kind != "table" and not figures.is_empty(exhibit):
            figures.figure_of(exhibit)


def test_a_study_with_bounds_that_contradict_fails(tmp_path, monkeypatch):
    study = STUDIES["log-expectation"]
    broken = {**bounds_of(-24.0, -0.5), "iwae_64": -20.0}
    runs = [planted(plan, broken) for plan in study.runs(study.presets["quick"])]
    monkeypatch.setattr(Store, "train", lambda *_: None)
    monkeypatch.setattr(Store, "evaluate", lambda *_: runs)
    with pytest.raises(RunFailedError, match=r"log-expectation failed: .* lies above"):
        perform(study, study.presets["quick"], Store(tmp_path), tmp_path / "out", quiet)
    assert not (tmp_path / "out").exists()


def test_presets_take_what_the_user_says():
    study = STUDIES["table1"]
    changed = chosen(study, "standard", data=("omniglot",), epochs=2, seeds=(5,), size="larger")
    assert changed.epochs == {"omniglot": 2}
    assert changed.seeds == (5,)
    assert changed.model.latents == 20
    assert chosen(study, "paper").is_paper
    assert not chosen(study, "paper", epochs=10).is_paper
    for wrong, message in (
        ({"preset": "fast"}, "unknown preset"),
        ({"preset": "quick", "epochs": 0}, "--epochs >= 1"),
        ({"preset": "quick", "seeds": (1, 1)}, "different seeds"),
    ):
        with pytest.raises(InputError, match=message):
            chosen(study, **wrong)


def test_spread_over_seeds_is_told_with_ddof_one():
    assert plus_minus([-85.0, -86.0, -87.0]) == "-86.00 ± 1.00"
