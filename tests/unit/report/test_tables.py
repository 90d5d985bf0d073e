import numpy as np
import pytest

from elbax.report import metrics
from elbax.report.tables import Cell, Table, comparison, runs, to_html, to_markdown, to_text


def column(table, name):
    return [row[table.columns.index(name)] for row in table.rows]


def test_columns_carry_the_terms_of_the_field(results):
    assert comparison(results).columns == (
        "method", "IWAE-64", "log p-hat", "gap_64", "gap_1", "active units", "ESS", "SSIM",
    )  # fmt: skip


def test_columns_follow_the_ks_of_the_evaluation():
    names = [metric.name for metric in metrics.headline([5000, 1, 8, 64])]
    assert names[:6] == ["IWAE-64", "IWAE-8", "log p-hat", "gap_64", "gap_8", "gap_1"]
    assert [m.name for m in metrics.every([1])][:1] == ["log p-hat"]
    assert [m.name for m in metrics.every([1, 64])][:2] == ["IWAE-1", "log p-hat"]


@pytest.mark.parametrize(
    ("name", "key", "decimals"),
    [("IWAE-64", "iwae_64", 2), ("gap_1", "gap_1", 2), ("ESS", "ess", 1), ("SSIM", "ssim", 3)],
)
def test_means_and_sds_are_numpy_s(results, name, key, decimals):
    cells = column(comparison(results), name)
    for place, cell in enumerate(cells):
        values = [run["metrics"][key] for run in results["runs"][3 * place : 3 * place + 3]]
        mean, sd = np.mean(values), np.std(values, ddof=1)
        assert cell.text == f"{mean:.{decimals}f} ± {sd:.{decimals}f}"


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
    assert [c.text for c in column(table, "IWAE-64")] == ["-2.00 ± 1.00", "-5.00 ± 1.41"]
    assert [c.best for c in column(table, "IWAE-64")] == [True, False]
    assert [c.best for c in column(table, "log p-hat")] == [True, True]  # they print alike
    assert "± is the sd over seeds (ddof 1): a 3, b 2." in table.notes


def test_best_is_high_for_scores_near_zero_for_gaps_and_none_for_counts(results):
    table = comparison(results)
    for name in ("IWAE-64", "log p-hat", "ESS", "SSIM"):
        means = [float(cell.text.split(" ")[0]) for cell in column(table, name)]
        assert [c.best for c in column(table, name)] == [m == max(means) for m in means]
    for name in ("gap_64", "gap_1"):
        gaps = [abs(float(cell.text.split(" ")[0])) for cell in column(table, name)]
        assert [c.best for c in column(table, name)] == [g == min(gaps) for g in gaps]
    assert not any(cell.best for cell in column(table, "active units"))


def test_training_data_are_not_called_held_out(results):
    assert comparison(results).title.startswith("Held-out comparison on")
    results["dataset"]["held_out"] = False
    assert comparison(results).title.startswith("Comparison on")


def test_one_method_is_not_marked(results):
    results["runs"] = results["runs"][:3]
    assert not comparison(results).marked


def test_single_seed_has_the_standard_error_over_data_and_the_note_says_so(results):
    results["runs"] = results["runs"][::3]
    table = comparison(results)
    first = results["runs"][0]["metrics"]
    assert column(table, "IWAE-64")[0].text == f"{first['iwae_64']:.2f} ± 0.29"
    assert column(table, "active units")[0].text == f"{first['active_units']:.0f}"
    assert column(table, "SSIM")[0].text == f"{first['ssim']:.3f}"
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
    assert column(table, "IWAE-64")[0].text == "-"
    assert column(table, "IWAE-64")[1].text.startswith(f"{np.mean(kept):.2f} ±")
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
    assert [cell.text for cell in table.rows[2][:2]] == ["vae-seed2", "diverged"]
    assert table.rows[0][-1].text.endswith("± 0.112")


@pytest.mark.parametrize("num_methods", [1, 5, 8])
def test_text_fits_eighty_columns(results, num_methods):
    base = results["runs"][:3]
    results["runs"] = [
        {**run, "method": f"m{i}", "label": f"PIWAE({i}, 8)", "metrics": {
            **run["metrics"], "iwae_64": -1234.5 - i, "ess": 4321.5}}
        for i in range(num_methods) for run in base
    ]  # fmt: skip
    lines = to_text(comparison(results)).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(f"PIWAE({i}, 8)" in "\n".join(lines) for i in range(num_methods))
    assert max(map(len, to_text(runs(results)).splitlines())) <= 80


def test_text_survives_a_long_label(results):
    results["runs"][0]["label"] = "a label " * 30
    text = to_text(comparison(results))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" in text


def test_text_marks_the_best(results):
    text = to_text(comparison(results))
    assert "*: best of its column (for gaps: nearest to 0)." in text
    assert text.count("*") == 7  # four scores, two gaps, the note
    assert not any(line != line.rstrip() for line in text.splitlines())


EVIL = Table(
    title="<b>&",
    columns=("method", "gap_1"),
    rows=((Cell('<script>"x"</script> | *a* `b`\n_c_'), Cell("1.0", best=True)),),
    notes=("<i>",),
)


def test_html_escapes():
    html = to_html(EVIL)
    assert "<script" not in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert "&lt;script&gt;&quot;x&quot;" in html
    assert '<td class="best"><strong>1.0</strong></td>' in html
    assert '<th scope="row"' in html


def test_markdown_escapes():
    lines = to_markdown(EVIL).splitlines()
    assert lines[2] == r"| method | gap\_1 |"
    assert lines[4] == r'| \<script\>"x"\</script\> \| \*a\* \`b\` \_c\_ | **1.0** |'


def test_markdown_has_as_many_cells_in_each_row(results):
    lines = [line for line in to_markdown(comparison(results)).splitlines() if line[:1] == "|"]
    assert len(lines) == 7
    assert {line.count("|") for line in lines} == {9}
