"""Objectives: a bound for the generative network, one for the inference network, and a rule.

Every method of this literature is such a composition: PIWAE pairs IWAE(m k) with MIWAE(m, k),
all others use one bound twice. `methods` has them by name.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from elbax._errors import InputError
from elbax._types import LogWeights, PerDatum, Scalar
from elbax.bounds import JVI, AbstractBound
from elbax.courses import Learned, Number, Ramp, check_range, is_course
from elbax.rules import AbstractRule, Coefficients, Context, rule_named


class Needs(NamedTuple):
    """What an objective asks of the routing; a program leaves out what its runs do not need."""

    path: bool = False
    """A gradient through the samples."""
    prior_path: bool = False
    """A pathwise gradient for the prior's parameters."""
    sleep: bool = False
    """A sleep-phase gradient."""
    annealed: bool = False
    """The KL term by itself, to be weighed."""
    baseline: bool = False
    """A learned baseline."""
    learns: bool = False
    """A number that is learned."""
    noise: bool = False
    """The derivative of the inference network's gradient with respect to beta."""


class Channels(NamedTuple):
    """What an objective makes of log-weights: values `[B]`, coefficients `[T, B]`, all constants.

    `finite` marks the data whose bounds are finite; the coefficients of the others are zero.
    """

    value: PerDatum
    inference_value: PerDatum
    annealed: PerDatum
    """The generative bound that is climbed: `value` but for an annealed objective."""
    signal: PerDatum
    """The inference bound that is climbed: what a learned baseline predicts."""
    model: LogWeights
    pathwise: LogWeights
    score: LogWeights
    prior_path: LogWeights
    """Pathwise weights for the parameters of a learned prior."""
    sleep: Float[Array, ""]
    """Weight of the sleep-phase gradient."""
    follow_prior: Float[Array, ""]
    """1 where the prior's parameters take their pathwise gradient, else 0."""
    finite: Bool[Array, " b"]


def _as_rule(rule: AbstractRule | str) -> AbstractRule:
    return rule_named(rule) if isinstance(rule, str) else rule


