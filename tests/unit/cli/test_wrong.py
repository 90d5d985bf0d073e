"""Wrong command lines, as strangers type them: one sentence, exit code 2, nothing left."""

import pytest

from elbax.cli.main import main

WRONG = {
    "unknown command": (["trian"], "unknown command 'trian'; did you mean 'train'?"),
    "unknown option": (["train", "--epohcs", "3"], "did you mean --epochs?"),
    "no number": (["train", "--epochs", "x"], "--epochs"),
    "unknown data": (["train", "--data", "mnits"], "did you mean 'mnist'?"),
    "no such file": (["train", "--data", "nowhere/x.npy"], "x.npy"),
    "unknown method": (["train", "--method", "iwea"], "did you mean 'iwae'?"),
    "unknown rule": (["train", "--gradient", "drge"], "did you mean 'dreg'?"),
    "k below one": (["train", "--k", "0"], "elbax: expected --k >= 1; got 0"),
    "beta above one": (["train", "--method", "ciwae", "--beta", "2"], "expected beta in [0, 1]"),
    "m where there is none": (
        ["train", "--method", "iwae", "--m", "3"],
        "unknown argument of iwae",
    ),
    "unequal samples": (
        ["compare", "--methods", "vae(4)", "iwae(8)"],
        "equally many samples",
    ),
    "twice the same": (["compare", "--methods", "vae(4)", "vae(4)"], "different objectives"),
    "no epochs": (["train", "--epochs", "0"], "expected --epochs >= 1"),
    "no folder": (["evaluate", "nowhere"], "config.json"),
    "no data command": (["data", "lst"], "did you mean 'list'?"),
    "no such run": (["report", "nowhere"], "nowhere"),
    "no such study": (["reproduce", "tabel1"], "did you mean 'table1'?"),
    "no such preset": (["reproduce", "table1", "--preset", "fast"], "fast"),
    "no data of a study": (["reproduce", "table1", "--num-data", "0"], "expected --num-data >= 1"),
    "no name of a search": (["tune", "--search", "lr=0:1"], "unknown name in a search 'lr'"),
    "no values of a search": (["tune", "--search", "beta"], "expected name=values, such as"),
    "no trials": (["tune", "--trials", "0"], "expected --trials >= 1; got 0"),
    "no range of beta": (
        ["tune", "--method", "ciwae", "--search", "beta=0:2"],
        "expected beta in [0, 1]",
    ),
    "no levels": (["train", "--levels", "0"], "expected levels > 0"),
    "no epochs of a study": (["reproduce", "table1", "--epochs", "0"], "--epochs >= 1"),
    "no looks": (["train", "--monitor-every", "0"], "expected --monitor-every >= 1; got 0"),
    "no measurements": (["train", "--snr-every", "0"], "expected --snr-every >= 1; got 0"),
    "no draws": (["snr", "toy", "--num-draws", "-1"], "expected --num-draws >= 1; got -1"),
    "no samples": (["compare", "--ks", "0", "4"], "expected --ks >= 1; got 0"),
    "no sample counts": (["compare", "--ks"], "one value or more for --ks; got none"),
    "no hidden units": (["train", "--hidden", "-4"], "expected --hidden >= 1; got -4"),
    "more than int32": (["train", "--k", str(2**31)], f"expected --k < {2**31}"),
    "more than a seed": (["train", "--seeds", "0", str(2**32)], f"expected --seeds < {2**32}"),
    "less than a seed": (["train", "--data-seed", "-1"], "expected --data-seed >= 0"),
    "no number for float32": (["train", "--learning-rate", "1e-46"], "that float32 can hold"),
    "not a number": (["snr", "toy", "--offset", "nan"], "--offset to be a number"),
    "no end": (["train", "--warmup", "inf"], "--warmup to be a number"),
    "no number in a text": (["train", "--method", "ciwae(4, beta=nan)"], "beta of ciwae to be a n"),
    "no number of a rule": (["train", "--gradient", "wake-sleep:nan"], "'wake-sleep' to be a numb"),
    "a decay of 1 in float32": (
        ["train", "--adam-b2", "0.999999999999"],
        "--adam-b2 in [0, 1), in",
    ),
    "too many samples": (["train", "--method", "piwae(1000000000, 1000000000)"], f"< {2**31}"),
    "too large a toy": (["snr", "toy", "--num-dimensions", "1000000000"], "fit in memory"),
    "too large a model": (["train", "--hidden", "1000000000", "--k", "1"], "fit in memory"),
    "too many to evaluate": (["compare", "--ks", "2000000000"], "fit in memory"),
    "numbers twice": (["train", "--method", "piwae(8,8)", "--k", "4"], "not in both; got --method"),
    "short for an option": (["train", "--lr", "1"], "did you mean --learning-rate?"),
    "unknown choice": (["train", "--model", "smal"], "did you mean 'small'?"),
    "part of an option": (["train", "--rate", "1"], "unknown option --rate; did you mean --learn"),
    "one dash": (["train", "-k", "4"], "unknown option -k; did you mean --k?"),
    "a word too many": (
        ["evaluate", "a", "b"],
        "expected nothing but FOLDER and options after `elbax evaluate`; got 'b'",
    ),
    "a value of a switch": (["train", "--json", "yes"], "expected nothing but options after"),
    "no whole number": (["train", "--k", "x"], "expected a whole number after --k; got 'x'"),
    "no real number": (["train", "--warmup", "x"], "expected a number after --warmup; got 'x'"),
    "no whole numbers": (["train", "--seeds", "a", "b"], "whole numbers after --seeds; got 'a b'"),
    "half a unit": (["train", "--hidden", "8.5"], "whole numbers after --hidden; got '8.5'"),
    "no value": (["train", "--k"], "expected a whole number after --k; got none"),
    "an empty folder": (["train", "--out="], "expected a text for --out; got an empty one"),
    "an empty place": (["evaluate", ""], "expected a text for FOLDER; got an empty one"),
    "no methods": (["compare", "--methods"], "one value or more for --methods; got none"),
    "no folder at all": (["evaluate"], "expected FOLDER after `elbax evaluate` (folder that"),
    "no study": (["reproduce"], "expected STUDY after `elbax reproduce` (a study that"),
    "no page": (["report"], "expected one folder or more after `elbax report`; got none"),
    "no choice": (["train", "--binarise", "dinamic"], "unknown --binarise 'dinamic'; did you mean"),
    "no schedule": (["train", "--schedule", "cosine"], "unknown --schedule 'cosine'. Known: ann"),
    "no toy": (["snr", "toi"], "expected toy, or a folder that `elbax train` wrote"),
    "an option before a command": (["--json"], "expected a command before --json"),
    "unknown rule with a number": (["train", "--gradient", "ovsi:0.5"], "did you mean 'ovis'?"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_one_sentence_and_exit_code_two(name, tmp_path, monkeypatch, capsys):
    words, message = WRONG[name]
    monkeypatch.setattr("elbax._checks.memory_bytes", lambda: 2**33)
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    printed = capsys.readouterr()
    complaint = [line for line in printed.err.splitlines() if line.startswith("elbax: ")]
    assert printed.out == ""
    assert len(complaint) == 1
    assert message in complaint[0]
    assert "Traceback" not in printed.err
    assert not list(tmp_path.iterdir()), "nothing may be left behind"


@pytest.mark.parametrize("command", ["report", "evaluate", "sample", "plot", "export"])
def test_a_folder_that_the_system_cannot_look_at_is_one_sentence(command, capsys):
    assert main([command, "x" * 300]) == 2
    said = capsys.readouterr().err
    assert "File name too long" in said
    assert "Traceback" not in said
    assert said.count("\n") <= 2
