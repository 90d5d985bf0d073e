"""TensorBoard's event files, as TensorBoard itself reads them."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

import elbax
from elbax.sinks.tensorboard import TensorBoard

from .runs import (
    ENDS,
    EPOCHS,
    PER_EPOCH,
    RUNS,
    expected,
    gone_on_with,
    is_picture,
    logged,
    same,
)

pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
FLOAT32 = 1e-6


def read(folder):
    """What TensorBoard finds in the folder of a run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the reader's own
        return EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0}).Reload()


def scalars(found) -> dict[str, dict[int, float]]:
    """By name, by step; a step that is there twice is an error."""
    points: dict = {}
    for name in found.Tags()["scalars"]:
        for event in found.Scalars(name):
            assert event.step not in points.setdefault(name, {}), (name, event.step)
            points[name][event.step] = event.value
    return points


@pytest.mark.parametrize("end", ENDS)
def test_event_files_hold_what_metrics_jsonl_says_also_of_a_run_that_went_on(end, tmp_path):
    folder = tmp_path / "trial"
    end(folder, "tensorboard")
    assert sorted(scalars(read(folder / "tensorboard" / RUNS[0]))["bound"]) == [5, 10, 15]
    gone_on_with(folder, "tensorboard")
    found = {run: read(folder / "tensorboard" / run) for run in RUNS}
    assert same({run: scalars(one) for run, one in found.items()}, expected(folder), FLOAT32)
    for one in found.values():
        for name in ("reconstructions", "samples"):
            [event] = one.Images(name)
            assert event.step == EPOCHS * PER_EPOCH
            pixels = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
            assert is_picture(pixels, 8)
            assert (event.height, event.width) == pixels.shape
    # Begun again, the folder holds the new runs alone.
    logged("tensorboard", directory=folder, overwrite=True)
    assert same(scalars(read(folder / "tensorboard" / RUNS[1])), expected(folder)[RUNS[1]], FLOAT32)
    assert len([*(folder / "tensorboard" / RUNS[1]).iterdir()]) == 1


def test_hyperparameters_are_those_of_its_hparams_page(tmp_path):
    from tensorboard.plugins.hparams.metadata import parse_session_start_info_plugin_data as parsed

    logged(TensorBoard(tmp_path))
    content = read(tmp_path / RUNS[1]).summary_metadata["_hparams_/session_start_info"].plugin_data
    hyper = parsed(content.content).hparams
    assert hyper["method"].string_value == "iwae(k=4)"
    assert hyper["seed"].number_value == 1
    assert hyper["train.epochs"].number_value == EPOCHS
    assert hyper["train.adam_eps"].number_value == 1e-4
    assert hyper["model.hidden"].string_value == "[8]"
    assert len(hyper["data.fingerprint"].string_value) == 16


def test_without_a_folder_of_its_own_it_needs_that_of_the_runs():
    with pytest.raises(elbax.InputError) as refused:
        logged("tensorboard")
    assert str(refused.value) == (
        "expected a run folder for tensorboard, which writes into it; got none. Give fit a "
        "directory."
    )
