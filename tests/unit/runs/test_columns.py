"""columns.json and the sections of a page on a table: measured, read, drawn, damaged."""

import copy
import json
import shutil
import sys

import numpy as np
import pytest

import elbax
from elbax._errors import InputError
from elbax.exhibits import exhibit_of
from elbax.report import figures, tables
from elbax.report.page import write_report
from elbax.runs import columns
from elbax.runs.columns_exhibits import columns_sections, rows_table
from elbax.runs.columns_file import LEVELS, read_columns
from elbax.runs.read import read

TYPES = "price=real,area=positive,rooms=categorical,garden=binary"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder of runs on a table of 60 rows, evaluated."""
    path = tmp_path_factory.mktemp("table")
    rng = np.random.default_rng(0)
    area = np.exp(rng.normal(4, 0.4, 240))
    table = {
        "area": np.where(rng.random(240) < 0.2, np.nan, area),
        "price": 3 * area + rng.normal(0, 20, 240),
        "rooms": np.array(["one", "two", "three"], object)[np.digitize(area, [40, 70])],
        "garden": np.where(rng.random(240) < 0.4, "yes", "no").astype(object),
    }
    config = elbax.ModelConfig(hidden=(4,), latents=1)
    data = elbax.table_of(table, types=TYPES)
    elbax.fit(
        "iwae(k=2)",
        data,
        model=config,
        directory=path,
        config=elbax.TrainConfig(epochs=2, batch_size=60),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_SAMPLES", 50)
        patch.setattr(columns, "_DRAWN", 300)
        patch.setattr(columns, "_MOST_ROWS", 40)
        elbax.evaluate_runs(elbax.load_runs(path), data, ks=(1, 50), num_data=60)
    return path


@pytest.fixture
def content(folder):
    return json.loads((folder / "columns.json").read_text())


def test_what_was_measured_is_told_column_by_column(content):
    assert [one["name"] for one in content["columns"]] == ["area", "price", "rooms", "garden"]
    area, price, rooms, _ = content["columns"]
    assert 0.1 < area["holes_fit"] < 0.3
    assert price["holes_fit"] == 0
    assert (rooms["categories"], rooms["most"]) == (3, "two")
    [run] = content["runs"]
    assert run["cells"][1]["count"] == 40
    assert run["cells"][1]["rmse_alone"] == pytest.approx(price["sd"], rel=0.3)
    assert "accuracy" in run["cells"][2]
    assert sum(run["cells"][1]["pit"]) == 40
    assert [len(run["joint"][name]) for name in ("coverage", "error")] == [len(LEVELS)] * 2
    assert content["pairs"] == [[0, 1]]
    assert content["data"]["correlation"][0] > 0.8
    assert content["num_rows"] == 40


def test_the_page_shows_columns_in_the_place_of_pictures(folder, tmp_path, monkeypatch):
    for name in ("pandas", "polars", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)  # no frame is needed to read a run
    html = write_report(folder, out=tmp_path).read_text()
    for section in ("columns", "held-out-cells", "rows"):
        assert f'<section id="{section}">' in html
    assert "binarization" not in html
    assert "shape of a datum" not in html
    assert '"price"' not in html  # the schema as JSON
    drawn = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert {"marginals", "pairs", "coverage", "pit"} <= drawn
    for path in (tmp_path / "figures").glob("*.json"):
        exhibit_of(json.loads(path.read_text()), {})


def test_two_folders_are_beside_each_other(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    html = write_report(folder, other, out=tmp_path).read_text()
    assert html.count(">Held-out cells</a>") == 3  # of both together, too
    assert len(list((tmp_path / "figures").glob("*-coverage.png"))) == 3


def test_tables_fit_a_terminal(content, folder):
    [columns_of, cells] = columns_sections(content, {0: "IWAE(2)"})
    found = [*columns_of.exhibits, *cells.exhibits, rows_table(*_results(folder))]
    for one in found:
        if one.kind == "table":
            assert max(map(len, tables.to_text(one).splitlines())) <= 80


def _results(folder):
    known = read(folder)
    return known.results, known.per_datum


def several(content, count):
    """As if so many methods had been evaluated, the last of which cannot be tested so."""
    content = copy.deepcopy(content)
    runs = [copy.deepcopy(content["runs"][0]) | {"index": i} for i in range(count)]
    runs[-1] |= {"cells": None, "joint": None, "why_not": "cells hide themselves."}
    return content | {"runs": runs}


@pytest.mark.parametrize("count", [1, 2, 6])
def test_any_number_of_methods(content, count):
    labels = {i: f"IWAE({i})" for i in range(count)}
    sections = list(columns_sections(several(content, count), labels))
    shown = [one for section in sections for one in section.exhibits]
    for one in shown:
        if one.kind != "table" and not figures.is_empty(one):
            figures.figure_of(one)
    assert bool(sections[1].exhibits) == (count > 1)
    assert "hide themselves" in sections[1].missing


def test_many_columns_are_cut_to_the_worst(content):
    size = 40
    wide = copy.deepcopy(content)
    for name in ("columns", "bins"):
        wide[name] = [content[name][1]] * size
    wide["data"]["shares"] = [content["data"]["shares"][1]] * size
    [run] = wide["runs"]
    run["shares"], run["cells"] = [run["shares"][1]] * size, [run["cells"][1]] * size
    run["distance"] = [[0.01 * i, 0.1] for i in range(size)]
    section = next(iter(columns_sections(wide, {})))
    panels = [p for one in section.exhibits if one.kind == "histogram" for p in one.panels]
    assert len(panels) == 24
    assert "Of 40 columns the 24" in section.exhibits[1].caption


def test_a_planted_fault_has_a_verdict(content):
    [run] = content["runs"]
    run["joint"]["coverage"] = [level / 2 for level in LEVELS]
    run["joint"]["error"] = [0.02] * len(LEVELS)
    _, cells = columns_sections(content, {0: "IWAE(2)"})
    assert cells.exhibits[0].rows[0][-1] == "too narrow"
    run["joint"]["coverage"] = [level - 0.05 for level in LEVELS]
    _, cells = columns_sections(content, {0: "IWAE(2)"})
    assert cells.exhibits[0].rows[0][-1] == "perhaps too narrow"
    run["joint"]["coverage"] = [1.0] * len(LEVELS)
    _, cells = columns_sections(content, {0: "IWAE(2)"})
    assert cells.exhibits[0].rows[0][-1] == "too wide"
    run["joint"]["coverage"] = list(LEVELS)
    _, cells = columns_sections(content, {0: "IWAE(2)"})
    assert cells.exhibits[0].rows[0][-1] == "no fault seen"


DAMAGES = {
    "format": lambda c: c.update(format=2),
    "a name": lambda c: c["columns"][0].update(name=3),
    "bins": lambda c: c["bins"].pop(),
    "edges": lambda c: c["bins"][0]["edges"].reverse(),
    "shares": lambda c: c["data"]["shares"][0].pop(),
    "a pair": lambda c: c["pairs"].append([0, 9]),
    "points": lambda c: c["runs"][0]["points"][0]["up"].pop(),
    "correlations": lambda c: c["runs"][0]["correlation"].append(0.5),
    "distances": lambda c: c["runs"][0]["distance"].pop(),
    "a pit": lambda c: c["runs"][0]["cells"][0]["pit"].pop(),
    "a number": lambda c: c["runs"][0]["cells"][0].pop("rmse"),
    "half": lambda c: c["runs"][0].update(joint=None),
    "columns": lambda c: c.update(columns=[]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_refused(content, damage, tmp_path, folder):
    evaluation = read(folder).results["evaluation"]
    DAMAGES[damage](content)
    (tmp_path / "columns.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="elbax evaluate"):
        read_columns(tmp_path, evaluation)


def test_columns_of_another_evaluation_are_refused(folder):
    evaluation = read(folder).results["evaluation"]
    assert read_columns(folder, evaluation) is not None
    with pytest.raises(InputError, match="different evaluations"):
        read_columns(folder, evaluation | {"seed": 1})


def test_a_folder_without_them_says_what_to_do(folder, tmp_path):
    bare = shutil.copytree(folder, tmp_path / "bare")
    (bare / "columns.json").unlink()
    assert "evaluate it again" in write_report(bare, out=tmp_path).read_text()
