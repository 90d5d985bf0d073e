"""A training run's configuration, free of JAX so that the command line starts fast."""

from collections.abc import Sequence
from dataclasses import dataclass

from elbax._checks import check_count, check_real, float32
from elbax._errors import InputError, unknown

SCHEDULES = ("anneal", "burda", "constant")
MATMUL_PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class TrainConfig:
    """The training protocol: that of Burda et al. 2015, section 5, but for the learning rate.

    By default the rate is annealed over however few epochs there are; for the paper's 3280 epochs
    take the schedule burda.

    With data, model, objective and seed it decides a run's result.

    Raises:
        InputError: a name that is unknown, or a number that is out of range.

    >>> TrainConfig(epochs=100).learning_rate, TrainConfig(schedule="burda").learning_rate
    (0.002, 0.001)
    """

    epochs: int = 30
    """Passes over the training data; an incomplete last minibatch of a pass is left out."""
    batch_size: int = 20
    """Data per minibatch."""
    learning_rate: float | None = None
    """Adam's learning rate at the start; none given takes 0.002 where annealed, else 0.001."""
    schedule: str = "anneal"
    """Course of the learning rate: anneal (constant for the first half, then linearly to 0), burda
    (eight stages, each 3 times as long and 10^(-1/7) times as fast as the one before, scaled to the
    epochs) or constant."""
    adam_b1: float = 0.9
    """Adam's decay of the gradient's mean."""
    adam_b2: float = 0.999
    """Adam's decay of the gradient's square."""
    adam_eps: float = 1e-4
    """Adam's epsilon, for the gradient of the bound summed over the minibatch (1e-4 there is
    5e-6 on a mean over 20 data)."""
    clip_norm: float | None = None
    """Largest global norm of the gradient of the minibatch mean; none leaves it as it is."""
    matmul_precision: str = "float32"
    """Precision of the factors in the matrix products of elbax's own layers when training: float32,
    or bfloat16, which is faster where the processor has it. Sums, parameters and log-weights stay
    float32, as do evaluations."""
    bootstrap: bool = False
    """Train every run on a resample of the training data, drawn with replacement by its seed: for
    proper multiple imputation, and for errors over what the data might have been."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, with a sentence."""
        if self.schedule not in SCHEDULES:
            raise InputError(unknown("schedule", self.schedule, SCHEDULES))
        if self.matmul_precision not in MATMUL_PRECISIONS:
            known = MATMUL_PRECISIONS
            raise InputError(unknown("matmul_precision", self.matmul_precision, known))
        for name in ("epochs", "batch_size"):
            check_count(name, getattr(self, name))
        if self.learning_rate is None:
            rate = 2e-3 if self.schedule == "anneal" else 1e-3
            object.__setattr__(self, "learning_rate", rate)
        for name in ("learning_rate", "adam_eps"):
            if not getattr(self, name) > 0:
                raise InputError(f"expected {name} > 0; got {getattr(self, name)}.")
            check_real(name, getattr(self, name))
        for name in ("adam_b1", "adam_b2"):
            value = getattr(self, name)
            if not (0 <= value < 1 and float32(check_real(name, value)) < 1):
                raise InputError(f"expected {name} in [0, 1), in float32 too; got {value}.")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise InputError(f"expected clip_norm > 0 or none; got {self.clip_norm}.")
        check_real("clip_norm", self.clip_norm or 0)


@dataclass(frozen=True)
class RunSpec:
    """One run of a fleet: its method, its seed, and its own learning rate if it has one."""

    method: str
    """An objective, as `elbax.spelling.parse` reads it: "piwae(m=8, k=8)"."""
    seed: int
    """Seed of every random stream of the run."""
    learning_rate: float | None = None
    """The run's own first learning rate; none takes the configuration's."""

    @property
    def name(self) -> str:
        """The run's name in files and tables.

        >>> RunSpec("piwae(m=8, k=8)", 0).name
        'piwae-m8-k8-seed0'
        """
        words = self.method.replace("(", ",").replace(")", "").replace(" ", "").split(",")
        rate = [] if self.learning_rate is None else [f"lr{self.learning_rate:g}"]
        words = [word.replace("=", "") for word in words if word]
        return "-".join([*words, *rate, f"seed{self.seed}"])


def listed(heading: str, lines: Sequence[str], most: int = 10) -> str:
    """A heading with a line per run below it, as the repr of several runs; the first of many.

    >>> print(listed("Runs", ["a: ok", "b: ok", "c: ok"], most=2))
    Runs
      a: ok
      b: ok
      and 1 more
    """
    more = [f"and {len(lines) - most} more"] if len(lines) > most else []
    return "\n  ".join([heading, *lines[:most], *more])
