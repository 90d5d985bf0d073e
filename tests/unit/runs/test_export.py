"""What is written for other programs is what was found, to the last digit."""

import csv
import json

import numpy as np
import pytest

import elbax
from elbax.exhibits import TableExhibit
from elbax.report.export import write_table
from elbax.report.tables import to_latex
from elbax.runs.export import write_values

KS = [1, 4, 16]


def entry(name, method, seed, log_p_hat, status="ok"):
    metrics = {"iwae_1": -9.5, "iwae_4": -9.25, "log_p_hat": log_p_hat, "ess": 3.125}
    label = method.upper().replace("(M=4)", "(4)").replace("(K=4)", "(4)")
    numbers = {"metrics": metrics, "standard_errors": {"log_p_hat": 0.0625}}
    return {
        "name": name,
        "method": method,
        "label": label,
        "seed": seed,
        "status": status,
    } | numbers


RUNS = [
    entry("vae-m4-seed0", "vae(m=4)", 0, -9.0),
    entry("vae-m4-seed1", "vae(m=4)", 1, -8.0),
    entry("vae-m4-seed2", "vae(m=4)", 2, -1.0, "diverged"),
    entry("iwae-k4-seed0", "iwae(k=4)", 0, -8.75),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An evaluation of four runs on five data, as `elbax evaluate` leaves it."""
    path = tmp_path_factory.mktemp("runs")
    evaluation = {"ks": KS, "num_data": 5, "seed": 0}
    results = {"format": 1, "dataset": {"name": "own"}, "evaluation": evaluation, "training": {}}
    (path / "results.json").write_text(json.dumps(results | {"runs": RUNS}))
    rng = np.random.default_rng(0)
    bounds = rng.normal(scale=100, size=(4, 3, 5)).astype(np.float32)
    bounds[0, 0, 0], bounds[1, 1, 1], bounds[2, 2, 2] = 1e-7, np.nan, -np.inf
    finite = np.isfinite(bounds).all(axis=1)
    ess = rng.uniform(1, 16, size=(4, 5)).astype(np.float32)
    np.savez(path / "per_datum.npz", bounds=bounds, finite=finite, ess=ess)
    return path


def means():
    rng = np.random.default_rng(1)
    return [rng.normal(size=(4, 5, size)).astype(np.float32) for size in (3, 2)]


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_csv_holds_every_number_of_the_evaluation(folder, tmp_path):
    out = tmp_path / "values.csv"
    write_values(folder, out, means=means())
    rows = read_csv(out)
    assert [(row["run"], row["datum"]) for row in rows] == [
        (run["name"], str(datum)) for run in RUNS for datum in range(5)
    ]
    assert [row["method"] for row in rows[::5]] == [run["method"] for run in RUNS]
    assert [row["seed"] for row in rows[::5]] == ["0", "1", "2", "0"]

    def column(name):
        return np.array([row[name] for row in rows], np.float32).reshape(4, 5)

    with np.load(folder / "per_datum.npz") as found:
        for k, name in enumerate(["iwae_1", "iwae_4", "log_p_hat"]):
            np.testing.assert_array_equal(column(name), found["bounds"][:, k])
        np.testing.assert_array_equal(column("ess"), found["ess"])
        np.testing.assert_array_equal(column("finite").astype(bool), found["finite"])
    for layer, array in enumerate(means(), start=1):
        for unit in range(array.shape[-1]):
            np.testing.assert_array_equal(column(f"z{layer}_{unit + 1}"), array[..., unit])


def test_an_npz_holds_the_same_as_arrays(folder, tmp_path):
    shapes = write_values(folder, tmp_path / "values.npz", means=means())
    with np.load(tmp_path / "values.npz", allow_pickle=False) as written:
        assert {name: list(written[name].shape) for name in written.files} == shapes
        assert written["runs"].tolist() == [run["name"] for run in RUNS]
        assert written["ks"].tolist() == KS
        np.testing.assert_array_equal(written["z2"], means()[1])
        with np.load(folder / "per_datum.npz") as found:
            for name in found.files:
                np.testing.assert_array_equal(written[name], found[name])


def test_the_comparison_as_csv_has_means_and_what_their_errors_are(folder, tmp_path):
    write_table(folder, tmp_path / "table.csv")
    rows = {(row["method"], row["metric"]): row for row in read_csv(tmp_path / "table.csv")}
    several, single = rows["VAE(4)", "log_p_hat"], rows["IWAE(4)", "log_p_hat"]
    # The diverged run is left out: -9 and -8.
    assert (float(several["mean"]), several["num_runs"]) == (-8.5, "2")
    assert float(several["error"]) == pytest.approx(0.5**0.5, rel=1e-15)
    assert several["error_is"] == "sd over seeds"
    assert (single["mean"], single["error"]) == ("-8.75", "0.0625")
    assert single["error_is"] == "standard error over data"
    assert rows["IWAE(4)", "iwae_4"]["error"] == ""
    assert ("VAE(4)", "ssim") not in rows


def test_the_comparison_as_markdown_and_latex_is_the_table_as_printed(folder, tmp_path):
    for name in ("table.md", "table.tex"):
        write_table(folder, tmp_path / name)
    markdown, latex = ((tmp_path / f"table.{kind}").read_text() for kind in ("md", "tex"))
    assert "**-8.50 ± 0.71**" in markdown
    assert r"$\mathbf{-8.50 \pm 0.71}$" in latex
    assert "Diverged runs" in latex.partition(r"\begin{tabular}")[0]
    body = [line for line in latex.splitlines() if line.endswith(r" \\")]
    columns = latex.partition(r"\begin{tabular}{")[2].partition("}")[0]
    assert [line.count(" & ") + 1 for line in body] == [len(columns)] * 3


def test_what_latex_would_read_as_a_command_is_escaped():
    row = ("a_b & 50% #1 {x} ~^\\", "-", "26+7", "not testable")
    columns = ("method", "gap_1", "units", "verdict")
    table = TableExhibit("t", "100%\nsure", "", columns, [row], ["Bold: best."], [(0, 2)])
    latex = to_latex(table)
    assert r"a\_b \& 50\% \#1 \{x\} \textasciitilde{}\textasciicircum{}\textbackslash{}" in latex
    assert r"& -- & $\mathbf{26+7}$ & not testable \\" in latex
    assert r"gap\_1" in latex
    assert latex.startswith("% 100% sure\n% Bold")


def test_what_does_not_fit_is_refused_and_nothing_written(folder, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "results.json").write_bytes((folder / "results.json").read_bytes())
    out = tmp_path / "out.csv"
    with pytest.raises(elbax.InputError, match=r"cannot read .*per_datum\.npz.*again"):
        write_values(copy, out)
    np.savez(copy / "per_datum.npz", bounds=np.zeros((4, 3, 6)), finite=np.ones((4, 6), bool))
    with pytest.raises(elbax.InputError, match=r"to hold bounds \[4, 3, 5\] .*\[4, 3, 6\]"):
        write_values(copy, out)
    with pytest.raises(elbax.InputError, match=r"to end in \.csv, \.npz; got 'values\.xls'"):
        write_values(folder, "values.xls")
    with pytest.raises(elbax.InputError, match=r"to end in \.csv, \.md, \.tex; got 'table\.pdf'"):
        write_table(folder, "table.pdf")
    with pytest.raises(elbax.InputError, match="elbax evaluate"):
        write_table(tmp_path, tmp_path / "t.csv")
    assert not out.exists()
