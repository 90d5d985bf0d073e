"""What was found of every datum, as files for other programs.

Numbers keep all the digits they were stored with: what is read back is what was written.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from elbax._errors import InputError
from elbax._files import write_atomically
from elbax.runs import metrics
from elbax.runs.groups import by_method, spread
from elbax.runs.read import read_per_datum, read_results

VALUES = (".csv", ".npz")


def check_ending(path: str, known: Sequence[str], option: str) -> Path:
    """The path, if it ends as one of the known kinds of file does.

    Raises:
        InputError: it does not.
    """
    if Path(path).suffix not in known:
        raise InputError(f"expected {option} to end in {', '.join(known)}; got '{path}'.")
    return Path(path)


def write_values(
    folder: str | Path, out: str | Path, *, means: Sequence[np.ndarray] | None = None
) -> dict[str, list[int]]:
    """Write the values of every datum that the evaluation of a run folder found.

    A .csv has one row per run and datum: `run, method, seed, datum, finite`, the bounds in nats
    (`iwae_1`, .., `log_p_hat` at the largest k), `ess`, `ssim` of images, and the posterior means
    `z1_1, z1_2, ..`, layer and unit from 1. An .npz has the same as arrays, runs on the first axis.

    Args:
        folder: what `elbax evaluate` wrote results into.
        out: a .csv or an .npz.
        means: posterior means of each layer `[R, N, Z]`; left out if omitted.

    Returns:
        The shape of every array.

    Raises:
        InputError: no evaluation there, or one that does not fit its results.json.
        OutputError: the file cannot be written.
    """
    path = check_ending(str(out), VALUES, "the file of values")
    results = read_results(folder)
    arrays = read_per_datum(Path(folder), results)
    for layer, array in enumerate(means or (), start=1):
        arrays[f"z{layer}"] = array
    if path.suffix == ".npz":
        named = {
            "runs": np.array([run["name"] for run in results["runs"]]),
            "ks": np.array(sorted(results["evaluation"]["ks"])),
            **arrays,
        }
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **named)  # pyright: ignore[reportArgumentType]
        write_atomically(path, buffer.getvalue())
        return {name: list(array.shape) for name, array in named.items()}
    write_atomically(path, _csv(_rows(results, arrays)))
    return {name: list(array.shape) for name, array in arrays.items()}


def comparison_csv(results: dict[str, Any]) -> bytes:
    """The comparison with one row per method and metric, in full precision."""
    return _csv(_comparison(results))


def _comparison(results: dict[str, Any]) -> Iterator[Sequence[Any]]:
    yield ["method", "metric", "mean", "error", "error_is", "num_runs"]
    for method in by_method(results):
        kind = "standard error over data" if len(method.finished) == 1 else "sd over seeds"
        for metric in metrics.every(results["evaluation"]["ks"]):
            mean, error = method.mean(metric.key)
            if mean is None:
                continue
            count = spread([metrics.value(run, metric) for run in method.finished]).count
            told = ("", "") if error is None else (repr(error), kind)
            yield [method.label, metric.key, repr(mean), *told, count]


def _rows(results: dict[str, Any], arrays: dict[str, np.ndarray]) -> Iterator[Sequence[Any]]:
    names = list(metrics.bounds(results["evaluation"]["ks"]).values())
    plain = [name for name in ("ess", "ssim") if name in arrays]
    layers = [name for name in arrays if name.startswith("z")]
    units = [f"{name}_{unit + 1}" for name in layers for unit in range(arrays[name].shape[-1])]
    yield ["run", "method", "seed", "datum", "finite", *names, *plain, *units]
    for row, run in enumerate(results["runs"]):
        columns = [
            *arrays["bounds"][row],
            *(arrays[name][row] for name in plain),
            *(column for name in layers for column in arrays[name][row].T),
        ]
        for datum, finite in enumerate(arrays["finite"][row]):
            # NumPy's text of a number is the shortest that reads back as the same.
            values = [str(column[datum]) for column in columns]
            yield [run["name"], run["method"], run.get("seed"), datum, int(finite), *values]


def _csv(rows: Iterator[Sequence[Any]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()
