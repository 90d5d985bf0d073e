"""From tyro's complaint to a sentence: what no command line of the other tests shows."""

import pytest

from elbax._errors import InputError
from elbax.cli.complaints import sentence
from elbax.cli.described import options_of
from elbax.cli.options import COMMANDS, Train
from elbax.cli.parse import parse

BOX = """╭─ Parsing error ──────────────────────────────╮
│ Something that no version of tyro has said   │
│ so far.                                      │
│ ──────────────────────────────────────────── │
│ For full helptext, run elbax train --help    │
╰──────────────────────────────────────────────╯"""


def test_a_complaint_that_is_not_known_is_passed_on():
    said = sentence(BOX, "elbax train", Train, [])
    assert said == "Something that no version of tyro has said so far; see `elbax train --help`."
    assert sentence("", "elbax train", Train, []).startswith("it was not understood; see")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_misspelt_option_is_recognized(name):
    """Two letters swapped, of every option of every command."""
    options = options_of(COMMANDS[name])
    places = ["x" for option in options if option.flag is None]
    flags = [option.flag.replace("[no-]", "") for option in options if option.flag]
    for flag in [flag for flag in flags if len(flag) > 8]:
        wrong = flag[:4] + flag[5] + flag[4] + flag[6:]
        if wrong == flag:
            continue
        with pytest.raises(InputError, match=f"unknown option {wrong}; did you mean {flag}"):
            parse([name, *places, wrong, "1"])
