"""Why a run diverged: its failing step taken again, piece by piece.

Nothing random is stored and a diverged run keeps the parameters it had before that step, so the
step can be taken again at any time and is the same.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from elbax import _keys
from elbax import _log_weights as waist
from elbax._arrays import named_leaves
from elbax._door import sees_holes
from elbax._errors import InputError
from elbax._types import PyTree
from elbax.gradients import Plan, routed, set_aside
from elbax.models.interface import Model
from elbax.objectives import Needs
from elbax.training.state import OK, RunState
from elbax.training.step import Program

_NAMED = 5  # rows that are named; of more, their number
_MOST_ROWS = 2**17  # samples times data that are looked at together


def cause(program: Program, state: RunState, images: jax.Array, needs: Needs) -> str:
    """What was not finite at the step at which a run diverged, as a clause.

    It names the step, the epoch, the term (posterior, prior, likelihood, bound or gradient) and
    the rows of the training data, from 0.

    Args:
        program: the run's.
        state: of the run, at any time after that step.
        images: the training data `[N, ...]`.
        needs: what the run's objective needs.
    """
    if int(state.status) == OK:
        raise ValueError("the run has not diverged")
    at, per_epoch = int(state.status) - 1, program.steps_per_epoch(len(images))
    state = state._replace(step=jnp.asarray(at, jnp.int32), status=jnp.asarray(OK, jnp.int32))
    try:
        found = _found(program, state, images, needs)
    except Exception as error:  # noqa: BLE001 (a model of one's own; training goes on)
        found = f"something was not finite; what, could not be found ({type(error).__name__})"
    return f"at step {at + 1} (epoch {at // per_epoch + 1}), because {found}"


def _found(program: Program, state: RunState, images: jax.Array, needs: Needs) -> str:
    rows, x = eqx.filter_jit(program.minibatch)(state, images, program.order(state, images))
    rows = np.asarray(rows)
    if found := _of_terms(program, state, x, rows):
        return found
    num_steps = program.config.epochs * program.steps_per_epoch(len(images))
    plan = program.plan(state, program.moment(state, num_steps), x, needs)
    return _of_gradient(program, state, x, rows, plan)


def _of_terms(program: Program, state: RunState, x, rows: np.ndarray) -> str | None:
    """The first term that is not finite on the way to the bound; None where all are."""
    model: Model = eqx.combine(state.params, program.static_model)
    if not (sees_holes(model) or np.isfinite(np.asarray(x)).all()):
        return _said("the datum itself", _bad(x, 0), rows)
    keys = jax.random.split(
        _keys.step_key(state.key, "noise", state.step), (program.objectives.num_samples, len(x))
    )
    found: dict[str, np.ndarray] = {}
    for start in range(0, len(keys), most := max(1, _MOST_ROWS // len(x))):
        for name, axis, value in _terms(model, x, keys[start : start + most]):
            found[name] = _bad(value, axis) | found.get(name, False)
    told = (_said(name, bad, rows) for name, bad in found.items() if bad.any())
    return next(told, None)


def _terms(model: Model, x, keys):
    """Name, axis of the data and value of each term, in the order in which they are computed."""
    context = eqx.filter_jit(waist.encode)(model.inference, x)
    yield "the encoder's output, the posterior q(z | x),", 0, context
    z = eqx.filter_jit(waist.draw)(model.inference, context, keys)
    yield "a sample of the posterior q(z | x)", 1, z
    yield (
        "the posterior's log q(z | x)",
        1,
        eqx.filter_jit(waist.log_posterior)(model.inference, context, z),
    )
    try:
        yield "the prior's log p(z)", 1, eqx.filter_jit(waist.log_prior)(model.generative, z)
        name = "the likelihood's log p(x | z)"
    except InputError:  # a model that does not tell its prior by itself
        name = "log p(x, z), prior and likelihood,"
    yield name, 1, eqx.filter_jit(waist.log_joint)(model.generative, x, z)


def _of_gradient(program: Program, state: RunState, x, rows: np.ndarray, plan: Plan) -> str:
    """The bound or the gradient: of which parameters, and of which datum by itself."""
    model: Model = eqx.combine(state.params, program.static_model)
    noise = _keys.step_key(state.key, "noise", state.step)

    @eqx.filter_jit
    def step(dead):
        return routed(plan, model, set_aside(x, dead), noise, dead)

    (_, info), gradients = step(jnp.zeros(len(x), bool))
    if not np.asarray(info.finite).all():
        return _said("the bound", ~np.asarray(info.finite), rows)
    names = [name for name, leaf in named_leaves(gradients).items() if not np.isfinite(leaf).all()]
    if not names:
        return "the norm of the gradient was not finite, though every part of it was"
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    alone = np.array([_spoils(step, i, len(x)) for i in range(len(x))])
    return _said(f"the gradient of {names[0]}{more}", alone, rows)


def _spoils(step: Callable, index: int, size: int) -> bool:
    """Whether the gradient of one datum by itself is not finite."""
    _, gradients = step(jnp.arange(size) != index)
    return not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def _bad(value: PyTree, axis: int) -> np.ndarray:
    """Which data have anything that is not finite."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(value) if eqx.is_inexact_array(leaf)]
    per_datum = [np.moveaxis(~np.isfinite(leaf), axis, 0) for leaf in leaves]
    return np.any([leaf.reshape(len(leaf), -1).any(1) for leaf in per_datum], axis=0)


def _said(what: str, bad: np.ndarray, rows: np.ndarray) -> str:
    found = sorted(int(row) for row in rows[bad])
    if not found:
        return f"{what} was not finite, though that of each datum alone is"
    named = ", ".join(map(str, found[:_NAMED])) + (", ..." if len(found) > _NAMED else "")
    which = f"row{'s' * (len(found) > 1)} {named} of the training data"
    return f"{what} was not finite for {len(found)} of {len(rows)} data ({which})"
