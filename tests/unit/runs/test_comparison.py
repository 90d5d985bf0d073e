"""The comparison: means and errors by hand, differences paired, and the sentence on top."""

import numpy as np
import pytest
import scipy.stats

from elbax.runs import metrics
from elbax.runs.comparison import TO_BEST, answer, comparison, runs


def column(table, name):
    return [row[table.columns.index(name)] for row in table.rows]


def test_columns_carry_the_terms_of_the_field(results):
    assert comparison(results).columns == [
        "method", "IWAE-64", "log p-hat", TO_BEST, "gap_64", "gap_1", "active units", "ESS", "SSIM",
    ]  # fmt: skip


def test_columns_follow_the_ks_of_the_evaluation():
    names = [metric.name for metric in metrics.headline([5000, 1, 8, 64])]
    bounds = ["IWAE-64", "IWAE-8", "log p-hat", "bits/dim"]
    assert names[:7] == [*bounds, "gap_64", "gap_8", "gap_1"]
    assert [m.name for m in metrics.every([1])][:1] == ["log p-hat"]
    assert [m.name for m in metrics.every([1, 64])][:2] == ["IWAE-1", "log p-hat"]


@pytest.mark.parametrize(
    ("name", "key", "decimals"),
    [("IWAE-64", "iwae_64", 2), ("gap_1", "gap_1", 3), ("ESS", "ess", 1), ("SSIM", "ssim", 3)],
)
def test_means_and_sds_are_numpy_s(results, name, key, decimals):
    cells = column(comparison(results), name)
    for place, cell in enumerate(cells):
        values = [run["metrics"][key] for run in results["runs"][3 * place : 3 * place + 3]]
        mean, sd = np.mean(values), np.std(values, ddof=1)
        assert cell == f"{mean:.{decimals}f} ± {sd:.{decimals}f}"


def test_by_hand():
    def run(method, value):
        return {"name": method, "method": method, "label": method, "status": "ok",
                "metrics": {"iwae_64": value, "log_p_hat": -1.0}}  # fmt: skip

    values = {"a": [-1.0, -2.0, -3.0], "b": [-4.0, -6.0]}
    results = {
        "dataset": {"name": "toy"},
        "evaluation": {"ks": [64, 5000], "num_data": 10},
        "runs": [run(method, value) for method, some in values.items() for value in some],
    }
    table = comparison(results)
    assert column(table, "IWAE-64") == ["-2.00 ± 1.00", "-5.00 ± 1.41"]
    assert "± is the sd over seeds (ddof 1): a 3, b 2." in table.notes


def test_differences_to_the_best_are_paired_and_decide_what_is_in_bold(results, per_datum):
    table = comparison(results, per_datum)
    means = [np.mean(per_datum["bounds"][3 * m : 3 * m + 3, -1]) for m in range(5)]
    best = int(np.argmax(means))
    tied = []
    for place in range(5):
        mine, its = (per_datum["bounds"][3 * m : 3 * m + 3, -1] for m in (place, best))
        difference = mine.astype(float) - its
        over_seeds = difference.mean(axis=1).std(ddof=1) / 3**0.5
        error = np.hypot(over_seeds, difference.mean(axis=0).std(ddof=1) / 360**0.5)
        cell = column(table, TO_BEST)[place]
        assert cell == ("best" if place == best else f"{difference.mean():.2f} ± {error:.2f}")
        if place == best or abs(difference.mean()) <= scipy.stats.t.ppf(0.975, 2) * error:
            tied.append((place, table.columns.index("log p-hat")))
    assert list(table.strong) == tied
    assert 1 < len(tied) < 5  # the planted results hold both
    assert "Bold: the best log p-hat, and those within its error." in table.notes


def test_without_values_of_every_datum_differences_have_no_error(results):
    table = comparison(results)
    assert not any("±" in cell for cell in column(table, TO_BEST))
    assert any("without the values of every datum" in note for note in table.notes)
    assert "differences have no error here" in answer(results)


