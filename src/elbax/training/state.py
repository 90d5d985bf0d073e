"""A run's whole state as one pytree."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from elbax import _keys
from elbax._types import PRNGKey, PyTree
from elbax.models.interface import Model
from elbax.training.adaptive import Adaptive
from elbax.training.config import RunSpec, TrainConfig

OK = 0  # a status above it is the step, counted from 1, at which the run diverged
# and one below it, less its sign, the step after which the run was ended: pruned


def status_of(status: int | Int[Array, ""]) -> str:
    """A status in a word.

    >>> status_of(OK), status_of(12), status_of(-12)
    ('ok', 'diverged', 'pruned')
    """
    if int(status) == OK:
        return "ok"
    return "diverged" if int(status) > OK else "pruned"


class Sums(NamedTuple):
    """Sums over the steps of the current epoch; the epoch's metrics are these over `steps`."""

    steps: Float[Array, ""]
    bound: Float[Array, ""]
    inference_bound: Float[Array, ""]
    annealed_bound: Float[Array, ""]
    ess: Float[Array, ""]
    grad_norm: Float[Array, ""]
    num_nonfinite: Float[Array, ""]


class RunState(NamedTuple):
    """Everything a run is: what a checkpoint holds, and what a fleet stacks.

    `params` is the model with its arrays only. `kind` says which of the fleet's objectives it
    trains, `hyper` holds that objective's numbers (beta), so that neither needs a new program;
    `adaptive` is what the objective learns beside the model.
    """

    params: PyTree
    optimizer: PyTree
    step: Int[Array, ""]
    key: PRNGKey
    kind: Int[Array, ""]
    hyper: Float[Array, " h"]
    adaptive: Adaptive
    learning_rate: Float[Array, ""]
    status: Int[Array, ""]
    sums: Sums


def initial_state(
    model: Model, run: RunSpec, config: TrainConfig, kind: int, hyper: Array, adaptive: Adaptive
) -> RunState:
    """The state before the first step."""
    rate = config.learning_rate if run.learning_rate is None else run.learning_rate
    params = eqx.filter(model, eqx.is_inexact_array)
    return RunState(
        params=params,
        optimizer=optax.scale_by_adam().init(params),
        step=jnp.zeros((), jnp.int32),
        key=run_key(run.seed),
        kind=jnp.asarray(kind, jnp.int32),
        hyper=hyper,
        adaptive=adaptive,
        learning_rate=jnp.asarray(rate, jnp.float32),
        status=jnp.asarray(OK, jnp.int32),
        sums=Sums(*(jnp.zeros(()) for _ in Sums._fields)),
    )


def run_key(seed: int) -> PRNGKey:
    """The key from which every stream of a run is drawn."""
    return _keys.key_of(seed)


def init_key(seed: int) -> PRNGKey:
    """The key that initializes a run's model."""
    return _keys.stream(run_key(seed), "init")
