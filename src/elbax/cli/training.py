"""What `elbax train` and `elbax compare` share: the run folder, the training, and what to say."""

import contextlib
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from elbax._errors import InputError, RunFailedError, StoppedError
from elbax.cli import options as o
from elbax.cli.signals import SIGNALS
from elbax.sinks.sinks import Sinks
from elbax.training import metrics
from elbax.training.fit import FitResult, fit
from elbax.training.loop import Progress

_LATEST = Path("runs/latest")


def run_folder(options: o.Train | o.Compare, name: str) -> Path:
    """The folder that was asked for, the latest to resume, or a new one: runs/DATE-NAME.

    Raises:
        InputError: both --resume and --overwrite, or nothing to resume.
    """
    run = options.run
    if run.resume and run.overwrite:
        raise InputError("expected one of --resume and --overwrite; got both.")
    if run.out is not None:
        return Path(run.out)
    if run.resume:
        if not _LATEST.exists():
            raise InputError(f"there is no '{_LATEST}' to resume; say which folder with --out.")
        return _LATEST.parent / _LATEST.resolve().name
    words = re.findall(r"[a-z0-9.]+", name.lower().replace("=", ""))
    new = Path("runs") / "-".join([time.strftime("%Y-%m-%d-%H%M%S"), *words])
    return new if not new.exists() else new.with_name(f"{new.name}-{time.time_ns() % 10**9}")


@contextlib.contextmanager
def logging_to(names: str | None) -> Iterator[Sinks]:
    """The sinks of --log, open until the command has nothing more to tell them.

    Tools that print do so on stderr meanwhile, as stdout is for what the command found.
    """
    sinks = Sinks(names or (), keep_open=True)
    quiet = contextlib.redirect_stdout(sys.stderr) if sinks else contextlib.nullcontext()
    with quiet, sinks:
        yield sinks
        sinks.close()


def train_in(
    folder: Path,
    *arguments: Any,
    progress: Callable[[Progress], None],
    compiling: Callable[[], None],
    **options: Any,
) -> FitResult:
    """`fit` in a folder, until it is done or a signal asks it to stop.

    Args:
        folder: where the runs are kept.
        arguments: of `fit`.
        progress: told where training stands.
        compiling: told when everything is in place, and the program is about to be compiled.
        options: of `fit`.

    Raises:
        StoppedError: a signal did; what was trained is saved.
    """
    seen: list[Progress] = []

    def stop() -> bool:
        """Asked before every chunk of steps; the first is when its program is compiled."""
        if not seen:
            compiling()
        return SIGNALS.stop()

    def told(now: Progress) -> None:
        if not seen:
            _link_latest(folder)
        seen[:] = [now]
        progress(now)

    result = fit_heeding_signals(*arguments, directory=folder, progress=told, stop=stop, **options)
    if not result.finished:
        where = f"saved at step {seen[0].step} of {seen[0].num_steps}" if seen else "not begun"
        raise StoppedError(f"stopped; {where} in '{folder}'.", str(folder))
    return result


def fit_heeding_signals(
    *arguments: Any, stop: Callable[[], bool] = SIGNALS.stop, **options: Any
) -> FitResult:
    """`fit`, which saves and returns at the first signal."""
    with SIGNALS.training():
        result = fit(*arguments, stop=stop, **options)
    if result.finished and SIGNALS.stop():  # too late to stop it, not what comes after
        raise KeyboardInterrupt
    return result


def check_trained(result: FitResult, folder: Path) -> None:
    """Refuse to go on with runs of which none is left.

    Raises:
        RunFailedError: every run diverged.
    """
    if "ok" in result.status:
        return
    names = ", ".join(run.name for run in result.runs)
    first = _causes(metrics.read(folder / "metrics.jsonl")).get(result.runs[0].name)
    raise RunFailedError(
        f"every run diverged ({names})"
        + (f", the first {first}" if first else "")
        + f". Their last finite parameters and metrics are in '{folder}'. Lower --learning-rate or "
        "set --clip-norm."
    )


def trained_lines(result: FitResult, folder: Path) -> list[str]:
    """One line per run: its status, and the last bound that was finite."""
    records = metrics.read(folder / "metrics.jsonl")
    lines, causes = [], _causes(records)
    for run, status in zip(result.runs, result.status, strict=True):
        bounds = [record.get("bound") for record in records if record["run"] == run.name]
        finite = [bound for bound in bounds if isinstance(bound, int | float)]
        bound = f"bound {finite[-1]:.2f} nats per datum" if finite else "no finite bound"
        if status != "ok":
            bound = f"last finite {bound}" if finite else bound
        lines.append(f"{run.name}: {status}, {bound}")
        if run.name in causes:
            lines.append(f"  It diverged {causes[run.name]}.")
    lost = result.status.count("diverged")
    if lost:
        lines.append(f"{lost} of {len(result.runs)} runs diverged.")
    return lines


def _causes(records: list[dict[str, Any]]) -> dict[str, str]:
    """Why runs diverged, by name, as far as metrics.jsonl says."""
    return {record["run"]: str(record["cause"]) for record in records if "cause" in record}


def _link_latest(folder: Path) -> None:
    """Let runs/latest lead to a folder beside it; a real folder of that name stays."""
    if folder.parent != _LATEST.parent or folder == _LATEST:
        return
    with contextlib.suppress(OSError):
        if _LATEST.is_symlink():
            _LATEST.unlink()
        _LATEST.symlink_to(folder.name, target_is_directory=True)
