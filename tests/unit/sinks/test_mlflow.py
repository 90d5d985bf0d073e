"""A store of MLflow, in a database of its own, as MLflow's client reads it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .runs import ENDS, EPOCHS, RUNS, expected, gone_on_with, interrupted, is_picture, same

pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
pytestmark = pytest.mark.filterwarnings("default")  # MLflow's own


def read(run):
    """All points of a run, by name, by step."""
    from mlflow import MlflowClient

    points: dict = {}
    for name in run.data.metrics:
        for point in MlflowClient().get_metric_history(run.info.run_id, name):
            assert point.step not in points.setdefault(name, {}), (name, point.step)
            points[name][point.step] = point.value
    return points


def runs():
    from mlflow import MlflowClient

    client = MlflowClient()
    experiment = client.get_experiment_by_name("elbax").experiment_id
    found = client.search_runs([experiment], "tags.`elbax.group` = 'trial'")
    assert len(found) == len(RUNS)
    return {run.info.run_name: run for run in found}


@pytest.mark.parametrize("end", ENDS)
def test_the_store_holds_what_metrics_jsonl_says_also_of_a_run_that_went_on(
    end, tmp_path, monkeypatch
):
    from mlflow import MlflowClient, artifacts

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store.db")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    monkeypatch.chdir(tmp_path)  # where MLflow keeps artifacts of a local database
    folder = tmp_path / "trial"
    end(folder, "mlflow")
    unended = {"FAILED"} if end is interrupted else {"RUNNING"}
    assert {run.info.status for run in runs().values()} == unended
    gone_on_with(folder, "mlflow")
    assert same({name: read(run) for name, run in runs().items()}, expected(folder))
    for name, run in runs().items():
        assert run.info.status == "FINISHED"
        params = run.data.params
        assert (params["method"], params["seed"]) == ("iwae(k=4)", str(RUNS.index(name)))
        assert (params["train.epochs"], params["model.hidden"]) == (str(EPOCHS), "[8]")
        assert len(params["data.fingerprint"]) == 16
        where = {file.path for file in MlflowClient().list_artifacts(run.info.run_id)}
        assert where == {"config.json", "metrics.jsonl", "images"}
        for file in ("config.json", "metrics.jsonl"):
            copy = artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=file)
            assert Path(copy).read_bytes() == (folder / file).read_bytes()
        for what in ("reconstructions", "samples"):
            image = f"images/{what}.png"
            copy = artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=image)
            assert is_picture(np.asarray(Image.open(copy)), 8)
