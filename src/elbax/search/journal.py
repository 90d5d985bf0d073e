"""A study of Optuna in a file: trials asked and told, by several processes at once.

Optuna's journal is a file of lines of JSON, each one operation, so that what one process has told
all others see. Who asks holds a lock of the system meanwhile; what it asked is written down, as
plans of fleets, before it lets go.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from elbax._errors import CheckpointError, InputError, OutputError
from elbax._files import locked, unwritable
from elbax._reading import MOST_LINES, read_bytes
from elbax.search.space import Range, Space, Value

_NAME = "elbax"
_LOCK_SECONDS = 60.0  # asking takes well under a second
_LOST = "lost"  # of trials whose process ended before it had written down what they are


def optuna() -> Any:
    """Optuna, imported when a search begins.

    Raises:
        InputError: it is not installed.
    """
    try:
        import optuna as found
    except ImportError:
        raise InputError(
            "expected Optuna, which searches; it is not installed. Get it with "
            "`pip install 'elbax[tune]'`."
        ) from None
    return found


class Journal:
    """The trials of a search, in the file `journal.jsonl` of its folder.

    Args:
        folder: of the search, which is there.
        space: what varies.
        seed: of the sampler.
    """

    def __init__(self, folder: Path, space: Space, seed: int):
        self._optuna, self._space, self._seed = optuna(), space, seed
        self._path = folder / "journal.jsonl"
        self._open()

    @property
    def names(self) -> tuple[str, ...]:
        """Of what varies."""
        return tuple(self._space)

    def _open(self) -> None:
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        lock = JournalFileOpenLock(str(self._path))
        said = self._optuna.logging.get_verbosity()
        self._optuna.logging.set_verbosity(self._optuna.logging.ERROR)
        try:
            _mend(self._path, lock)
            backend = JournalFileBackend(str(self._path), lock_obj=lock)
            self._storage = self._optuna.storages.JournalStorage(backend)
            self.study = self._optuna.create_study(
                storage=self._storage, study_name=_NAME, direction="maximize", load_if_exists=True
            )
            self.trials()
        except OSError as error:
            raise OutputError(f"{unwritable(self._path, error)}.") from error
        except Exception as error:
            raise CheckpointError(
                f"cannot read the search in '{self._path}' ({type(error).__name__}: {error}); it "
                "is damaged, or not of elbax. Choose another folder."
            ) from error
        finally:
            self._optuna.logging.set_verbosity(said)

    def trials(self) -> list[Any]:
        """All trials that count, by number: not those that were lost before they were known."""
        found = self.study.get_trials(deepcopy=False)
        return [trial for trial in found if _LOST not in trial.user_attrs]

    def running(self) -> list[int]:
        """Numbers of the trials that were asked and not told."""
        return [trial.number for trial in self.trials() if trial.state.name == "RUNNING"]

    def ask(self, count: int) -> dict[int, dict[str, Value]]:
        """New trials by number, as points of the space.

        The sampler is seeded by the number of trials so far: a search that was cut short asks what
        it would have asked, and no two processes ask the same.
        """
        asked = len(self.study.get_trials(deepcopy=False))
        seed = np.random.SeedSequence([self._seed, asked]).generate_state(1)[0]
        self.study.sampler = self._optuna.samplers.TPESampler(seed=int(seed), constant_liar=True)
        distributions = self._distributions()
        found = [self.study.ask(distributions) for _ in range(count)]
        return {trial.number: self.point(trial.params) for trial in found}

    def point(self, params: Mapping[str, Value]) -> dict[str, Value]:
        """What Optuna drew, as it is trained: real numbers of a few digits."""
        return {name: dimension.rounded(params[name]) for name, dimension in self._space.items()}

    def _distributions(self) -> dict[str, Any]:
        kinds = self._optuna.distributions
        found = {}
        for name, one in self._space.items():
            if not isinstance(one, Range):
                found[name] = kinds.CategoricalDistribution(one.values)
            elif isinstance(one.low, int):
                found[name] = kinds.IntDistribution(one.low, int(one.high), log=one.log)
            else:
                found[name] = kinds.FloatDistribution(one.low, one.high, log=one.log)
        return found

    def tell(
        self,
        number: int,
        status: str,
        curve: Mapping[int, float] | None = None,
        **attributes: Any,
    ) -> None:
        """Say how a trial ended; of one that is told already, nothing.

        Args:
            number: of the trial.
            status: finished, pruned, diverged or failed. One that diverged counts as pruned for
                the sampler, which is to stay away from it; one that failed does not count.
            curve: its values by epoch; that of one that finished is the last.
            attributes: what else is to be known of it.
        """
        states = self._optuna.trial.TrialState
        trial = self._id_of(number)
        if self._storage.get_trial(trial).state.is_finished():
            return
        known = {epoch: value for epoch, value in (curve or {}).items() if np.isfinite(value)}
        for epoch, value in known.items():
            self._storage.set_trial_intermediate_value(trial, epoch, value)
        for name, value in {"status": status, **attributes}.items():
            self._storage.set_trial_user_attr(trial, name, value)
        if status == "finished" and known:
            self.study.tell(number, known[max(known)])
        else:
            ended = states.PRUNED if status in ("pruned", "diverged") else states.FAIL
            self.study.tell(number, state=ended)

    def lose(self, number: int) -> None:
        """Give up a trial of which nobody knows what it was to be; it does not count."""
        self._storage.set_trial_user_attr(self._id_of(number), _LOST, True)
        self.tell(number, "failed")

    def _id_of(self, number: int) -> int:
        study = self._storage.get_study_id_from_name(_NAME)
        return self._storage.get_trial_id_from_study_id_trial_number(study, number)

    def importances(self) -> dict[str, float]:
        """How much of the variation of finished trials each name accounts for; they add up to 1.

        Empty where that cannot be said, as of one trial, or of values that are all alike.

        References: Hutter, Hoos & Leyton-Brown 2014, An efficient approach for assessing
        hyperparameter importance (functional ANOVA on a random forest).
        """
        finished = [trial for trial in self.trials() if trial.state.name == "COMPLETE"]
        varied = [n for n in self._space if len({trial.params[n] for trial in finished}) > 1]
        if len({trial.value for trial in finished}) < 2 or not varied:
            return {}
        importance = self._optuna.importance
        evaluator = importance.FanovaImportanceEvaluator(seed=0)
        try:
            found = importance.get_param_importances(self.study, evaluator=evaluator, params=varied)
        except (RuntimeError, ValueError):  # no variation that a tree sees
            return {}
        return {name: float(value) for name, value in found.items() if np.isfinite(value)}


@contextlib.contextmanager
def asking(folder: Path) -> Iterator[None]:
    """While no other process begins the search of a folder, asks, or takes up what another left.

    Raises:
        CheckpointError: another has been at it for long.
        OutputError: the folder cannot be made or written.
    """
    path = folder / ".asking"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = locked(path, _LOCK_SECONDS)
    except BlockingIOError:
        raise CheckpointError(
            f"another process has held '{path}' for a minute; end it, or choose another folder."
        ) from None
    except OSError as error:
        raise OutputError(f"{unwritable(path, error)}.") from error
    try:
        yield
    finally:
        os.close(file)


def _mend(path: Path, lock: Any) -> None:
    """Cut a last line that a full disk or a power cut has left without an end."""
    if not path.exists() or read_bytes(path, MOST_LINES)[-1:] in (b"", b"\n"):
        return
    lock.acquire()
    try:
        os.truncate(path, read_bytes(path, MOST_LINES).rfind(b"\n") + 1)
    finally:
        lock.release()
