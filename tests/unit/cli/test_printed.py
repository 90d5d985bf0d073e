"""What is printed stays within 80 columns, whatever the runs are called."""

import numpy as np

from elbax.cli import evaluate as command
from elbax.cli.data import data_info
from elbax.cli.main import main
from elbax.cli.options import DataInfo
from elbax.evaluation.likelihood import PairedDifference

LONG = "ciwae-k64-beta1:0:5-gradientvimco-geometric-warmup20-lr0.001"


def width(text):
    return max(map(len, text.splitlines()))


def test_units_of_runs_with_long_names_keep_the_ends_that_tell_them_apart():
    runs = [
        {
            "name": f"{LONG}-seed{seed}",
            "active": [17, 5],
            "variances": [[0.1] * 100, [0.2] * 50],
            "change": -0.0123,
            "standard_error": 0.004,
        }
        for seed in (0, 1)
    ]
    text = command._units_text({"runs": runs})
    assert width(text) <= 80
    rows = text.splitlines()[1:]
    assert [row.split()[0][-5:] for row in rows] == ["seed0", "seed1"]
    assert rows[0].endswith("17+5 of 100+50   -0.012 ± 0.004")


def test_z_of_two_equal_models_is_none():
    assert command._z(PairedDifference("iwae_1", 0.0, 0.0)) == "-"
    assert command._z(PairedDifference("iwae_1", 1.0, 0.5)) == "+2.0"


def test_lists_and_what_a_data_set_holds(capsys):
    for words in (["data", "list"], ["reproduce", "list"], ["data", "info", "digits"]):
        assert main(words) == 0
        assert width(capsys.readouterr().out) <= 80


def test_a_long_source_goes_on_below_itself(monkeypatch):
    files = [f"/somewhere/with/a/long/name/{name}.gz" for name in "abcd"]

    class Loaded:
        name, levels, binarise, licence, train_labels = "x", 1.0, "none", "unknown", None
        source = ", ".join(files)
        splits = staticmethod(dict)
        fingerprint = staticmethod(str)

        @staticmethod
        def mean_intensity():
            return np.ones(2)

    monkeypatch.setattr("elbax.data.load.load_data", lambda *_, **__: Loaded())
    text = data_info(DataInfo(name="x")).text
    assert width(text) <= 80
    assert "source: /somewhere" in text