class Objective(eqx.Module):
    """What is maximized: `generative` for theta, `inference` for phi, by a gradient rule.

    Args:
        generative: bound whose gradient trains the generative network.
        inference: bound whose gradient trains the inference network; on the same samples, so
            both must use equally many.
        gradient: the inference network's gradient rule: its name ("dreg", "vimco", "ovis:0.5";
            all in `elbax.rules.RULES`) or your own.
        kl_weight: b in [0, 1], which weighs the KL term: log p(x | z) + b (log p(z) -
            log q(z | x)) takes the place of the log-weights; with a `Ramp` a KL warm-up
            (Sonderby et al. 2016). Below 1 what is climbed is no bound on log p(x); values are
            always those of the bound itself. None leaves the KL term alone.

    Raises:
        InputError: bounds of different sample counts, or a rule that is not right for its bound.

    >>> from elbax import bounds
    >>> Objective(bounds.IWAE(4), bounds.MIWAE(2, 2), gradient="dreg").num_samples
    4
    """

    generative: AbstractBound
    inference: AbstractBound
    gradient: AbstractRule = eqx.field(converter=_as_rule, default="reparam")
    kl_weight: Number | None = None

    def __check_init__(self):
        if self.generative.num_samples != self.inference.num_samples:
            raise InputError(
                "expected both bounds of an objective to use the same samples; got "
                f"{self.generative.num_samples} for {self.generative} and "
                f"{self.inference.num_samples} for {self.inference}."
            )
        if isinstance(self.kl_weight, Learned):
            raise InputError("expected a number or a Ramp for kl_weight; it cannot be learned.")
        if self.kl_weight is not None:
            check_range("kl_weight", self.kl_weight)
        self.gradient.check(self.inference)

    @property
    def num_samples(self) -> int:
        """Samples per datum, T."""
        return self.generative.num_samples

    @property
    def caveats(self) -> list[str]:
        """What whoever trains with it should know."""
        parts = jax.tree.leaves(self, is_leaf=lambda node: isinstance(node, JVI))
        if not any(isinstance(part, JVI) for part in parts):
            return []
        return [
            "JVI is an estimate of log p(x), not a bound, and unbounded above: training may raise "
            "it by spoiling the encoder while the likelihood falls. Watch the held-out IWAE-k, or "
            "train with iwae and evaluate with more samples."
        ]

    @property
    def courses(self) -> list[Ramp | Learned]:
        """The numbers of this objective that change while training."""
        nodes = jax.tree.leaves(self, is_leaf=is_course)
        return [node for node in nodes if is_course(node)]

    @property
    def learned(self) -> Learned | None:
        """The number that is learned, if there is one; two bounds share it."""
        return next((node for node in self.courses if isinstance(node, Learned)), None)

    @property
    def is_annealed(self) -> bool:
        """Whether what is climbed differs from the bound, at least for a time."""
        ramps = any(isinstance(course, Ramp) for course in self.courses)
        return ramps or self.kl_weight is not None

    def numbers(self, epoch: Scalar, learned: Scalar | None = None) -> dict[str, float]:
        """The numbers that change, by name (beta, alpha, kl_weight), at one time of the training.

        >>> from elbax import bounds
        >>> objective = Objective(*[bounds.CIWAE(4, Ramp(1.0, 0.0, epochs=10))] * 2)
        >>> objective.numbers(5)
        {'beta': 0.5}
        """
        paths, _ = jax.tree_util.tree_flatten_with_path(self, is_leaf=is_course)
        found = {}
        for path, node in paths:
            if isinstance(node, Ramp):
                found[path[-1].name] = float(node(epoch))
            elif isinstance(node, Learned):
                found[path[-1].name] = float(node.start if learned is None else learned)
        return found

    @property
    def needs(self) -> Needs:
        """What the routing has to do for it."""
        return Needs(
            path=self.gradient.needs_path,
            prior_path=self.gradient.needs_prior_path,
            sleep=self.gradient.sleep_weight > 0,
            annealed=self.kl_weight is not None,
            baseline=self.gradient.needs_baseline,
            learns=self.learned is not None,
            noise=self.learned is not None and self.learned.by == "noise",
        )

    def at(self, epoch: Scalar, learned: Scalar | None = None) -> "Objective":
        """This objective with plain numbers: those of `epoch`, and `learned` (else its start).

        >>> from elbax import bounds
        >>> objective = Objective(*[bounds.CIWAE(4, Ramp(1.0, 0.0, epochs=10))] * 2)
        >>> float(objective.at(5).generative.beta)
        0.5
        """

        def resolved(node: Any) -> Any:
            if isinstance(node, Ramp):
                return node(epoch)
            if isinstance(node, Learned):
                return node.start if learned is None else learned
            return node

        return jax.tree.map(resolved, self, is_leaf=is_course)

    def channels(
        self,
        log_w: LogWeights,
        annealed: LogWeights | None = None,
        context: Context = Context(),  # noqa: B008 (immutable)
    ) -> Channels:
        """Values and coefficients; a datum with a non-finite bound gets zeros.

        Args:
            log_w: the log-weights, of which the values are.
            annealed: the log-weights with a weighed KL term, of which the coefficients are;
                the log-weights themselves if omitted.
            context: what the rule may know beside them, the KL weight among it.
        """
        climbed = log_w if annealed is None else annealed
        value, inference_value = self.generative(log_w), self.inference(log_w)
        aims = (self.generative(climbed), self.inference(climbed))
        finite = jnp.all(jnp.isfinite(jnp.stack([value, inference_value, *aims])), axis=0)
        # A dead datum's weights are replaced before differentiating: 0 * NaN would be NaN.
        safe = jnp.where(finite, climbed, 0)
        g, h = self.generative.derivatives(safe)
        coefficients = (g, *self.gradient(self.inference, safe, context), g - context.kl_weight * h)
        model, pathwise, score, prior = (jnp.where(finite, c, 0) for c in coefficients)
        return Channels(
            *(value, inference_value, *aims),
            *(model, pathwise, score, prior),
            sleep=jnp.asarray(self.gradient.sleep_weight, log_w.dtype),
            follow_prior=jnp.asarray(self.gradient.needs_prior_path, log_w.dtype),
            finite=finite,
        )

    def inference_coefficients(self, log_w: LogWeights, context: Context) -> Coefficients:
        """Those of the inference network alone, zero where its bound is not finite."""
        finite = jnp.isfinite(self.inference(log_w))
        found = self.gradient(self.inference, jnp.where(finite, log_w, 0), context)
        return Coefficients(*(jnp.where(finite, c, 0) for c in found))
