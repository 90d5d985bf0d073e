"""`elbax tune`: what it prints, and what it leaves."""

import json
import shlex

from elbax.cli.main import main
from elbax.cli.parse import parse

# Of the sizes in the docstring of `elbax.tune`: a process that has run it compiles nothing.
WORDS = ["tune", "--model", "small", "--hidden", "8", "--latents", "2", "--method", "iwae(k=2)",
         "--search", "learning_rate=1e-3:1e-1:log", "--trials", "2", "--at-once", "2",
         "--epochs", "1", "--batch-size", "200", "--k", "4"]  # fmt: skip


def test_a_search_ends_in_a_table_a_page_and_a_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(WORDS) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "The best trials" in text
    assert "of 2 trials" in text
    for name in ("journal.jsonl", "tune.json", "report.html", "figures/path.png"):
        assert (tmp_path / "runs" / "tune" / name).exists()
    [command] = [part for part in text.split("\n\n") if part.startswith("elbax train")]
    tuned = json.loads((tmp_path / "runs" / "tune" / "tune.json").read_text())
    best = tuned["trials"][tuned["best"]]
    options = parse(shlex.split(command.replace("\\\n", " "))[1:])
    assert options.train.learning_rate == best["point"]["learning_rate"]
    assert options.data.num_valid == 0  # all training data
    capsys.readouterr()
    assert main([*WORDS, "--json"]) == 0  # nothing is left to train
    content = json.loads(capsys.readouterr().out)
    assert content["best"] == tuned["best"]
    assert main([*WORDS, "--k", "8"]) == 2
    assert "holds another search (k: 4 there, 8 now)" in capsys.readouterr().err
