"""The objectives of a fleet as one compiled choice."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from elbax._errors import InputError
from elbax._types import LogWeights
from elbax.objectives import Channels, Needs, Objective
from elbax.rules import Coefficients, Context


class Moment(NamedTuple):
    """What decides an objective's numbers at a step."""

    kind: Int[Array, ""]
    hyper: Float[Array, " h"]
    epoch: Float[Array, ""]
    """Epochs done, fractions included."""
    learned: Float[Array, ""]
    """The learned number; unused where none is learned."""


class ObjectiveTable:
    """The distinct objectives of a fleet, told apart by structure, with their numbers aside.

    Two CIWAEs that differ in beta are one kind with two `hyper`; the compiled program holds one
    branch for each kind and depends on nothing else.
    """

    def __init__(self, objectives: Sequence[Objective]):
        self._check_samples(objectives)
        flat = [jax.tree.flatten(objective) for objective in objectives]
        self.objectives = tuple(objectives)
        self.kinds = list(dict.fromkeys(structure for _, structure in flat))
        self.num_samples = objectives[0].num_samples
        width = max(len(leaves) for leaves, _ in flat)
        self.kind = [self.kinds.index(structure) for _, structure in flat]
        self.hyper = [
            jnp.zeros(width).at[: len(leaves)].set(jnp.asarray(leaves, jnp.float32))
            for leaves, _ in flat
        ]
        self.needs = [objective.needs for objective in objectives]

    @property
    def all_needs(self) -> Needs:
        """What any of the objectives needs."""
        return Needs(*(any(column) for column in zip(*self.needs, strict=True)))

    @staticmethod
    def _check_samples(objectives: Sequence[Objective]) -> None:
        counts = {objective.num_samples for objective in objectives}
        if len(counts) > 1:
            raise InputError(
                "expected every objective of a fleet to draw equally many samples, so that they "
                f"share one program; got {sorted(counts)}. Match m * k, or train them apart."
            )

    # Each of these is the run's own objective's answer, chosen when the program runs.

    def channels(
        self, now: Moment, context: Context, log_w: LogWeights, annealed: LogWeights
    ) -> Channels:
        """Values, those at the end of every ramp, and coefficients, those of this moment."""

        def answer(objective: Objective, context: Context, log_w, annealed) -> Channels:
            found = _at(objective, now).channels(log_w, annealed, context)
            if not objective.is_annealed:
                return found
            final = objective.at(math.inf, now.learned)
            return found._replace(
                value=final.generative(log_w), inference_value=final.inference(log_w)
            )

        return self._choose(now, answer, context, log_w, annealed)

    def kl_weight(self, now: Moment) -> Float[Array, ""]:
        """The weight of the KL term, 1 where it is not annealed."""

        def answer(objective: Objective) -> Array:
            weight = _at(objective, now).kl_weight
            return jnp.ones(()) if weight is None else jnp.asarray(weight)

        return self._choose(now, answer)

    def noise(self, now: Moment, context: Context, annealed: LogWeights) -> Coefficients:
        """The derivative of the inference coefficients with respect to the learned number."""

        def answer(objective: Objective, context: Context, log_w) -> Coefficients:
            def at(learned):
                objective_now = objective.at(now.epoch, learned)
                return objective_now.inference_coefficients(log_w, context)

            return jax.jvp(at, (now.learned,), (jnp.ones(()),))[1]

        return self._choose(now, answer, context, annealed)

    def directions(self, now: Moment) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Which way the learned number goes: along the bound, along the noise; 0 is not at all."""
        ways = {"ascend": (1.0, 0.0), "descend": (-1.0, 0.0), "noise": (0.0, -1.0)}

        def answer(objective: Objective) -> tuple[Array, Array]:
            learned = objective.learned
            bound, noise = (0.0, 0.0) if learned is None else ways[learned.by]
            return jnp.asarray(bound), jnp.asarray(noise)

        return self._choose(now, answer)

    def slope(self, now: Moment, log_w: LogWeights, finite: Array) -> Float[Array, ""]:
        """The derivative of the mean bound with respect to the learned number."""

        def answer(objective: Objective, log_w, finite) -> Array:
            def mean(learned):
                values = objective.at(now.epoch, learned).generative(jnp.where(finite, log_w, 0))
                return jnp.sum(jnp.where(finite, values, 0)) / jnp.maximum(jnp.sum(finite), 1)

            return jax.grad(mean)(now.learned)

        return self._choose(now, answer, log_w, finite)

    def _choose(self, now: Moment, answer: Callable[..., Any], *operands) -> Any:
        branches = [self._branch(structure, answer) for structure in self.kinds]
        # A switch even for one kind: a run alone then compiles to the arithmetic it has in a
        # fleet, and the two agree bit for bit.
        branches = branches if len(branches) > 1 else branches * 2
        return jax.lax.switch(now.kind, branches, now.hyper, *operands)

    @staticmethod
    def _branch(structure, answer):
        def branch(hyper: Array, *operands) -> Any:
            leaves = [hyper[i] for i in range(structure.num_leaves)]
            return answer(jax.tree.unflatten(structure, leaves), *operands)

        return branch


def _at(objective: Objective, now: Moment) -> Objective:
    return objective.at(now.epoch, now.learned)
