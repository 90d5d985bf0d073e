"""What is wrong with a command line, in one sentence: tyro's complaint, said with our own words."""

import difflib
import re
from collections.abc import Sequence

from elbax._errors import unknown
from elbax.cli.described import Option, options_of
from elbax.cli.options import Checked

# What tyro says, the later releases and the earlier ones.
_CHOICE = (
    r"invalid choice '(?P<given>.*)' for argument '(?P<flag>--\S+)'\.",
    r"Argument (?P<flag>--\S+): invalid choice: '(?P<given>.*)' \(choose",
)
_NO_VALUE = (
    r"Missing value for argument '(?P<flag>--[\w-]+)'",
    r"Argument (?P<flag>--\S+): expected",
)
_NO_PLACE = ("Missing from ", "The following arguments are required")
_KINDS = {"N": "a whole number", "X": "a number", "N ...": "whole numbers", "X ...": "numbers"}


def sentence(complaint: str, program: str, command: type[Checked], words: Sequence[str]) -> str:
    """What was expected, what came, and where to look.

    Args:
        complaint: what tyro printed.
        program: the command as it is typed: "elbax train".
        command: the class of its options.
        words: what was typed after it.
    """
    problem = _problem(complaint)
    options = options_of(command)
    if choice := _match(_CHOICE, problem):
        return _unknown_choice(choice["flag"], choice["given"], options)
    if problem.startswith("Unrecognized"):
        problem = _unrecognized(problem, program, options, words)
    elif _match(_NO_PLACE, problem):
        place = next(option for option in options if option.flag is None)
        about = _lower(place.sentence.rstrip("."))
        problem = f"expected {place.value} after `{program}` ({about}); got none"
    elif missing := _match(_NO_VALUE, problem):
        problem = f"expected {_kind(missing['flag'], options)} after {missing['flag']}; got none"
    elif wrong := re.match(r"Error parsing (\S+?)(?: .*?)?: (.*)", problem):
        problem = _unparsed(wrong[1], wrong[2], options, words)
    ending = "" if problem.endswith("?") else ";"
    return f"{problem.rstrip('.')}{ending} see `{program} --help`."


def _match(patterns: Sequence[str], problem: str) -> re.Match[str] | None:
    return next((found for one in patterns if (found := re.match(one, problem))), None)


def _problem(complaint: str) -> str:
    """The first paragraph inside the box that tyro draws around a complaint, on one line."""
    lines = [line.strip("│| ") for line in complaint.splitlines()]
    # Lines with a run of dashes are the box's border and the rules between its paragraphs.
    text = "\n".join("" if re.search("[─-]{3}", line) else line for line in lines)
    paragraphs = [paragraph.strip() for paragraph in re.split(r"\n{2,}", f"\n{text}\n")]
    paragraphs = [paragraph for paragraph in paragraphs if paragraph]
    if "╭" not in complaint:  # drawn in ASCII, where the title is a paragraph too
        paragraphs = paragraphs[1:]
    return re.sub(r"\s+", " ", paragraphs[0]) if paragraphs else "it was not understood"


def _unknown_choice(flag: str, given: str, options: Sequence[Option]) -> str:
    known = next((option.known for option in options if option.flag == flag), ())
    return unknown(flag, given, known)


def _unrecognized(
    problem: str, program: str, options: Sequence[Option], words: Sequence[str]
) -> str:
    flags = _flags(options)
    typed = [
        word.partition("=")[0].replace("_", "-") for word in words if re.match("--?[a-z]", word)
    ]
    wrong = next((word for word in typed if word not in flags), None)
    if wrong is None:
        given = problem.partition(": ")[2]
        places = "".join(f"{option.value} and " for option in options if option.flag is None)
        return f"expected nothing but {places}options after `{program}`; got '{given}'"
    near = nearest(wrong, flags)
    return f"unknown option {wrong}{f'; did you mean {near}?' if near else ''}"


def nearest(wrong: str, flags: Sequence[str]) -> str | None:
    """The option that a wrong one stands for: by its letters, its initials, or a part of it.

    >>> flags = ["--k", "--batch-size", "--learning-rates", "--learning-rate"]
    >>> [nearest(wrong, flags) for wrong in ("-k", "--lr", "--rate", "--bathc-size", "--zzz")]
    ['--k', '--learning-rate', '--learning-rate', '--batch-size', None]
    """
    name = wrong.lstrip("-")
    if f"--{name}" in flags:
        return f"--{name}"
    initials = {"".join(word[0] for word in flag[2:].split("-")): flag for flag in flags}
    if len(name) > 1 and name in initials:
        return initials[name]
    if holding := [flag for flag in flags if name in flag[2:].split("-")]:
        return min(holding, key=len)
    return next(iter(difflib.get_close_matches(wrong, flags, n=1, cutoff=0.65)), None)


def _flags(options: Sequence[Option]) -> list[str]:
    """Options as they are typed, both ways where there are two."""
    flags = [option.flag for option in options if option.flag is not None]
    return [
        form
        for flag in flags
        for form in (flag.replace("[no-]", ""), flag.replace("[", "").replace("]", ""))
    ]


def _unparsed(flag: str, reason: str, options: Sequence[Option], words: Sequence[str]) -> str:
    """A value that is none of its type; what the options' own checks say is a sentence already."""
    if said := re.match(r"(expected|unknown) ([\w-]+)(.*)", reason):
        known = {option.name: option.flag for option in options}
        return f"{said[1]} {known.get(said[2]) or said[2]}{said[3]}"
    return f"expected {_kind(flag, options)} after {flag}; got '{_given(flag, words)}'"


def _given(flag: str, words: Sequence[str]) -> str:
    """What was typed as the value of an option.

    >>> _given("--seeds", ["--k", "4", "--seeds", "a", "b", "--m", "2"]), _given("--k", ["--k=x"])
    ('a b', 'x')
    """
    typed = " ".join(words).replace(f"{flag}=", f"{flag} ").partition(f"{flag} ")[2]
    return typed.partition(" --")[0]


def _kind(flag: str, options: Sequence[Option]) -> str:
    value = next((option.value for option in options if option.flag == flag), "")
    return _KINDS.get(value, value or "a value")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
