"""A search in its folder: trials asked, trained and told, generation by generation.

FOLDER/search.json         what is searched, by which a folder is known again
FOLDER/journal.jsonl       the study, as Optuna's journal
FOLDER/fleets/0007/        plan.json of the fleet whose first trial is 7; claimed while it trains
FOLDER/runs/0007/          its runs, a run folder like any other
FOLDER/tune.json           what was found
"""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from elbax._errors import CheckpointError, InputError, OutputError, StoppedError
from elbax._files import finite, json_bytes, write_atomically
from elbax._identity import fingerprint
from elbax._reading import UnreadableError, read_json
from elbax.data.dataset import Dataset
from elbax.models.own import imported
from elbax.search.fleets import Common, Plan, grouped, mean_curve
from elbax.search.found import TuneResult, found_in, write_found
from elbax.search.journal import Journal, asking
from elbax.search.pruning import medians
from elbax.search.settings import Setting
from elbax.search.space import Space
from elbax.search.trainer import Trainer
from elbax.training.claims import FolderInUseError, claimed
from elbax.training.recorded import differences

_MOST_TOLD = 100  # values of a trial in the journal, each of which is synced to the disk


@dataclass
class Search:
    """A search in its folder: what is asked, trained and told, and taken up again.

    Attributes:
        folder: of the search.
        base: the setting of which points change something.
        space: what varies.
        common: what all trials have in common.
        dataset: with validation data.
        sampler_seed: of the sampler.
        after: epochs of the longest warm-up, before which no trial is pruned; None prunes none.
    """

    folder: Path
    base: Setting
    space: Space
    common: Common
    dataset: Dataset
    sampler_seed: int
    after: float | None

    def perform(self, trials: int, at_once: int, trainer: Trainer) -> TuneResult:
        """Train until there are so many trials, or others train the rest."""
        begun = time.perf_counter()
        self._refuse_others()
        with asking(self.folder):
            self._open()
            self.journal = Journal(self.folder, self.space, self.sampler_seed)
        while True:
            with contextlib.ExitStack() as claims:
                plans, asked = self._next(trials, at_once, claims)
                if not plans and not asked:
                    return self._written(begun)
                try:
                    self._train(plans, trainer)
                finally:  # for who looks at it meanwhile, or goes on with it
                    self._written(begun)

    def _written(self, begun: float) -> TuneResult:
        """What was found so far, which tune.json now says."""
        with asking(self.folder):  # so that the last to write is the last to look
            result = found_in(self.journal, self.base, self.common, self.folder)
            write_found(result, self.identity(), self.dataset, time.perf_counter() - begun)
        return result

    def identity(self) -> dict[str, Any]:
        """What tells this search from others; how many trials it has does not."""
        model: Any = self.base.model
        if isinstance(model, str):  # and what its function was: changed, it is another search
            model = {"custom": model, "code": fingerprint(imported(model))}
        else:
            model = asdict(model.explicit)
        return {
            "format": 1,
            "data": {
                "fingerprint": self.dataset.fingerprint(),
                "num_valid": len(self.dataset.split("valid")),
            },
            "method": self.base.method,
            "model": model,
            "train": asdict(self.base.train),
            "search": {name: str(values) for name, values in self.space.items()},
            "seeds": list(self.common.seeds),
            "sampler_seed": self.sampler_seed,
            "k": self.common.k,
            "look_every": self.common.every,
            "pruner": "none" if self.after is None else "median",
        }

    def _refuse_others(self) -> None:
        """Leave alone what is of something else."""
        for name in ("config.json", "study.json"):
            if (self.folder / name).exists():
                raise CheckpointError(
                    f"folder '{self.folder}' holds {name}, which is of no search; choose another "
                    "folder."
                )

    def _open(self) -> None:
        """Begin the folder, or see that it holds this search."""
        path, identity = self.folder / "search.json", self.identity()
        if not path.exists():
            write_atomically(path, json_bytes(identity))
            return
        try:
            existing = read_json(path)
        except (OSError, UnreadableError) as error:
            raise CheckpointError(
                f"cannot read '{path}' ({error}); choose another folder."
            ) from None
        if differing := differences(existing, finite(identity)):
            more = f"; and {len(differing) - 4} more" if len(differing) > 4 else ""
            raise CheckpointError(
                f"folder '{self.folder}' holds another search ({'; '.join(differing[:4])}{more}); "
                "choose another folder, or give that search's options to go on with it."
            )

    def _next(
        self, trials: int, at_once: int, claims: contextlib.ExitStack
    ) -> tuple[dict[str, Plan], int]:
        """Fleets to train, claimed, and how many new trials were asked for.

        Fleets that others left come first.
        """
        with asking(self.folder):
            running, planned = set(self.journal.running()), self._planned()
            for number in running - {n for numbers in planned.values() for n in numbers}:
                self.journal.lose(number)
            left = [name for name, numbers in planned.items() if running & set(numbers)]
            taken = [name for name in left if self._claim(name, claims)]
            if taken:
                return {name: self._plan(name) for name in taken}, 0
            count = min(at_once, trials - len(self.journal.trials()))
            return (self._ask(count, claims), count) if count > 0 else ({}, 0)

    def _claim(self, name: str, claims: contextlib.ExitStack) -> bool:
        try:
            claims.enter_context(claimed(self.folder / "fleets" / name))
        except FolderInUseError:
            return False
        return True

    def _planned(self) -> dict[str, list[int]]:
        """The fleets that were ever planned, by name, with their trials."""
        paths = sorted((self.folder / "fleets").glob("*/plan.json"))
        return {path.parent.name: self._numbers(path) for path in paths}

    def _numbers(self, path: Path) -> list[int]:
        return [trial["number"] for trial in self._read(path)["trials"]]

    @staticmethod
    def _read(path: Path) -> Plan:
        try:
            return read_json(path, Plan)
        except (OSError, UnreadableError) as error:
            raise CheckpointError(
                f"cannot read '{path}' ({error}); remove its folder to lose those trials."
            ) from None

    def _plan(self, name: str) -> Plan:
        """A plan that was left; what it says of places and code is what is said now."""
        plan = self._read(self.folder / "fleets" / name / "plan.json")
        if isinstance(plan["model"], str) and plan["model"] != self.base.model:
            raise CheckpointError(f"the plan of fleet {name} names code that was not given.")
        plan["folder"] = str(self.folder / "runs" / name)
        plan["data"], plan["data_dir"] = self.common.request, self.common.data_dir
        return plan

    def _ask(self, count: int, claims: contextlib.ExitStack) -> dict[str, Plan]:
        """New trials in fleets, written down; those that cannot be trained, or were, are told."""
        known = self._known()
        settings: dict[int, Setting] = {}
        for number, point in self.journal.ask(count).items():
            try:
                setting = self.base.at(point)
            except InputError as error:
                self.journal.tell(number, "failed", reason=str(error))
                continue
            if setting in known:
                self._repeat(number, known[setting])
            else:
                settings[number] = setting
        limits = self._limits()
        plans: dict[str, Plan] = {}
        for members in grouped(settings):
            name = f"{min(members):04d}"
            plans[name] = self.common.plan(members, self.folder / "runs" / name, limits)
            self._claim(name, claims)
            path = self.folder / "fleets" / name / "plan.json"
            write_atomically(path, json_bytes(plans[name]))
        return plans

    def _known(self) -> dict[Setting, Any]:
        """Trials that ended, by what they trained: the same gives the same, and is not trained."""
        ended = [t for t in self.journal.trials() if t.state.name in ("COMPLETE", "PRUNED")]
        return {self.base.at(self.journal.point(trial.params)): trial for trial in ended}

    def _repeat(self, number: int, trial: Any) -> None:
        attributes = {"same_as": trial.number} | trial.user_attrs
        status = attributes.pop("status")
        self.journal.tell(number, status, trial.intermediate_values, **attributes)

    def _limits(self) -> dict[int, float]:
        """The medians below which a trial of the next generation is pruned."""
        if self.after is None:
            return {}
        finished = [t for t in self.journal.trials() if t.state.name == "COMPLETE"]
        epochs = self.base.train.epochs
        after = max(self.after, epochs / 4)
        return medians([trial.intermediate_values for trial in finished], after, epochs)

    def _train(self, plans: Mapping[str, Plan], trainer: Trainer) -> None:
        """Train fleets and tell how their trials ended; the first failure is raised at the end.

        What is wrong with the trials themselves is told of them; after anything else, such as a
        full disk or a worker that died, they stay as they are, to be taken up.
        """
        failure: Exception | None = None
        for name, result in trainer.results(plans, self.dataset):
            try:
                self._tell(name, plans[name], result())
            except Exception as error:  # noqa: BLE001 (whatever it is, the others are told first)
                failure = failure or error
                if _is_of_trials(error):
                    for trial in plans[name]["trials"]:
                        self.journal.tell(trial["number"], "failed", reason=str(error))
                elif trainer.executor is None:
                    break
        if failure is not None:
            raise failure

    def _tell(self, name: str, plan: Plan, result: Mapping[str, Any]) -> None:
        """Say how the trials of a fleet ended.

        Raises:
            StoppedError: they did not.
        """
        if not result["finished"]:
            done = len([t for t in self.journal.trials() if t.state.is_finished()])
            raise StoppedError(
                f"stopped; {done} trials are done in '{self.folder}', and fleet {name} is saved."
            )
        values, errors = ({}, {})
        for run, found in result["runs"].items():
            points = [(int(e), v, s) for e, v, s in found["values"] if v is not None]
            values[run] = {epoch: value for epoch, value, _ in points}
            errors[run] = {epoch: error for epoch, _, error in points if error is not None}
        for trial in plan["trials"]:
            runs = trial["runs"]
            ended = {result["runs"][run]["status"] for run in runs}
            status = next((s for s in ("diverged", "pruned") if s in ended), "finished")
            curve, error = mean_curve(runs, values), mean_curve(runs, errors)
            last = max(curve, default=None)
            self.journal.tell(
                trial["number"], status, self._thinned(curve),
                fleet=name, runs=runs, error=None if last is None else error.get(last),
            )  # fmt: skip

    def _thinned(self, curve: Mapping[int, float]) -> dict[int, float]:
        """The last of a trial's values and those of the same few epochs for every trial."""
        looks = -(-self.base.train.epochs // self.common.every)
        stride = self.common.every * -(-looks // _MOST_TOLD)
        last = max(curve, default=0)
        return {epoch: v for epoch, v in curve.items() if epoch % stride == 0 or epoch == last}


def _is_of_trials(error: Exception) -> bool:
    """Whether what was asked for is wrong, so that asking again would not help."""
    return isinstance(error, InputError) and not isinstance(error, OutputError | CheckpointError)
