"""Trackio's database on this machine, read by Trackio and by SQLite alone."""

import os
import sqlite3
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .runs import (
    ENDS,
    EPOCHS,
    PER_EPOCH,
    RUNS,
    expected,
    gone_on_with,
    interrupted,
    is_picture,
    same,
)

# Trackio looks at it when it is imported.
HOME = Path(os.environ.setdefault("TRACKIO_DIR", tempfile.mkdtemp(prefix="trackio-")))
pytest.importorskip("trackio", reason="the extra trackio is not installed")
pytestmark = pytest.mark.filterwarnings("default")  # Trackio's own


def read(run, project):
    """All points of a run, by name, by step; what is no number is left out."""
    from trackio.sqlite_storage import SQLiteStorage

    points: dict = {}
    for row in SQLiteStorage.get_logs(project, run.name, run_id=run.id):
        step = row.pop("step")
        for name, value in row.items():
            if isinstance(value, int | float):
                assert step not in points.setdefault(name, {}), (name, step)
                points[name][step] = value
    return points


def runs(project):
    import trackio

    found = [run for run in trackio.Api().runs(project) if run.name.startswith("trial/")]
    assert len(found) == len(RUNS)
    return {run.name.removeprefix("trial/"): run for run in found}


@pytest.mark.parametrize("end", ENDS)
def test_the_database_holds_what_metrics_jsonl_says_also_of_a_run_that_went_on(
    end, tmp_path, monkeypatch
):
    monkeypatch.setenv("TRACKIO_PROJECT", end.__name__)
    folder = tmp_path / "trial"
    end(folder, "trackio")
    project = end.__name__
    if end is interrupted:  # a killed one may have lost its last half second
        assert sorted(read(runs(project)[RUNS[0]], project)["bound"]) == [5, 10, 15]
    gone_on_with(folder, "trackio")
    assert same({name: read(run, project) for name, run in runs(project).items()}, expected(folder))
    for name, run in runs(project).items():
        assert run.config["_Group"] == "trial"
        assert (run.config["method"], run.config["seed"]) == ("iwae(k=4)", RUNS.index(name))
        assert (run.config["train.epochs"], run.config["model.hidden"]) == (EPOCHS, "[8]")
        images = [
            *(HOME / "media" / project / "trial" / name / str(EPOCHS * PER_EPOCH)).glob("*.png")
        ]
        assert len(images) == 2
        assert all(is_picture(np.asarray(Image.open(path)), 8) for path in images)
    with sqlite3.connect(HOME / f"{project}.db") as database:
        tables = "select group_concat(sql) from sqlite_master"
        assert "artifact" in database.execute(tables).fetchone()[0]
        steps = database.execute("select run_name, step from metrics where run_name like 'trial/%'")
        assert {step for _, step in steps} == {PER_EPOCH * (n + 1) for n in range(EPOCHS)}
