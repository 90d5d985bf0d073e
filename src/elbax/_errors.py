"""Every error elbax raises on purpose.

    ElbaxError
    |-- InputError (also ValueError)    the caller's argument, file or folder is wrong: exit code 2
    |   |-- DataError                   a data set: name, file, shape, range, hash
    |   |-- CheckpointError             a checkpoint or run folder: truncated, of another model
    |   `-- OutputError                 a folder or file that cannot be written
    |-- RunFailedError                  something failed while running: exit code 1
    `-- StoppedError                    asked to stop, and saved: exit code 130 or 143

A message is one sentence or two: what was expected, what came, what to do. What is allowed but
probably not meant is an `ElbaxWarning`, which the command line prints on stderr.
"""

import difflib
from collections.abc import Iterable


class ElbaxError(Exception):
    """The root of every error that elbax raises on purpose.

    >>> import elbax
    >>> try:
    ...     elbax.iwae(k=0)
    ... except ElbaxError as error:
    ...     print(error)
    expected k >= 1 (a whole number of samples) for IWAE; got k=0.
    """


class InputError(ElbaxError, ValueError):
    """The caller gave something that cannot be used; the message says what would be.

    >>> issubclass(InputError, ValueError)
    True
    """


class DataError(InputError):
    """A data set cannot be found, read or used as asked.

    >>> import elbax
    >>> try:
    ...     elbax.load_data("digit")
    ... except DataError as error:
    ...     print(str(error)[:46])
    unknown data set 'digit'; did you mean 'digits
    """


class CheckpointError(InputError):
    """A checkpoint or a run folder cannot be read or does not belong to this run.

    >>> import elbax
    >>> try:
    ...     elbax.load("no-such-file.safetensors")
    ... except CheckpointError as error:
    ...     print(error)
    expected a model file; found none at 'no-such-file.safetensors'.
    """


class OutputError(InputError):
    """A result cannot be written where it was asked for; what stood there before still does.

    >>> issubclass(OutputError, InputError)
    True
    """


class RunFailedError(ElbaxError):
    """A command that was asked for correctly failed while running.

    >>> issubclass(RunFailedError, InputError)
    False
    """


class ElbaxWarning(UserWarning):
    """Something that is allowed but probably not meant; the message says how to say otherwise.

    >>> import warnings
    >>> warnings.simplefilter("error", ElbaxWarning)  # stop at one
    >>> warnings.simplefilter("default", ElbaxWarning)
    """


class StoppedError(ElbaxError):
    """Training was asked to stop; what was trained is saved.

    Attributes:
        folder: the run folder to resume, where the caller chose it.
    """

    def __init__(self, message: str, folder: str | None = None):
        super().__init__(message)
        self.folder = folder


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that `name` is no known `kind`, with the nearest known name if there is one.

    >>> unknown("data set", "mnits", ["mnist", "digits"])
    "unknown data set 'mnits'; did you mean 'mnist'? Known: mnist, digits."
    """
    known = list(known)
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    return f"unknown {kind} '{name}'{hint} Known: {', '.join(known)}."
