"""`elbax plot`: runs of several folders on the same axes, evaluated or not."""

import json

from elbax.cli.main import main


def test_runs_of_several_folders_are_drawn_with_their_numbers(tmp_path, results, write_run, capsys):
    folders = [str(write_run(tmp_path / name / "run", results)) for name in ("a", "b")]
    out = tmp_path / "curves.png"
    assert main(["plot", *folders, "--metric", "iwae_64", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == [str(out), str(tmp_path / "curves.json")]
    lines = json.loads((tmp_path / "curves.json").read_text())["lines"]
    assert [line["label"] for line in lines][::5] == ["a/run: VAE(64)", "b/run: VAE(64)"]
    assert out.read_bytes()[:4] == b"\x89PNG"


def test_runs_that_were_not_evaluated_are_drawn_too(tmp_path, results, write_run, capsys):
    runs = [{"method": run["method"], "seed": run["seed"]} for run in results["runs"][:3]]
    metrics = [
        {"run": f"vae-m64-seed{seed}", "epoch": epoch, "step": epoch, "bound": -20.0 + epoch}
        for seed in range(3)
        for epoch in (1, 2)
    ]
    data = {"event_shape": [8, 8], "fingerprint": "0", "steps_per_epoch": 9}
    config = {"runs": runs, "data": data, "model": {}, "train": {}}
    folder = write_run(tmp_path / "run", results, metrics=metrics, config=config, images=None)
    (folder / "results.json").unlink()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"run": "vae-m64-seed0", "ep')  # a line that is being written
    assert main(["plot", str(folder), "--out", str(tmp_path / "c.svg")]) == 0
    assert "VAE(64) -18" in capsys.readouterr().out
    assert json.loads((tmp_path / "c.json").read_text())["lines"][0]["num_runs"] == [3, 3]


def test_what_cannot_be_drawn_is_refused_and_nothing_written(tmp_path, results, write_run, capsys):
    folder = str(write_run(tmp_path / "run", results))
    out = ["--out", str(tmp_path / "c.png")]
    wrong = {
        "one folder or more": ["plot"],
        "bound, ess, grad_norm": ["plot", folder, "--metric", "elbo", *out],
        "to end in .png or .svg": ["plot", folder, "--out", "c.pdf"],
        "expected a run folder with a config.json": ["plot", str(tmp_path / "nowhere"), *out],
    }
    for message, words in wrong.items():
        assert main(words) == 2
        assert message in capsys.readouterr().err
    (tmp_path / "run" / "results.json").unlink()
    (tmp_path / "run" / "config.json").write_text('{"runs": [{}]}')
    assert main(["plot", folder, *out]) == 2
    assert "or not as elbax writes it" in capsys.readouterr().err
    assert not (tmp_path / "c.png").exists()
