"""One training step, and a chunk of them in one compiled loop."""

from collections.abc import Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Num

from elbax import _keys
from elbax._types import PyTree
from elbax.data.binarise import binarise_batch, to_float
from elbax.gradients import Info, Plan, dead_data, routed, set_aside
from elbax.models.interface import Model
from elbax.objectives import Needs
from elbax.rules import Context
from elbax.training.adam import adam_step
from elbax.training.adaptive import Adaptive, LearnedNumber
from elbax.training.config import TrainConfig
from elbax.training.schedules import learning_rate_factor
from elbax.training.state import OK, RunState, Sums
from elbax.training.table import Moment, ObjectiveTable


@dataclass(frozen=True, eq=False)
class Program:
    """What is fixed when a training program is compiled; everything else is in the state.

    Two programs are equal where they compile to the same: by the structure of the model and of the
    objectives, not by the numbers of these or by any array that is trained.
    """

    static_model: PyTree
    objectives: ObjectiveTable
    config: TrainConfig
    levels: float
    dynamic: bool
    sample_chunk: int | None = None

    def __eq__(self, other: object) -> bool:
        """Whether the other compiles to the same."""
        return isinstance(other, Program) and self._key == other._key

    def __hash__(self) -> int:
        """Of all that `==` compares."""
        return hash(self._key)

    @cached_property
    def _key(self) -> Hashable:
        leaves, structure = jax.tree.flatten(self.static_model)
        key = (
            structure,
            tuple(map(_identity, leaves)),
            tuple(self.objectives.kinds),
            self.objectives.num_samples,
            replace(self.config, learning_rate=1.0),  # each run has its own, in its state
            (self.levels, self.dynamic, self.sample_chunk),
        )
        try:
            hash(key)
        except TypeError:  # a static field of the user's own that cannot be hashed
            return id(self)
        return key

    def steps_per_epoch(self, num_data: int) -> int:
        """Whole minibatches in one pass."""
        return num_data // self.config.batch_size

    def chunk(
        self,
        state: RunState,
        images: Num[Array, "n ..."],
        num_steps: Int[Array, ""],
        needs: Needs,
    ) -> RunState:
        """Take `num_steps` steps, none of them past the end of the current epoch.

        `needs` is fixed when the program is compiled: passes no run asks for are left out of it.
        What a step draws depends on the run's key and the step alone, and sums run over the
        whole epoch: cutting an epoch in other chunks changes no bit.
        """
        order = self.order(state, images)
        body = partial(self._indexed_step, order=order, images=images, needs=needs)
        end = state.step + num_steps
        nobody = jnp.zeros(self.config.batch_size, bool)
        # A step that finds dead data is not taken, but tried again with them set aside.
        with self._matmul_precision():
            state, _ = jax.lax.while_loop(
                lambda carry: carry[0].step < end, lambda carry: body(*carry), (state, nobody)
            )
        return state

    def _matmul_precision(self) -> AbstractContextManager:
        """What products are traced in; `elbax.nn.product` reads it."""
        if self.config.matmul_precision == "float32":
            return nullcontext()  # accelerators keep their own default
        return jax.default_matmul_precision(self.config.matmul_precision)

    def order(self, state: RunState, images: Num[Array, "n ..."]) -> Int[Array, " n"]:
        """The order in which the data come in the state's epoch."""
        per_epoch = self.steps_per_epoch(images.shape[0])
        order_key = _keys.step_key(state.key, "order", state.step // per_epoch)
        order = jax.random.permutation(order_key, images.shape[0])
        if not self.config.bootstrap:
            return order
        draws = _keys.stream(state.key, "bootstrap")  # the same in every epoch
        return jax.random.randint(draws, order.shape, 0, images.shape[0])[order]

    def minibatch(
        self, state: RunState, images: Num[Array, "n ..."], order: Int[Array, " n"]
    ) -> tuple[Int[Array, " b"], Float[Array, "b ..."]]:
        """Which rows the state's step takes, and the data they give."""
        size = self.config.batch_size
        position = state.step % self.steps_per_epoch(images.shape[0])
        rows = jax.lax.dynamic_slice(order, (position * size,), (size,))
        x = images[rows]
        if self.dynamic:
            key = _keys.step_key(state.key, "binarise", state.step)
            return rows, binarise_batch(key, x, self.levels)
        return rows, to_float(x, self.levels)

    def _indexed_step(self, state: RunState, dead: Array, *, order, images, needs: Needs):
        """Gather the step's minibatch and take the step: the state, and what to set aside."""
        per_epoch = self.steps_per_epoch(images.shape[0])
        _, x = self.minibatch(state, images, order)
        first, num_steps = state.step % per_epoch == 0, self.config.epochs * per_epoch
        x = set_aside(x, dead)
        return self._step(state, x, dead, first=first, num_steps=num_steps, needs=needs)

    def _step(self, state: RunState, x: Float[Array, "b ..."], dead, *, first, num_steps, needs):
        """Gradient, Adam, sums. A run that turns non-finite keeps the parameters it had."""
        model = eqx.combine(state.params, self.static_model)
        now = self.moment(state, num_steps)
        plan = self.plan(state, now, x, needs)
        noise = _keys.step_key(state.key, "noise", state.step)
        (value, info), gradients = routed(plan, model, x, noise, dead)

        norm = _norm(gradients)
        good = (state.status == OK) & jnp.isfinite(value) & jnp.isfinite(norm)
        ascent = self._ascent(gradients, norm, good)
        factor = learning_rate_factor(self.config.schedule, num_steps, state.step)
        rate = jnp.where(good, state.learning_rate * factor, 0)
        adaptive = self._adapted(state, now, x, needs, info, gradients.inference)
        dead = dead_data(info.finite, jnp.isfinite(norm), dead)
        again = jnp.any(dead)  # not good either: the rate is zero
        adam, params = adam_step(state.optimizer, state.params, ascent, rate, again, self.config)
        state = state._replace(params=params, optimizer=adam)
        taken = state._replace(
            step=state.step + 1,
            adaptive=_chosen(good, adaptive, state.adaptive),
            status=jnp.where(good | (state.status != OK), state.status, state.step + 1),
            sums=_accumulate(state.sums, first, value, info, norm),
        )
        return _chosen(again, state, taken), dead

    def moment(self, state: RunState, num_steps) -> Moment:
        """What decides the objective's numbers at the state's step, of so many in all."""
        epoch = state.step * (self.config.epochs / num_steps)
        learned = state.adaptive.learned
        value = jnp.zeros(()) if learned is None else learned.value
        return Moment(state.kind, state.hyper, epoch, value)

    def plan(self, state: RunState, now: Moment, x, needs: Needs) -> Plan:
        """What the routing does at this step."""
        kl_weight = self.objectives.kl_weight(now) if needs.annealed else 1.0
        baseline = state.adaptive.baseline
        context = baseline.context(x) if needs.baseline and baseline is not None else Context()
        context = Context(*map(jnp.asarray, context._replace(kl_weight=kl_weight)))
        return Plan(
            num_samples=self.objectives.num_samples,
            channels=partial(self.objectives.channels, now, context),
            needs=needs,
            kl_weight=kl_weight,
            noise=partial(self.objectives.noise, now, context) if needs.noise else None,
            sample_chunk=self.sample_chunk,
        )

    def _adapted(self, state: RunState, now: Moment, x, needs: Needs, info: Info, gradient):
        """What the objective learns beside the model, after this step."""
        baseline, learned = state.adaptive
        if needs.baseline and baseline is not None:
            baseline = baseline.updated(x, info.signal, info.finite)
        if needs.learns and learned is not None:
            learned = self._learned(learned, now, needs, info, gradient)
        return Adaptive(baseline, learned)

    def _learned(self, learned: LearnedNumber, now: Moment, needs: Needs, info: Info, gradient):
        """The learned number after this step, the way its own objective says."""
        along_bound, along_noise = self.objectives.directions(now)
        slope = along_bound * self.objectives.slope(now, info.log_w, info.finite)
        if needs.noise:
            learned = learned.observed(gradient, info.noise)
            slope += jnp.where(along_noise == 0, 0, along_noise * learned.noise_slope())
        return learned.moved(slope)

    def _ascent(self, gradients: Model, norm: Array, good: Array) -> PyTree:
        """The gradient of the sum over the minibatch (Adam's epsilon refers to it), clipped."""
        scale = jnp.asarray(self.config.batch_size, norm.dtype)
        if self.config.clip_norm is not None:
            scale = scale * jnp.minimum(1, self.config.clip_norm / jnp.maximum(norm, 1e-30))
        return jax.tree.map(lambda g: jnp.where(good, g * scale, 0), gradients)


def _norm(gradients: PyTree) -> Array:
    """The Euclidean norm of all leaves together.

    Summed over the leading axes first: a compiler may add up a whole array number by number, which
    takes as long as the largest product (`benchmarks/LOG.md`).
    """

    def squares(leaf: Array) -> Array:
        return jnp.sum(leaf**2, axis=tuple(range(leaf.ndim - 1)))

    columns = jax.lax.optimization_barrier(jax.tree.map(squares, gradients))
    return jnp.sqrt(optax.tree.sum(columns))


def _chosen(condition: Array, one: PyTree, other: PyTree) -> PyTree:
    """Leaf by leaf; a leaf that both have costs nothing."""
    return jax.tree.map(lambda a, b: a if a is b else jnp.where(condition, a, b), one, other)


def _identity(leaf: Any) -> Hashable:
    """What tells a static leaf of a model from others: an array's content, else itself."""
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    if isinstance(leaf, jax.Array | np.ndarray):
        array = np.asarray(leaf)
        return (array.dtype.str, array.shape, array.tobytes())
    return (type(leaf), leaf)


def _accumulate(sums: Sums, first: Array, value: Array, info: Info, norm: Array) -> Sums:
    now = Sums(
        steps=jnp.ones(()),
        bound=value,
        inference_bound=jnp.mean(info.inference_bound, where=info.finite),
        annealed_bound=jnp.mean(info.annealed_bound, where=info.finite),
        ess=jnp.mean(info.ess, where=info.finite),
        grad_norm=norm,
        num_nonfinite=jnp.sum(~info.finite).astype(jnp.float32),
    )
    return jax.tree.map(lambda old, new: jnp.where(first, 0, old) + new, sums, now)
