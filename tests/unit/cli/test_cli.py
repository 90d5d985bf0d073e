"""The command line, as its users meet it: output, exit codes, sentences."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from elbax import spelling
from elbax.cli import train
from elbax.cli.main import main
from elbax.cli.parse import parse
from elbax.models.config import PRESETS

TINY = ["--hidden", "8", "--latents", "2", "--epochs", "2", "--batch-size", "100"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A folder that `elbax compare` filled, and what it printed."""
    folder = tmp_path_factory.mktemp("runs") / "compared"
    words = ["compare", "--methods", "vae(4)", "ciwae(k=4, beta=0.5)", "--seeds", "0", "1"]
    finished = run([*words, *TINY, "--ks", "1", "4", "16", "--out", str(folder)])
    assert finished.returncode == 0, finished.stderr
    return folder, finished.stdout


def run(words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "elbax", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_compare_prints_a_table_and_leaves_a_page(compared):
    folder, printed = compared
    assert "VAE(4)" in printed
    assert "log p-hat" in printed
    assert max(map(len, printed.splitlines()[:-1])) <= 80
    said = "A datum is one image or row. log p-hat, the estimate of log p(x), is IWAE-16."
    assert printed.count(said) == 1
    for name in ("config.json", "metrics.jsonl", "results.json", "images.npz", "report.html"):
        assert (folder / name).stat().st_size > 0, name
    records = [json.loads(s) for s in (folder / "metrics.jsonl").read_text().splitlines()]
    assert len(records) == 2 * 2 * 2
    assert all("iwae_64" in record for record in records)


def test_bounds_of_the_results_are_in_order(compared):
    results = json.loads((compared[0] / "results.json").read_text())
    for entry in results["runs"]:
        values = entry["metrics"]
        assert values["iwae_1"] < values["iwae_4"] < values["log_p_hat"] < 0
        assert values["gap_1"] < values["gap_4"] < 0


def test_json_is_one_object_on_stdout(compared, capsys):
    assert main(["evaluate", str(compared[0]), "--ks", "1", "4", "--json"]) == 0
    printed = capsys.readouterr()
    content = json.loads(printed.out)
    assert len(content["results"]["runs"]) == 4
    assert "evaluating" in printed.err


def test_a_model_against_itself_differs_by_nothing(compared, capsys):
    folder = str(compared[0])
    assert main(["evaluate", folder, "--against", folder, "--ks", "1", "4", "--json"]) == 0
    differences = json.loads(capsys.readouterr().out)["differences"]
    assert all(pair["difference"] == 0 for pair in differences)


def test_samples_are_saved(compared, tmp_path, capsys):
    png, npy = tmp_path / "s.png", tmp_path / "s.npy"
    assert main(["sample", str(compared[0]), "--num", "5", "--out", str(png)]) == 0
    words = ["--run", "vae-m4-seed1", "--num", "5", "--out", str(npy)]
    assert main(["sample", str(compared[0]), *words]) == 0
    assert png.read_bytes().startswith(b"\x89PNG")
    assert np.load(npy).shape == (5, 8, 8)


@pytest.mark.parametrize("what", ["interpolation", "posterior", "weights"])
def test_what_a_run_has_learned_is_drawn(what, compared, tmp_path, capsys):
    png, npy = tmp_path / "s.png", tmp_path / "s.npy"
    words = ["sample", str(compared[0]), "--what", what, "--num", "3", "--k", "4"]
    assert main([*words, "--out", str(png)]) == 0
    assert main([*words, "--out", str(npy)]) == 0
    assert png.read_bytes().startswith(b"\x89PNG")
    num = {"interpolation": 3 * 10, "posterior": 3 * (1 + 5 + 5), "weights": 3 + 3}[what]
    assert np.load(npy).shape == (num, 8, 8)


def test_a_second_stage_takes_model_and_data_from_the_first(tmp_path, capsys):
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    words = ["--epochs", "1", "--batch-size", "100", "--out"]
    sizes = ["--hidden", "5", "--latents", "2", "--binarise", "threshold"]
    assert main(["train", "--method", "vae", "--m", "4", *sizes, *words, first]) == 0
    assert main(["train", "--from", first, "--method", "iwae", "--k", "4", *words, second]) == 0
    configs = [json.loads((tmp_path / n / "config.json").read_text()) for n in ("first", "second")]
    assert configs[0]["model"] == configs[1]["model"]
    assert configs[0]["data"] == configs[1]["data"]
    assert configs[1]["origin"]["methods"] == ["vae(m=4)"]
    capsys.readouterr()
    words = ["evaluate", second, "--ks", "1", "8", "--num-data", "50", "--active-units"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "IWAE(4) from VAE(4)" in printed
    assert "of 2" in printed
    units = json.loads((tmp_path / "second" / "units.json").read_text())["runs"][0]
    assert len(units["variances"][0]) == 2
    assert main(["sample", second, "--what", "manifold", "--out", str(tmp_path / "m.png")]) == 0
    words = ["train", "--from", second, "--from-run", "vae", "--k", "4", "--out", first + "x"]
    assert main(words) == 2
    assert "unknown run 'vae'" in capsys.readouterr().err


def test_every_preset_is_a_model_of_the_command_line():
    for name in PRESETS:
        assert parse(["train", "--model", name]).model.model == name


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    """A study of two runs, done once: its folder and what it printed as JSON."""
    out = tmp_path_factory.mktemp("reproduce")
    words = ["reproduce", "log-expectation", "--epochs", "1", "--num-data", "30", "--json"]
    stdout = io.StringIO()
    with contextlib.redirect_stdout(stdout):
        assert main([*words, "--out", str(out)]) == 0
    return out, json.loads(stdout.getvalue())


def test_a_study_leaves_verdicts_and_a_page(reproduced):
    out, content = reproduced
    [study] = content["studies"]
    assert study == json.loads((out / "log-expectation" / "study.json").read_text())
    assert {verdict["verdict"] for verdict in study["verdicts"]} == {"reproduced"}
    assert [run["epochs"] for run in study["runs"]] == [1, 1]
    page = (out / "log-expectation" / "report.html").read_text()
    assert "Two points: E log of the mean of k rises" in page
    assert (out / "log-expectation" / "figures" / "two-points.json").exists()


def test_a_study_done_before_trains_nothing_again(reproduced, capsys):
    out, _ = reproduced
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")}
    words = ["reproduce", "log-expectation", "--epochs", "1", "--num-data", "30"]
    assert main([*words, "--out", str(out), "--dry-run"]) == 0
    assert "every run is trained already" in capsys.readouterr().out
    assert main([*words, "--out", str(out)]) == 0
    assert "training" not in capsys.readouterr().err
    assert before == {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")}


def test_several_folders_make_one_page(reproduced, compared, tmp_path, capsys):
    out, _ = reproduced
    folders = [str(out / "log-expectation"), str(compared[0])]
    assert main(["report", *folders, "--out", str(tmp_path / "page")]) == 0
    page = (tmp_path / "page" / "report.html").read_text()
    assert page.count('class="chapter"') == 2
    anchors = re.findall(r'id="([^"]+)"', page)
    assert len(set(anchors)) == len(anchors)
    for link in re.findall(r'href="(figures/[^"]+)"', page):
        assert (tmp_path / "page" / link).exists()
    assert main(["report", folders[0], folders[0]]) == 2
    assert "given twice" in capsys.readouterr().err


def test_studies_are_listed_and_planned(tmp_path, capsys):
    assert main(["reproduce", "list", "--json"]) == 0
    names = [study["name"] for study in json.loads(capsys.readouterr().out)["studies"]]
    assert len(names) == 13
    out = tmp_path / "out"
    assert main(["reproduce", "iwae-table", "--dry-run", "--json", "--out", str(out)]) == 0
    [plan] = json.loads(capsys.readouterr().out)["plans"]
    assert [row["runs"] for row in plan["fleets"]] == [3, 6, 6, 3, 6, 6]
    assert plan["seconds"] > 0
    words = ["reproduce", "mcvae", "--as-trained", "--out", str(out)]
    assert main([*words, "--dry-run"]) == 2
    assert "--as-trained, which trains nothing, or --dry-run; got both" in capsys.readouterr().err
    assert main(words) == 2
    assert "expected runs of mcvae in" in capsys.readouterr().err
    assert not out.exists()


def test_a_finished_run_resumes_to_nothing_and_is_evaluated_again(compared, capsys):
    words = ["compare", "--methods", "vae(4)", "ciwae(k=4, beta=0.5)", "--seeds", "0", "1"]
    arguments = [*words, *TINY, "--ks", "1", "4", "16", "--out", str(compared[0])]
    assert main(["evaluate", str(compared[0]), "--ks", "1", "4", "16"]) == 0
    before = (compared[0] / "results.json").read_bytes()
    assert main([*arguments, "--resume"]) == 0
    after = json.loads((compared[0] / "results.json").read_text())
    assert json.loads(before)["runs"] == after["runs"]


def test_discrete_latents_train_from_the_command_line(tmp_path, capsys):
    out = str(tmp_path / "run")
    words = ["train", "--model", "sbn", "--latents", "4", "--k", "4", "--epochs", "1", "--out", out]
    assert main([*words, "--batch-size", "100"]) == 2
    said = capsys.readouterr().err
    assert "discrete latents; choose gradient=vimco" in said
    assert not (tmp_path / "run").exists()
    assert main([*words, "--batch-size", "100", "--gradient", "vimco"]) == 0
    assert main(["evaluate", out, "--ks", "1", "8", "--num-data", "50"]) == 0
    assert "IWAE(4) vimco" in capsys.readouterr().out


def test_data_commands(capsys):
    assert main(["data", "list"]) == 0
    assert "omniglot" in capsys.readouterr().out
    assert main(["data", "info", "digits", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["splits"]["train"] == [1437, 8, 8]
    assert main(["data", "fetch", "digits"]) == 0


def test_an_encoding_without_a_sign_gets_its_ascii(compared, monkeypatch):
    folder, written = str(compared[0]), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert main(["evaluate", folder, "--against", folder, "--ks", "1", "4"]) == 0
    assert " +0.000 +-0.000  z" in written.getvalue().decode()


def test_wrong_numbers_leave_a_good_folder_as_it_is(compared, capsys, monkeypatch):
    folder = compared[0]
    monkeypatch.setattr("elbax._checks.memory_bytes", lambda: 2**33)
    before = sorted(folder.rglob("*"))
    for words in (
        ["snr", str(folder), "--sizes", "4", "--num-draws", "-1"],
        ["snr", str(folder), "--sizes", "4", "--ess-samples", "2000000000"],
        ["snr", str(folder), "--sizes", "2000000000"],
        ["evaluate", str(folder), "--ks", "2000000000"],
        ["sample", str(folder), "--num", "2000000000", "--out", str(folder / "s.npy")],
        ["sample", str(folder), "--num", "0", "--out", str(folder / "s.npy")],
    ):
        assert main(words) == 2, words
        assert len(capsys.readouterr().err.strip().splitlines()) <= 2
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--method", "piwae(8,8)"], "piwae(m=8, k=8)"),
        (["--method", "PIWAE( 4 , k=2 )", "--gradient", "dreg"], "piwae(m=4, k=2, gradient=dreg)"),
        (["--method", "piwae()", "--m", "4", "--k", "2"], "piwae(m=4, k=2)"),
        (
            ["--method", "ciwae(k=4, beta=1:0:5)", "--warmup", "3"],
            "ciwae(k=4, beta=1:0:5, warmup=3)",
        ),
        (["--method", "piwae", "--m", "4", "--k", "2"], "piwae(m=4, k=2)"),
    ],
)
def test_train_takes_a_method_as_compare_does(words, expected):
    text = train._method(parse(["train", *words]))
    assert spelling.describe(spelling.parse(text)) == expected


@pytest.mark.parametrize("command", ["evaluate", "snr"])
def test_counts_of_data_below_one_are_refused(command, compared, capsys):
    for count in ("0", "-1"):
        assert main([command, str(compared[0]), "--num-data", count]) == 2
        assert f"expected --num-data >= 1; got {count}" in capsys.readouterr().err


def test_data_that_have_moved_are_named_and_other_data_leave_the_folder_alone(tmp_path, capsys):
    data, out = tmp_path / "x.npy", str(tmp_path / "run")
    np.save(data, np.random.default_rng(0).integers(0, 17, (60, 2, 3)).astype(np.uint8))
    words = ["--method", "iwae", "--k", "2", "--hidden", "4", "--latents", "2", "--epochs", "1"]
    train = ["train", *words, "--out", out, "--data"]
    assert main([*train, str(data)]) == 0
    assert "note: " in (told := capsys.readouterr().err)
    assert "--levels 16" in told
    moved = str(data.rename(tmp_path / "moved.npy"))
    evaluate = ["evaluate", out, "--ks", "1", "4"]
    assert main(evaluate) == 2
    assert "name them with --data" in capsys.readouterr().err
    assert main([*evaluate, "--data", moved]) == 0
    assert main([*train, moved, "--resume"]) == 0
    before = (tmp_path / "run" / "results.json").read_bytes()
    capsys.readouterr()
    assert main([*evaluate, "--data", moved, "--split", "train", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["results"]
    assert found["evaluation"]["num_data"] == found["dataset"]["num_train"] == 54
    assert (tmp_path / "run" / "results.json").read_bytes() == before


def test_another_configuration_in_the_folder_is_refused(compared, capsys):
    words = ["train", "--method", "iwae", "--k", "4", *TINY, "--out", str(compared[0])]
    assert main(words) == 2
    assert "another configuration" in capsys.readouterr().err


def test_an_unwritable_folder_is_refused_before_training(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    out = str(tmp_path / "file" / "run")
    assert main(["train", *TINY, "--k", "2", "--out", out]) == 2
    assert "A file is in the way" in capsys.readouterr().err


def test_a_config_of_something_else_is_refused_and_kept(tmp_path, capsys):
    """Whatever JSON object it is: a sentence, and the file as it was."""
    for content in ("{}", '{"format": "x"}', '{"data": 3, "runs": {}}'):
        (tmp_path / "config.json").write_text(content)
        for words in (["train", *TINY, "--k", "2", "--resume"], ["train", *TINY, "--k", "2"]):
            assert main([*words, "--out", str(tmp_path)]) == 2
            assert capsys.readouterr().err.count("elbax:") == 1
        assert (tmp_path / "config.json").read_text() == content


def test_bad_arrays_are_refused(tmp_path, capsys):
    bad = {
        "nan": (np.full((20, 4), np.nan), "observed cells in '"),
        "range": (np.full((20, 4), 1.5), "in [0, 1]"),
        "axes": (np.zeros(20), "axes"),
    }
    for name, (array, message) in bad.items():
        np.save(tmp_path / f"{name}.npy", array.astype(np.float32))
        words = ["train", "--data", str(tmp_path / f"{name}.npy"), "--out", str(tmp_path / "run")]
        assert main(words) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


def test_an_unforeseen_failure_is_one_line_and_exit_code_one(monkeypatch, capsys):
    from elbax.cli import data

    def fail(_):
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(data, "data_list", fail)
    assert main(["data", "list"]) == 1
    assert capsys.readouterr().err == "elbax: ZeroDivisionError: boom\n"
