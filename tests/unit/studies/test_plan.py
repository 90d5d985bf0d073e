"""Plans: fleets, names, estimates; and that every study's plan is one that can be trained."""

from dataclasses import replace

import pytest

from elbax.data.load import load_data
from elbax.models.config import REFERENCE, SMALL
from elbax.studies import plan
from elbax.studies.papers.catalogue import STUDIES
from elbax.studies.plan import PlannedRun, fleets, grid, with_starts
from elbax.training.config import TrainConfig

TRAIN = TrainConfig(epochs=2)


def test_methods_are_spelled_in_one_way():
    first, second = (
        PlannedRun("digits", spec, 0, SMALL, TRAIN) for spec in ("iwae(64)", "iwae( k = 64 )")
    )
    assert first == second
    assert first.method == "iwae(k=64)"


def test_fleets_hold_a_product_of_methods_and_seeds():
    runs = grid("digits", ["vae(4)", "iwae(4)"], (0, 1), SMALL, TRAIN)
    runs += grid("digits", ["miwae(2, 2)"], (1,), SMALL, TRAIN)
    runs += grid("digits", ["iwae(8)"], (0,), SMALL, TRAIN)
    found = fleets([*runs, *runs])
    assert [len(fleet) for fleet in found] == [4, 1, 1]


def test_starts_come_before_what_starts_from_them():
    first = grid("digits", ["vae(4)"], (0, 1), SMALL, TRAIN)
    second = grid("digits", ["iwae(4)"], (0, 1), SMALL, TRAIN, starts=first)
    assert second[1].start == first[1]
    assert second[0].label == "IWAE(4) from VAE(4)"
    assert with_starts(second) == [first[0], second[0], first[1], second[1]]
    assert fleets(with_starts(second)) == [first, second]


@pytest.mark.parametrize("preset", ["quick", "standard", "paper"])
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_plans_runs_that_parse_and_are_different(name, preset):
    study = STUDIES[name]
    runs = study.runs(study.presets[preset])
    assert len(set(runs)) == len(runs)
    for fleet in fleets(with_starts(runs)):
        assert len({run.num_samples for run in fleet}) == 1
        assert len({run.seed for run in fleet}) * len({run.method for run in fleet}) == len(fleet)


def test_studies_share_runs():
    def quick(name):
        return set(STUDIES[name].runs(STUDIES[name].presets["quick"]))

    assert quick("curves") == quick("reconstructions") == quick("table1")
    assert quick("generalization") < quick("table1")
    assert quick("log-expectation") < quick("table1")


def test_the_paper_s_protocol_is_that_of_the_paper():
    [run, *_] = STUDIES["table1"].runs(STUDIES["table1"].presets["paper"])
    assert (run.data, run.model) == ("mnist", REFERENCE)
    assert run.train == TrainConfig(epochs=3280, schedule="burda", learning_rate=1e-3)


def test_a_bigger_plan_takes_longer():
    digits = load_data("digits")
    small = grid("digits", ["iwae(8)"], (0,), SMALL, TRAIN)
    more = {
        "seeds": grid("digits", ["iwae(8)"], (0, 1, 2), SMALL, TRAIN),
        "samples": grid("digits", ["iwae(512)"], (0,), SMALL, TRAIN),
        "model": grid("digits", ["iwae(8)"], (0,), REFERENCE, TRAIN),
        "epochs": grid("digits", ["iwae(8)"], (0,), SMALL, replace(TRAIN, epochs=50)),
    }
    rate = 1e9
    least = plan.seconds_of_training(small, digits, rate)
    assert all(plan.seconds_of_training(runs, digits, rate) > least for runs in more.values())
    # 1000 samples x 10 data x (20 x 100 + 100 + 100 x 64 + 64) multiply-adds, by hand.
    products = 1000 * 10 * (20 * 100 + 100 + 100 * 64 + 64)
    assert plan.seconds_of_evaluation(small, digits, 1000, 10, rate) == pytest.approx(
        products / rate
    )
