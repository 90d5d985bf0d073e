"""`--help` and the greeting: what is first, what is said once, and how wide it is."""

import re
import subprocess
import sys
from typing import get_args

import pytest

from elbax.cli.described import options_of
from elbax.cli.help import page_of
from elbax.cli.main import main
from elbax.cli.options import COMMANDS, DATA_COMMANDS, shared
from elbax.models.config import LIKELIHOODS, MISSING

EVERY = {f"elbax {name}": command for name, command in COMMANDS.items()}
EVERY |= {f"elbax data {name}": command for name, command in DATA_COMMANDS.items()}


@pytest.mark.parametrize("program", EVERY)
def test_every_option_is_explained_once_in_80_columns(program):
    page = page_of(program, EVERY[program])
    assert max(map(len, page.splitlines())) <= 80
    heads = re.findall(r"^  (--\S+)", page, flags=re.MULTILINE)
    flags = [option.flag for option in options_of(EVERY[program]) if option.flag]
    assert sorted(heads) == sorted(flags)
    for option in options_of(EVERY[program]):
        assert option.sentence.endswith("."), option.name
        assert "default:" not in option.sentence, option.name


@pytest.mark.parametrize("program", EVERY)
def test_no_type_or_default_is_said_that_says_nothing(program):
    page = page_of(program, EVERY[program])
    assert not re.search(r"None\b(?! given)|STR|INT|FLOAT|\{|default: (None|False|True|\))", page)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("train", ["--data", "--model", "--method", "--epochs", "--out"]),
        ("compare", ["--data", "--model", "--methods", "--epochs", "--out"]),
        ("tune", ["--data", "--model", "--method", "--search", "--trials", "--epochs", "--out"]),
        ("evaluate", ["FOLDER", "--ks", "--num-data", "--against", "--active-units"]),
    ],
)
def test_what_one_needs_first_is_on_top(name, first, capsys):
    assert main([name, "--help"]) == 0
    page = capsys.readouterr().out
    top = page.split("What you need first\n")[1].split("\n\n")[0]
    assert re.findall(r"^  (\S+)", top, flags=re.MULTILINE) == first
    assert main(["help", name]) == 0
    assert capsys.readouterr().out == page


def test_groups_are_those_one_thinks_in():
    page = page_of("elbax train", COMMANDS["train"])
    headings = re.findall(r"^(?:The )?(\w+(?: \w+)?).*\n(?:\S.*\n)?  ", page, flags=re.MULTILINE)
    expected = "What you, objective, Seeds, data, model, training protocol, machine, runs, Output"
    assert headings[-9:] == expected.split(", ")
    assert re.search(r"--schedule NAME .*\n(.*\n)+?.*\(default: anneal\)", page)


def test_the_words_of_the_field_are_explained_where_they_are_met(capsys):
    pages = {name: page_of(name, command) for name, command in COMMANDS.items()}
    for name in ("train", "compare"):
        one_line = " ".join(pages[name].split())
        before = one_line.split("per datum")[0]
        assert "datum" not in before
        assert one_line.split("per datum")[1].startswith(", that is per image or row")
    assert "as one fleet: they share one compiled program" in " ".join(pages["train"].split())
    assert "as one fleet: they share one compiled program" in " ".join(pages["compare"].split())
    for name in ("compare", "evaluate"):
        said = " ".join(pages[name].split())
        assert "log p-hat, the estimate of log p(x); gap_64 is IWAE-64 minus log p-hat" in said


def test_elbax_alone_greets_and_imports_next_to_nothing():
    code = "import sys; from elbax.cli.main import main; code = main([]); \
        print(code, set(sys.modules) & {'jax', 'numpy', 'tyro', 'rich'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    *greeting, last = done.stdout.splitlines()
    assert last == "0 set()"
    assert max(map(len, greeting)) <= 80
    for example in [line.split() for line in greeting if line.startswith("  elbax ")]:
        assert example[1] in COMMANDS
        known = [option.flag for option in options_of(COMMANDS[example[1]])]
        assert all(word in known for word in example if word.startswith("--"))
    assert "elbax --help" in done.stdout


HEAVY = ("jax", "scipy", "matplotlib", "sklearn", "requests")
WITHOUT_JAX = [
    ([], 0),
    (["--help"], 0),
    (["train", "--help"], 0),
    (["--version"], 0),
    (["data", "list"], 0),
    (["reproduce", "list"], 0),
    (["reproduce", "tabel1"], 2),
    (["data", "info"], 2),
    (["train", "--epochs", "0"], 2),
]


def test_what_needs_no_jax_does_not_wait_for_it():
    # Importing JAX takes longer than everything that these commands do.
    code = f"""if True:
        import sys
        from elbax.cli.main import main
        for words, expected in {WITHOUT_JAX}:
            assert main(words) == expected, words
            assert not set({HEAVY}) & set(sys.modules), words
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    assert "\n  data " in done.stdout.split("usage: elbax COMMAND")[1].split("usage:")[0]
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_names_that_options_take_are_those_that_models_know():
    """The command line cannot make its types from the tuples, which are of no JAX either."""
    assert get_args(get_args(shared.Missing)[0]) == MISSING
    assert set(get_args(shared.Likelihood)) == set(LIKELIHOODS) - {"table"}
