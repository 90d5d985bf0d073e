"""What an objective learns beside the model: NVIL's baseline, and the number of a `Learned`."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from elbax._types import PerDatum, PRNGKey, PyTree
from elbax.nn.linear import MLP, Linear
from elbax.objectives import Needs, Objective
from elbax.rules import Context

_HIDDEN = 100  # units of the baseline's network, as Mnih & Gregor 2014
_KEPT = 0.8  # share of the old running mean and variance at each step, as there
_BASELINE_ADAM = optax.adam(1e-3)

_DECAY = 0.99  # of the running moments of the gradient
_NUM_FIRST = 100  # steps before the learned number moves, while the moments are made
_NUMBER_ADAM = optax.adam(1e-3)


class BaselineNetwork(eqx.Module):
    """One hidden layer, zero at the start."""

    features: MLP
    out: Linear

    def __init__(self, size: int, *, key: PRNGKey):
        first, second = jax.random.split(key)
        self.features = MLP([size, _HIDDEN], key=first)
        out = Linear(_HIDDEN, 1, key=second)
        self.out = eqx.tree_at(lambda layer: layer.weight, out, jnp.zeros_like(out.weight))

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """Of one datum."""
        known = jnp.where(jnp.isnan(x), 0, x)  # holes of a table
        return self.out(self.features(known.reshape(-1)))[0]


class Baseline(NamedTuple):
    """NVIL's: a network of x, its Adam, and the running mean and variance of what it leaves."""

    network: BaselineNetwork
    optimizer: PyTree
    mean: Float[Array, ""]
    variance: Float[Array, ""]
    steps: Float[Array, ""]

    def context(self, x: Float[Array, "b ..."]) -> Context:
        """The rule's baseline and scale, of steps before this one only: they know no z of it.

        Before anything was seen the scale is infinite, so that the first step only looks.
        """
        scale = jnp.maximum(1, jnp.sqrt(self.variance))
        scale = jnp.where(self.steps == 0, jnp.inf, scale)
        return Context(baseline=jax.vmap(self.network)(x) + self.mean, scale=scale)

    def updated(self, x: Float[Array, "b ..."], signal: PerDatum, finite: Array) -> "Baseline":
        """One step down the squared error of the prediction, and the running moments."""
        num_finite = jnp.maximum(jnp.sum(finite), 1)

        def rest(network):
            return jnp.where(finite, signal - jax.vmap(network)(x), 0)

        def loss(network):
            return jnp.sum(jnp.where(finite, rest(network) - self.mean, 0) ** 2) / num_finite

        left = rest(self.network)
        mean = jnp.sum(left) / num_finite
        variance = jnp.sum(jnp.where(finite, left - mean, 0) ** 2) / num_finite
        kept = jnp.where(self.steps == 0, 0, _KEPT)
        gradient = jax.grad(loss)(self.network)
        change, optimizer = _BASELINE_ADAM.update(gradient, self.optimizer)
        # On the first step the mean is not known yet, and the network would chase it.
        network = jax.tree.map(
            lambda p, d: p + jnp.where(self.steps == 0, 0, d), self.network, change
        )
        return Baseline(
            network=network,
            optimizer=optimizer,
            mean=kept * self.mean + (1 - kept) * mean,
            variance=kept * self.variance + (1 - kept) * variance,
            steps=self.steps + 1,
        )


