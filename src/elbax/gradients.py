"""Routing: one forward and one decoder backward pass for every objective.

The coefficients of an objective (model A, pathwise P, score S; all `[T, B]`) are pulled back
through the maps that make a log-weight. The decoder is pulled back once, with A; since reverse
mode is linear per sample, its derivative in z, multiplied by P / A, is the pathwise one.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from elbax._checks import check_count
from elbax._door import checked, sees_holes
from elbax._errors import InputError
from elbax._numerics import effective_sample_size
from elbax._pullbacks import Encoder, add, sleep_gradient, times
from elbax._samples import Samples, Weights, run_forward
from elbax._types import Data, LogWeights, PerDatum, PRNGKey, PyTree, Scalar
from elbax.courses import plain
from elbax.models.interface import Model
from elbax.objectives import Channels, Needs, Objective
from elbax.rules import Coefficients, Context

# The dreams of the sleep phase draw from a key that no sample of the data uses.
_DREAMS = 2**32 - 1


class Info(NamedTuple):
    """What one evaluation of an objective saw, per datum; bounds in nats."""

    bound: PerDatum
    """Value of the generative bound."""
    inference_bound: PerDatum
    """Value of the inference bound."""
    annealed_bound: PerDatum
    """Value of what is climbed: the generative bound, but for an annealed objective."""
    signal: PerDatum
    """Value of the inference bound that is climbed: what a learned baseline predicts."""
    ess: PerDatum
    """Effective sample size among the T samples."""
    finite: Bool[Array, " b"]
    """False where a bound is not finite; such data are left out of the mean and the gradient. What
    else is told of them may be NaN."""
    log_w: LogWeights
    """The log-weights."""
    noise: PyTree
    """Derivative of the inference gradient with respect to beta, where a plan asks for it."""


class Plan(NamedTuple):
    """What `routed` does: how log-weights become coefficients, and which passes are needed."""

    num_samples: int
    channels: Callable[[LogWeights, LogWeights], Channels]
    """(log_w, annealed log_w) to coefficients."""
    needs: Needs
    kl_weight: Scalar = 1.0
    noise: Callable[[LogWeights], Coefficients] | None = None
    """Annealed log_w to the derivative of the coefficients with respect to beta."""
    sample_chunk: int | None = None
    """Samples at a time, in two passes; None cuts them only where memory asks for it."""


def value_and_grad(
    objective: Objective, *, sample_chunk: int | None = None
) -> Callable[..., tuple[tuple[Array, Info], Model]]:
    """The objective's value, and its gradient by the objective's rule.

    Args:
        objective: what to maximize; one whose numbers change while training is taken at an
            epoch, `objective.at(epoch)`.
        sample_chunk: samples per datum that the networks see at a time, for K beyond memory. The
            draws are the same, the gradient is within rounding, and the networks run forward twice:
            a pass for the log-weights and one for the gradient. None cuts the samples only where
            a step would hold more than about 1 GiB of them.

    Returns:
        A function `(model, x [B, *event], *, key, context) -> ((value, info), gradients)`. The
        value is the generative bound itself in nats per datum, averaged over the data whose
        bounds are finite (`info.finite` tells which); it is never a surrogate. The gradients are
        shaped like the model and point uphill. With all data dead the value is NaN and the
        gradients are zero. `context` (`elbax.rules.Context`) gives NVIL its baseline. It is one
        compiled program for all models and objectives of a structure and data of a shape.

    Raises:
        InputError: the rule needs what the model has not: reparameterized latents, or an
            optional method of `AbstractGenerative`; or sample_chunk is below 1.

    References: DReG and the ratio form of the pathwise term follow Tucker et al. 2019, section 3.

    >>> from elbax.methods import iwae
    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> step = value_and_grad(iwae(k=8, gradient="dreg"))
    >>> (value, info), gradients = step(model, jnp.zeros((5, 3)), key=jax.random.key(1))
    >>> bool(value == info.bound.mean())
    True
    """
    check_chunk(sample_chunk)

    def evaluate(model: Model, x: Data, *, key: PRNGKey, context: Context = Context()):  # noqa: B008
        x, key = checked(model, x, key)
        check_latents(objective, model)
        arrays = _with_arrays(objective), model, x, key, _with_arrays(context)
        return _evaluated(*arrays, sample_chunk)

    return evaluate


def _with_arrays(tree: PyTree) -> PyTree:
    """Numbers (beta, a baseline) as arrays, so that other ones do not compile anew."""
    kinds = float | np.floating
    return jax.tree.map(lambda leaf: jnp.asarray(leaf) if isinstance(leaf, kinds) else leaf, tree)


@eqx.filter_jit  # operation by operation, each would be compiled for itself: tens of seconds
def _evaluated(
    objective: Objective, model: Model, x: Array, key: PRNGKey, context: Context, chunk: int | None
):
    """With all data and, where dead ones spoil the gradient, again without them."""
    weight = 1.0 if objective.kl_weight is None else plain(objective.kl_weight)
    known = context._replace(kl_weight=weight)

    def channels(log_w, annealed):
        return objective.channels(log_w, annealed, known)

    plan = Plan(objective.num_samples, channels, objective.needs, weight, sample_chunk=chunk)

    @jax.jit  # traced once for its shapes and for the loop
    def run(dead: Array) -> tuple[tuple[Array, Info], Model]:
        return routed(plan, model, set_aside(x, dead), key, dead)

    def attempt(carry):
        dead, _, _ = carry
        out = (_, info), gradients = run(dead)
        return dead_data(info.finite, _is_finite(gradients), dead), jnp.asarray(False), out

    none = jnp.zeros(len(x), bool)
    shapes = jax.eval_shape(run, none)
    empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    # A loop, not a choice: both attempts are one program.
    _, _, ((value, info), gradients) = jax.lax.while_loop(
        lambda carry: carry[1] | jnp.any(carry[0]), attempt, (none, jnp.asarray(True), empty)
    )
    some = jnp.any(info.finite)
    return (value, info), jax.tree.map(lambda leaf: jnp.where(some, leaf, 0), gradients)


def dead_data(finite: Bool[Array, " b"], usable: Array, dead: Bool[Array, " b"]) -> Array:
    """The data to set aside before the gradient is taken anew; none where that is no remedy.

    A datum whose bound is not finite has coefficients of zero, but zero times the infinities that
    its own forward pass left is NaN.

    Args:
        finite: which bounds are.
        usable: whether the gradient is finite.
        dead: what was set aside before; a second time nothing is.
    """
    again = ~usable & jnp.any(finite) & ~jnp.any(dead)
    return again & ~finite


def set_aside(x: Float[Array, "b ..."], dead: Bool[Array, " b"]) -> Float[Array, "b ..."]:
    """The data with the first live one in place of every dead one.

    >>> set_aside(jnp.array([[1.0], [jnp.nan]]), jnp.array([False, True])).tolist()
    [[1.0], [1.0]]
    """
    return jnp.where(dead.reshape(-1, *[1] * (x.ndim - 1)), x[jnp.argmin(dead)], x)


def _is_finite(gradients: PyTree) -> Array:
    return jnp.all(jnp.stack([jnp.isfinite(jnp.sum(leaf)) for leaf in jax.tree.leaves(gradients)]))


def check_chunk(sample_chunk: int | None) -> None:
    """Refuse a number of samples at a time that is none.

    >>> check_chunk(None), check_chunk(1000)
    (None, None)
    """
    if sample_chunk is not None:
        check_count("sample_chunk", sample_chunk)


def check_latents(objective: Objective, model: Model) -> None:
    """Refuse a gradient through discrete latents, and dreams without the holes of a table.

    Raises:
        InputError: naming rules that fit.
    """
    if objective.needs.sleep and sees_holes(model):
        raise InputError(
            "the sleep phase dreams whole rows, and an encoder of tables with holes would learn "
            "from them nothing of holes (masking them would be right only where cells are missing "
            "completely at random); choose another gradient, such as wake, dreg or vimco."
        )
    if objective.needs.path and not model.inference.is_reparameterized:
        raise InputError(
            f"{type(objective.gradient).__name__} differentiates through the samples, and this "
            "model has discrete latents; choose gradient=vimco, nvil, ovis, score, wake, sleep "
            "or wake-sleep, which need no path (a mix of discrete and continuous layers too)."
        )


def routed(
    plan: Plan,
    model: Model,
    x: Float[Array, "b ..."],
    key: PRNGKey,
    dead: Bool[Array, " b"] | None = None,
) -> tuple[tuple[Array, Info], Model]:
    """`value_and_grad` by a plan, without the data that are known to be dead.

    Those are set aside in `x` already (`set_aside`). A fleet's plan chooses among its runs'
    objectives; the decoder's work is shared.
    """
    # Made once: a compiler would make it anew, draws and all, for each sample that reads it.
    x = jax.lax.optimization_barrier(x)
    keys = jax.random.split(key, (plan.num_samples, x.shape[0]))
    encoder = Encoder(model.inference, x)
    forward = partial(Samples, model.generative, encoder, x, plan.needs, plan.kl_weight, dead)
    samples = run_forward(forward, keys, plan.sample_chunk)
    log_w, annealed = samples.log_w, samples.annealed
    channels = plan.channels(log_w, annealed if plan.needs.annealed else log_w)

    # The mean over finite data is part of every coefficient.
    count = jnp.sum(channels.finite)
    share = 1 / jnp.maximum(count, 1).astype(log_w.dtype)
    weights = jax.tree.map(lambda c: share * c, (channels.model, channels.prior_path))
    inference = Coefficients(share * channels.pathwise, share * channels.score)
    noise = None
    if plan.noise is not None:
        noise = jax.tree.map(lambda c: share * c, plan.noise(annealed))
    pulled = samples.pulled(Weights(weights[0], inference, weights[1], noise))

    generative_gradient = pulled.generative
    inference_gradient = encoder.pull(*pulled.inference)
    if plan.needs.prior_path:
        change = times(channels.follow_prior, pulled.prior_change)
        generative_gradient = add(generative_gradient, change)
    if plan.needs.sleep:
        dreamed = sleep_gradient(model, jax.random.fold_in(key, _DREAMS), x.shape[0])
        inference_gradient = add(inference_gradient, times(channels.sleep, dreamed))
    noise = () if pulled.noise is None else encoder.pull(*pulled.noise)

    value, info = _told(channels, log_w, noise)
    return (value, info), Model(generative_gradient, inference_gradient)


def _told(channels: Channels, log_w: LogWeights, noise) -> tuple[Array, Info]:
    """The value over the finite data, NaN for none, and what else is known of the step."""
    count = jnp.sum(channels.finite)
    total = jnp.sum(jnp.where(channels.finite, channels.value, 0))
    value = total * (1 / jnp.maximum(count, 1).astype(log_w.dtype))
    value = jnp.where(count > 0, value, jnp.nan)
    info = Info(
        bound=channels.value,
        inference_bound=channels.inference_value,
        annealed_bound=channels.annealed,
        signal=channels.signal,
        ess=effective_sample_size(log_w),
        finite=channels.finite,
        log_w=log_w,
        noise=noise,
    )
    return value, info
