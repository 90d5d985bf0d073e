"""`elbax train`, `score`, `impute` and `data describe` on tables, as their users meet them."""

import json
import re

import numpy as np
import pytest

from elbax.cli.main import main
from elbax.tables.files import read_raw, read_table, write_columns

pytest.importorskip("pyarrow")
TYPES = "name=ignore,visits=poisson"
SIZES = ["--hidden", "4", "--latents", "1", "--epochs", "2", "--batch-size", "20"]


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """A table in a file, and a folder of two runs that were trained on resamples of it."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    heights = rng.normal(1.7, 0.1, 60)
    weights = 25 * heights**2 + rng.normal(0, 5, 60)
    weights[rng.random(60) < 0.3] = np.nan
    sexes = np.where(rng.random(60) < 0.5, "f", "m").astype(object)
    sexes[3] = None
    visits = rng.poisson(6, 60).astype(float) + np.arange(60) % 8
    names = np.array([f"n{i}" for i in range(60)], dtype=object)
    columns = {"name": names, "height": heights, "weight": weights, "sex": sexes, "visits": visits}
    path = folder / "data.csv"
    write_columns(path, columns, {"visits"})
    words = ["train", "--data", str(path), "--types", TYPES, "--method", "iwae(k=2)"]
    out = folder / "runs"
    words += ["--bootstrap", "--seeds", "0", "1", "--out", str(out), *SIZES]
    assert main(words) == 0
    return folder, path, out


def test_training_says_the_kinds_and_records_the_schema(setting):
    config = json.loads((setting[2] / "config.json").read_text())
    kinds = {column["name"]: column["kind"] for column in config["model"]["table"]["columns"]}
    assert kinds == {
        "height": "gaussian",
        "weight": "gaussian",
        "sex": "binary",
        "visits": "poisson",
    }
    assert config["model"]["table"]["ignored"] == ["name"]
    assert config["data"]["request"]["types"] == {"name": "ignore", "visits": "poisson"}
    assert config["train"]["bootstrap"] is True


def test_evaluate_finds_the_table_and_the_split_again(setting, capsys):
    assert main(["evaluate", str(setting[2]), "--ks", "1", "50", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert results["dataset"]["num_test"] == 6
    assert results["runs"][0]["metrics"]["log_p_hat"] is not None


def test_scores_are_one_row_per_row(setting, capsys):
    folder, path, runs = setting
    out = folder / "scores.csv"
    words = ["score", str(path), "--model", str(runs), "--out", str(out), "--k", "50"]
    words += ["--most-k", "100", "--p-draws", "9", "--p-samples", "10"]
    assert main([*words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["rows"] == 60
    raw = {cells.name: cells for cells in read_raw(out).columns}
    assert list(raw) == ["score", "se", "khat", "ess", "reliable", "p_value"]
    assert set(raw["reliable"].texts) <= {"true", "false"}
    assert raw["score"].numbers.mean() == pytest.approx(said["mean_score"])
    assert ((raw["p_value"].numbers >= 0.1) & (raw["p_value"].numbers <= 1)).all()
    assert main(words) == 2
    assert "is there" in capsys.readouterr().err


def test_holes_are_filled_once_by_a_model_that_is_trained_for_it(setting, capsys):
    folder, path, _ = setting
    out = folder / "filled.csv"
    words = ["impute", str(path), "--types", TYPES, "--out", str(out), "--k", "50"]
    words += ["--epochs", "1", "--method", "iwae(k=2)", "--min-value", "50", "--json"]
    assert main(words) == 0
    caught = capsys.readouterr()
    assert json.loads(caught.out)["holes"] > 10
    assert "weight: gaussian" in caught.err
    before, after = (
        read_table(one, types={"name": "ignore", "visits": "poisson"}) for one in (path, out)
    )
    assert after.mask.all()
    there = before.mask[:, 1]
    old, new = (one.columns()["weight"] for one in (before, after))
    np.testing.assert_array_equal(old[there], new[there])
    assert new[~there].min() >= 50
    assert after.columns()["sex"][3] in ("f", "m")
    assert after.columns()["name"].tolist() == before.columns()["name"].tolist()


def test_epochs_are_chosen_by_rows_left_out_where_none_are_given(setting, capsys):
    folder, path, _ = setting
    out = folder / "chosen.csv"
    words = ["impute", str(path), "--types", TYPES, "--out", str(out), "--k", "50"]
    assert main([*words, "--method", "iwae(k=2)"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    [epochs] = re.findall(r"Epochs: (\d+), by rows left out of a first training", said)
    assert 1 <= int(epochs) <= 200
    assert out.is_file()


def test_runs_on_resamples_give_proper_imputations_in_one_long_table(setting, capsys):
    folder, path, runs = setting
    out = folder / "long.parquet"
    words = ["impute", str(path), "--model", str(runs), "--multiple", "2", "--out", str(out)]
    assert main([*words, "--k", "50", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["proper"] is True
    raw = {cells.name: cells for cells in read_raw(out).columns}
    assert raw["imputation"].numbers.tolist() == [1.0] * 60 + [2.0] * 60
    assert not any(cells.missing.any() for cells in raw.values())
    assert raw["visits"].values == "int"


def test_samples_have_the_units_and_kinds_of_the_table(setting, capsys):
    folder, path, runs = setting
    out = folder / "draws.csv"
    words = ["sample", str(runs), "--what", "draws", "--num", "50", "--out", str(out)]
    assert main(words) == 0
    table = read_table(path, types={"name": "ignore", "visits": "poisson"})
    drawn = read_table(out, schema=table.schema)
    assert (len(drawn), drawn.mask.all()) == (50, True)
    columns = drawn.columns()
    assert set(columns["sex"]) == {"f", "m"}
    assert 40 < columns["weight"].mean() < 110  # kilograms, not standard deviations
    assert {cells.name: cells.values for cells in drawn.raw.columns}["visits"] == "int"
    means = folder / "prior.parquet"
    assert main(["sample", str(runs), "--num", "5", "--out", str(means)]) == 0
    assert set(read_table(means, schema=table.schema).columns()["sex"]) <= {"f", "m"}


def test_what_cannot_be_trusted_is_said(setting, capsys):
    """A column without cells, one that was complete, rows without any, unreliable imputations."""
    folder, path, runs = setting
    columns = read_table(path, types={"name": "ignore", "visits": "poisson"}).columns()
    columns["visits"] = columns["visits"].copy()
    for row, name in ((4, "height"), (4, "weight"), (4, "sex"), (4, "visits"), (7, "visits")):
        columns[name][row] = None if name == "sex" else np.nan
    columns["weight"][:] = np.nan
    write_columns(holed := folder / "holed.csv", columns, {"visits"})
    out = folder / "of_holed.csv"
    words = ["impute", str(holed), "--model", str(runs), "--multiple", "2", "--out", str(out)]
    assert main([*words, "--k", "25"]) == 0
    caught = capsys.readouterr()
    said = " ".join((caught.out + caught.err).split())
    assert "column 'weight' without any observed cell" in said
    assert "missing in columns 'height', 'visits', where none was missing" in said
    assert "1 row without any observed cell, the first row 4" in said
    assert "model's marginal" in said
    assert "proper imputations, each of a model of its own" in said
    assert "rows are unreliable" in said


def test_describe_says_what_columns_are(setting, capsys):
    words = ["data", "describe", str(setting[1]), "--types", TYPES]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "height  gaussian    0%  numbers that are not whole" in printed
    assert "--types NAME=KIND" in printed
    assert "name    ignored" in printed
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["columns"][2]["categories"] == ["f", "m"]


def test_describe_says_what_may_only_name_rows(tmp_path, capsys):
    lines = [f"{100_000 + 7 * i},{i % 5 + 0.5},{'' if i == 3 else i % 2}" for i in range(300)]
    (tmp_path / "data.csv").write_text("\n".join(["case,dose,sick", *lines]) + "\n")
    assert main(["data", "describe", str(tmp_path / "data.csv")]) == 0
    printed = capsys.readouterr().out
    assert "case: nearly every cell is different" in printed
    assert "dose: nearly" not in printed
    assert "<1%" in printed
    assert max(map(len, printed.splitlines())) <= 80


WRONG = [
    (["score", "{csv}", "--model", "{runs}", "--out", "{out}.txt"], "to end in .csv"),
    (["score", "{other}", "--model", "{runs}", "--out", "{out}.csv"], "'visits' are not there"),
    (["score", "{unseen}", "--model", "{runs}", "--out", "{out}.csv"], "got 'x' in row 1"),
    (["score", "{infinite}", "--model", "{runs}", "--out", "{out}.csv"], "got inf in row 2"),
    (["score", "{text}", "--model", "{runs}", "--out", "{out}.csv"], "got 'tall' in row 2"),
    (["score", "{extra}", "--model", "{runs}", "--out", "{out}.csv"], "got column 'age' too"),
    (["score", "{twice}", "--model", "{runs}", "--out", "{out}.csv"], "'sex' is there twice"),
    (["score", "{nothing}", "--model", "{runs}", "--out", "{out}.csv"], "are missing"),
    (["impute", "{constant}", "--out", "{out}.csv"], "'height' to vary"),
    (["impute", "{csv}", "--out", "{csv}"], "is there"),
    (["impute", "{csv}", "--types", "a=real", "--out", "{out}.csv"], "got 'a'"),
    (["impute", "{csv}", "--model", "{runs}", "--types", "a=real", "--out", "{out}.csv"], "both"),
    (["train", "--data", "{csv}", "--types", "name"], "name=kind"),
    (["train", "--data", "{csv}", "--types", TYPES, "--binarise", "fixed"], "no binarise"),
    (["train", "--data", "digits", "--types", "a=real"], "no types"),
    (["train", "--data", "{csv}", "--types", TYPES, "--likelihood", "bernoulli"], "no likelihood"),
    (["sample", "{runs}", "--what", "draws", "--out", "{out}.npy"], "of a table"),
    (["sample", "{runs}", "--what", "draws", "--out", "{out}.jpg"], "to end in .png"),
]


@pytest.mark.parametrize(("words", "sentence"), WRONG)
def test_wrong_input_is_one_sentence_and_writes_nothing(setting, words, sentence, capsys, tmp_path):
    _, path, runs = setting
    columns = read_table(path, types={"name": "ignore", "visits": "poisson"}).columns()
    unseen = dict(columns, sex=np.array(["f", "x", *columns["sex"][2:]], dtype=object))
    heights, count = columns["height"], len(columns["height"])
    tables = {
        "other": {"height": heights},
        "unseen": unseen,
        "infinite": dict(columns, height=np.where(np.arange(count) == 2, np.inf, heights)),
        "text": dict(columns, height=np.array([1.5, 1.7, "tall", *heights[3:]], dtype=str)),
        "extra": dict(columns, age=heights),
        "nothing": {name: np.full(count, np.nan) for name in columns},
        "constant": {"height": np.ones(count), "weight": heights},
    }
    for name, table in tables.items():
        write_columns(tmp_path / f"{name}.csv", table)
    lines = path.read_text().splitlines()
    twice = "\n".join(f"{line},{line.split(',')[3]}" for line in lines)
    (tmp_path / "twice.csv").write_text(twice + "\n")
    places = {"csv": path, "runs": runs, "out": tmp_path / "new"}
    places |= {name: tmp_path / f"{name}.csv" for name in (*tables, "twice")}
    assert main([word.format(**places) for word in words]) == 2
    caught = capsys.readouterr()
    assert sentence in caught.err
    assert caught.err.count("\n") == 1
    assert not list(tmp_path.glob("new*"))
