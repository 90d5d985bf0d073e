"""A run's whole state as one pytree, and the fleet's objectives as one compiled choice."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from elbax import _keys
from elbax._errors import InputError
from elbax._types import LogWeights, PRNGKey, PyTree
from elbax.models.interface import Model
from elbax.objectives import Channels, Objective
from elbax.training.config import RunSpec, TrainConfig

OK, DIVERGED = 0, 1
STATUS = {OK: "ok", DIVERGED: "diverged"}


class Sums(NamedTuple):
    """Sums over the steps of the current epoch; the epoch's metrics are these over `steps`."""

    steps: Float[Array, ""]
    bound: Float[Array, ""]
    inference_bound: Float[Array, ""]
    ess: Float[Array, ""]
    grad_norm: Float[Array, ""]
    num_nonfinite: Float[Array, ""]


class RunState(NamedTuple):
    """Everything a run is: what a checkpoint holds, and what a fleet stacks.

    `params` is the model with its arrays only. `kind` says which of the fleet's objectives it
    trains, `hyper` holds that objective's numbers (beta), so that neither needs a new program.
    """

    params: PyTree
    optimizer: PyTree
    step: Int[Array, ""]
    key: PRNGKey
    kind: Int[Array, ""]
    hyper: Float[Array, " h"]
    learning_rate: Float[Array, ""]
    status: Int[Array, ""]
    sums: Sums


class ObjectiveTable:
    """The distinct objectives of a fleet, told apart by structure, with their numbers aside.

    Two CIWAEs that differ in beta are one kind with two `hyper`; the compiled program holds one
    branch for each kind and depends on nothing else.
    """

    def __init__(self, objectives: Sequence[Objective]):
        self._check_samples(objectives)
        flat = [jax.tree.flatten(objective) for objective in objectives]
        self.kinds = list(dict.fromkeys(structure for _, structure in flat))
        self.num_samples = objectives[0].num_samples
        width = max(len(leaves) for leaves, _ in flat)
        self.kind = [self.kinds.index(structure) for _, structure in flat]
        self.hyper = [
            jnp.zeros(width).at[: len(leaves)].set(jnp.asarray(leaves, jnp.float32))
            for leaves, _ in flat
        ]

    @staticmethod
    def _check_samples(objectives: Sequence[Objective]) -> None:
        counts = {objective.num_samples for objective in objectives}
        if len(counts) > 1:
            raise InputError(
                "expected every objective of a fleet to draw equally many samples, so that they "
                f"share one program; got {sorted(counts)}. Match m * k, or train them apart."
            )

    def channels(self, kind: Array, hyper: Array, log_w: LogWeights) -> Channels:
        """The channels of the run's own objective, chosen when the program runs."""
        branches = [self._branch(structure) for structure in self.kinds]
        # A switch even for one kind: a run alone then compiles to the arithmetic it has in a
        # fleet, and the two agree bit for bit.
        return jax.lax.switch(kind, branches if len(branches) > 1 else branches * 2, hyper, log_w)

    @staticmethod
    def _branch(structure) -> Callable[[Array, LogWeights], Channels]:
        def channels(hyper: Array, log_w: LogWeights) -> Channels:
            leaves = [hyper[i].astype(log_w.dtype) for i in range(structure.num_leaves)]
            return jax.tree.unflatten(structure, leaves).channels(log_w)

        return channels


def optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """Adam without its learning rate, which each run of a fleet has for itself."""
    return optax.scale_by_adam(b1=config.adam_b1, b2=config.adam_b2, eps=config.adam_eps)


def initial_state(
    model: Model, run: RunSpec, config: TrainConfig, kind: int, hyper: Array
) -> RunState:
    """The state before the first step."""
    rate = config.learning_rate if run.learning_rate is None else run.learning_rate
    params = eqx.filter(model, eqx.is_inexact_array)
    return RunState(
        params=params,
        optimizer=optimizer(config).init(params),
        step=jnp.zeros((), jnp.int32),
        key=run_key(run.seed),
        kind=jnp.asarray(kind, jnp.int32),
        hyper=hyper,
        learning_rate=jnp.asarray(rate, jnp.float32),
        status=jnp.asarray(OK, jnp.int32),
        sums=Sums(*(jnp.zeros(()) for _ in Sums._fields)),
    )


def run_key(seed: int) -> PRNGKey:
    """The key from which every stream of a run is drawn."""
    return jax.random.key(seed)


def init_key(seed: int) -> PRNGKey:
    """The key that initializes a run's model."""
    return _keys.stream(run_key(seed), "init")