def test_the_answer_names_the_best_and_those_it_is_not_told_apart_from(results, per_datum):
    assert answer(results, per_datum).startswith("PIWAE(8, 8) has the highest log p-hat, -23.")
    assert "IWAE(64)" in answer(results, per_datum)
    far = per_datum | {"bounds": per_datum["bounds"].copy()}
    far["bounds"][9:12] += 3
    for run in results["runs"][9:12]:
        run["metrics"]["log_p_hat"] += 3
    told = answer(results, far)
    assert told.startswith("PIWAE(8, 8) has the best log p-hat, -20.")
    assert " over IWAE(64), paired." in told or " over MIWAE(8, 8), paired." in told
    results["runs"] = results["runs"][:1]
    assert answer(results).startswith("VAE(64) reaches a log p-hat of -24.")
    results["runs"][0].update(status="diverged", metrics={})
    assert answer(results) == "No run finished with a log p-hat."


def test_a_seed_without_its_partner_is_not_paired(results, per_datum):
    for row in (9, 10, 11):
        results["runs"][row]["seed"] = 7 + row
    assert "no error" in answer(results, per_datum)


def test_columns_that_say_the_same_of_all_are_a_note(results):
    for run in results["runs"]:
        run["metrics"]["active_units"] = 20.0
    table = comparison(results)
    assert "active units" not in table.columns
    assert "active units: 20.0 ± 0.0 for every method." in table.notes


def test_training_data_are_not_called_held_out(results):
    assert comparison(results).title.startswith("Held-out comparison on")
    results["dataset"]["held_out"] = False
    assert comparison(results).title.startswith("Comparison on")


def test_one_method_is_not_marked(results):
    results["runs"] = results["runs"][:3]
    assert comparison(results).strong == []
    assert TO_BEST not in comparison(results).columns


def test_single_seed_has_the_standard_error_over_data_and_the_note_says_so(results):
    results["runs"] = results["runs"][::3]
    table = comparison(results)
    first = results["runs"][0]["metrics"]
    assert column(table, "IWAE-64")[0] == f"{first['iwae_64']:.2f} ± 0.29"
    assert column(table, "active units")[0] == f"{first['active_units']:.0f}"
    assert column(table, "SSIM")[0] == f"{first['ssim']:.3f}"
    assert "One seed: ± is the standard error over the data, not over seeds." in table.notes
    assert not any("sd over" in note for note in table.notes)


def test_mixed_seeds_name_the_methods_with_one(results):
    del results["runs"][1:3]
    notes = comparison(results).notes
    assert "± is the sd over 3 seeds (ddof 1)." in notes
    assert any(note.startswith("One seed for VAE(64): ±") for note in notes)


def test_diverged_runs_are_left_out_and_counted(results):
    results["runs"][4]["status"] = "diverged"
    results["runs"][4]["metrics"] = dict.fromkeys(results["runs"][4]["metrics"], float("nan"))
    for run in results["runs"][:3]:
        run["status"] = "diverged"
    table = comparison(results)
    kept = [results["runs"][i]["metrics"]["iwae_64"] for i in (3, 5)]
    assert column(table, "IWAE-64")[0] == "-"
    assert column(table, "IWAE-64")[1].startswith(f"{np.mean(kept):.2f} ±")
    note = "Diverged runs, left out of the means: VAE(64) 3 of 3, IWAE(64) 1 of 3."
    assert note in table.notes


def test_what_was_not_measured_is_left_out(results):
    for run in results["runs"]:
        run["metrics"]["ssim"] = None
    results["runs"][0]["metrics"]["ess"] = None
    table = comparison(results)
    assert "SSIM" not in table.columns
    assert "active units, ESS." in table.notes[0]


def test_values_that_were_not_finite_are_told(results):
    what = "Values that were not finite (NaN or infinite), left out of the means: VAE(64)"
    results["runs"][0]["num_nonfinite"] = {"iwae_1": 4, "gap_1": 4, "log_p_hat": 0}
    assert f"{what} 4 of iwae_1, 4 of gap_1." in comparison(results).notes
    results["runs"][0]["num_nonfinite"] = 4  # results of before
    assert f"{what} 4 of every metric." in comparison(results).notes


def test_every_run_has_its_row(results):
    results["runs"][2]["status"] = "diverged"
    table = runs(results)
    assert len(table.rows) == 15
    assert table.rows[2][:2] == ("vae-seed2", "diverged")
    assert table.rows[0][-1].endswith("± 0.112")
    results["runs"][2]["status"] = "ok"
    assert "status" not in runs(results).columns
