"""A columns.json, as an evaluation of runs on a table writes it, and read again."""

import itertools
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from elbax._errors import InputError
from elbax._reading import UnreadableError, read_json
from elbax.runs.results import setting_stamp
from elbax.runs.schemas import Numbers

NAME, FORMAT = "columns.json", 1
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # of central intervals
BINS = 10  # of a PIT


class _Column(TypedDict):
    """What a column is."""

    name: str
    kind: str
    why: str
    categories: int
    holes_fit: float
    holes_test: float
    mean: float | None
    sd: float | None
    most: str | None


class _Bins(TypedDict):
    """Where its cells are counted."""

    edges: list[float]
    names: list[str]


class _Points(TypedDict):
    """Rows that have both cells of a pair."""

    across: list[float]
    up: list[float]


class _Cells(TypedDict):
    """Marginals and pairs of the data, or of a model's draws."""

    shares: list[list[float]]
    points: list[_Points]
    correlation: Numbers


class _OfColumn(TypedDict):
    """What was found of a column's held-out cells."""

    count: int
    unreliable: NotRequired[int]
    nll: NotRequired[float | None]
    gain: NotRequired[float | None]
    gain_error: NotRequired[float | None]
    accuracy: NotRequired[float]
    accuracy_alone: NotRequired[float]
    promised: NotRequired[float]
    rmse: NotRequired[float | None]
    rmse_alone: NotRequired[float | None]
    mae: NotRequired[float | None]
    mae_alone: NotRequired[float | None]
    coverage: NotRequired[list[float]]
    pit: NotRequired[list[int]]
    p_value: NotRequired[float | None]


class _Joint(TypedDict):
    """Of all columns of numbers; nothing where there are none."""

    count: int
    unreliable: int
    coverage: Numbers
    error: Numbers


class _Run(_Cells):
    """One run."""

    name: str
    index: int
    distance: list[Numbers]
    cells: list[_OfColumn] | None
    joint: _Joint | None
    why_not: str | None


class _File(TypedDict):
    """All of it."""

    format: int
    setting: str
    num_rows: int
    num_rounds: int
    num_samples: int
    num_drawn: int
    columns: list[_Column]
    bins: list[_Bins]
    data: _Cells
    pairs: list[list[int]]
    correlated: list[list[int]]
    runs: list[_Run]


def read_columns(folder: Path, evaluation: dict[str, Any]) -> dict[str, Any] | None:
    """The content of a folder's columns.json; None where it has none.

    Raises:
        InputError: it is not as elbax writes it, or of another evaluation than the results.
    """
    path, cure = folder / NAME, f"run `elbax evaluate {folder}` again"
    if not path.exists():
        return None
    try:
        content: Any = read_json(path, _File)
    except UnreadableError as error:
        raise InputError(f"cannot read '{path}' ({error}); {cure}.") from None
    if content["format"] != FORMAT or not _agrees(content):
        raise InputError(f"expected '{path}' as `elbax evaluate` writes it; {cure}.")
    if content["setting"] != setting_stamp(evaluation):
        raise InputError(
            f"'{path}' and the results.json beside it are of different evaluations; {cure}."
        )
    return content


def _agrees(content: dict[str, Any]) -> bool:
    """Whether lists that belong together are of one length, and places are of columns."""
    bins, size = content["bins"], len(content["columns"])
    pairs = [*content["pairs"], *content["correlated"]]
    return (
        size > 0
        and len(bins) == size
        and all(_is_rising(one["edges"]) for one in bins)
        and all(len(one["names"] or one["edges"][1:]) == len(one["edges"]) - 1 for one in bins)
        and all(len(pair) == 2 and 0 <= min(pair) <= max(pair) < size for pair in pairs)
        and all(_fits(one, content) for one in (content["data"], *content["runs"]))
        and all(_cells_fit(run, size) for run in content["runs"])
    )


def _is_rising(edges: list[float]) -> bool:
    return len(edges) > 1 and all(a < b for a, b in itertools.pairwise(edges))


def _fits(one: dict[str, Any], content: dict[str, Any]) -> bool:
    """Whether marginals and pairs are as many as bins and pairs."""
    return (
        [len(shares) + 1 for shares in one["shares"]] == [len(b["edges"]) for b in content["bins"]]
        and len(one["points"]) == len(content["pairs"])
        and all(len(points["across"]) == len(points["up"]) for points in one["points"])
        and len(one["correlation"]) == len(content["correlated"])
    )


def _cells_fit(run: dict[str, Any], size: int) -> bool:
    """Whether what was found of held-out cells is of every column, and whole."""
    if len(run["distance"]) != size or any(len(one) != 2 for one in run["distance"]):
        return False
    if run["cells"] is None or run["joint"] is None:
        return run["cells"] is None and run["joint"] is None
    joint = run["joint"]
    return (
        len(run["cells"]) == size
        and len(joint["coverage"]) == len(joint["error"]) == len(LEVELS)
        and all(_is_whole(one) for one in run["cells"])
    )


def _is_whole(one: dict[str, Any]) -> bool:
    if one["count"] == 0:
        return True
    known = {"unreliable", "nll", "gain", "gain_error"} <= one.keys()
    if "accuracy" in one:
        return known and {"accuracy_alone", "promised"} <= one.keys()
    numbers = {"rmse", "rmse_alone", "mae", "mae_alone", "coverage", "pit", "p_value"}
    lists = numbers <= one.keys() and (len(one["coverage"]), len(one["pit"])) == (len(LEVELS), BINS)
    return known and lists