class Moments(NamedTuple):
    """Running moments of the inference gradient g and of d = dg / d beta."""

    square: Float[Array, ""]
    """E |g|^2."""
    cross: Float[Array, ""]
    """E g . d."""
    mean: PyTree
    """E g."""
    mean_change: PyTree
    """E d."""

    def updated(self, g: PyTree, d: PyTree) -> "Moments":
        """With one more draw."""
        now = Moments(_dot(g, g), _dot(g, d), g, d)
        return jax.tree.map(lambda old, new: _DECAY * old + (1 - _DECAY) * new, self, now)

    def slope(self, count: Float[Array, ""]) -> Float[Array, ""]:
        """d log(E|g|^2 / |E g|^2) / d beta after `count` draws.

        The square of a running mean is too large by the mean's own variance, a share c of the
        variance of one draw; both are solved for the square of the true mean.
        """
        seen = 1 - _DECAY**count
        c = (1 - _DECAY) / (1 + _DECAY) * (2 - seen) / seen
        square, cross = self.square / seen, self.cross / seen
        mean_square = (_dot(self.mean, self.mean) / seen**2 - c * square) / (1 - c)
        mean_cross = (_dot(self.mean, self.mean_change) / seen**2 - c * cross) / (1 - c)
        # Under its own noise the square of the mean is not known; it is then taken as that noise.
        mean_square = jnp.maximum(mean_square, c * square)
        return 2 * cross / square - 2 * mean_cross / mean_square


class LearnedNumber(NamedTuple):
    """A learned number as its logit, its Adam, and, to lower the noise, the moments."""

    logit: Float[Array, ""]
    optimizer: PyTree
    steps: Float[Array, ""]
    moments: Moments | None

    @property
    def value(self) -> Float[Array, ""]:
        """The number, in (0, 1)."""
        return jax.nn.sigmoid(self.logit)

    def observed(self, g: PyTree, d: PyTree) -> "LearnedNumber":
        """With a new draw of the inference gradient and of its derivative in the moments."""
        assert self.moments is not None
        return self._replace(moments=self.moments.updated(g, d))

    def noise_slope(self) -> Float[Array, ""]:
        """The slope of the log relative noise; 0 for as long as the moments are too young."""
        assert self.moments is not None
        slope = self.moments.slope(self.steps + 1)
        return jnp.where((self.steps < _NUM_FIRST) | ~jnp.isfinite(slope), 0, slope)

    def moved(self, slope: Float[Array, ""]) -> "LearnedNumber":
        """One step of Adam up a slope given with respect to the number."""
        by_logit = slope * self.value * (1 - self.value)
        change, optimizer = _NUMBER_ADAM.update(-by_logit, self.optimizer)
        logit = self.logit + change  # type: ignore[operator]
        return self._replace(logit=logit, optimizer=optimizer, steps=self.steps + 1)


class Adaptive(NamedTuple):
    """What a run's objective learns; None where no objective of the fleet does."""

    baseline: Baseline | None
    learned: LearnedNumber | None


def initial_adaptive(
    objective: Objective, needs: Needs, params: PyTree, size: int, key: PRNGKey
) -> Adaptive:
    """The state before the first step.

    Args:
        objective: the run's own.
        needs: what any objective of the fleet needs; all its runs carry the same arrays.
        params: the inference network's arrays.
        size: D, the size of one datum.
        key: for the baseline's network.
    """
    baseline = learned = None
    if needs.baseline:
        network = BaselineNetwork(size, key=key)
        zeros = (jnp.zeros(()) for _ in range(3))
        baseline = Baseline(network, _BASELINE_ADAM.init(eqx.filter(network, eqx.is_array)), *zeros)
    if needs.learns:
        start = 0.5 if objective.learned is None else objective.learned.start
        logit = jax.scipy.special.logit(jnp.asarray(start, float))
        moments = _no_moments(params) if needs.noise else None
        learned = LearnedNumber(logit, _NUMBER_ADAM.init(logit), jnp.zeros(()), moments)
    return Adaptive(baseline, learned)


def _no_moments(params: PyTree) -> Moments:
    # Every zero is an array of its own: the state's arrays are given away at each step.
    nothing = [jax.tree.map(jnp.zeros_like, params) for _ in range(2)]
    return Moments(jnp.zeros(()), jnp.zeros(()), *nothing)


def _dot(a: PyTree, b: PyTree) -> Float[Array, ""]:
    products = jax.tree.map(lambda u, v: jnp.sum(u * v), a, b)
    return jax.tree.reduce(jnp.add, products)
