"""Where a run starts when not at random: the parameters of another run, and its lineage."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from elbax._arrays import digest
from elbax._errors import InputError
from elbax.models.interface import Model
from elbax.models.weights import arrays_of


@dataclass(frozen=True)
class Origin:
    """Trained models that new runs start from: one per seed, or one for all of them.

    Only parameters are taken over. Adam's moments, the step, the schedule and every random stream
    begin anew, as in the second stage of Burda et al. 2015, section 5.

    Attributes:
        models: in the order of the new runs' seeds, or a single one.
        lineage: which runs these are, for config.json: names, what they were trained by, epochs,
            the hash of their configuration, and their own lineage if they have one. Of models in
            memory, the hashes of their arrays.
    """

    models: Sequence[Model] = field(repr=False)
    lineage: dict[str, Any]

    def start(self, built: Sequence[Model], seeds: Sequence[int]) -> list[Model]:
        """The models to start from in place of the newly built ones, one per run.

        Args:
            built: what each run would have started from.
            seeds: each run's seed.

        Raises:
            InputError: as many models as seeds were expected, or they are of another kind.
        """
        distinct = list(dict.fromkeys(seeds))
        if len(self.models) not in (1, len(distinct)):
            raise InputError(
                f"expected one run to start from, or one per seed ({len(distinct)}); got "
                f"{len(self.models)}."
            )
        chosen = [self.models[distinct.index(seed) % len(self.models)] for seed in seeds]
        for model, new in zip(chosen, built, strict=True):
            if _kind(model) != _kind(new):
                raise InputError(
                    "expected the same model as that of the run to start from; the sizes or "
                    "distributions differ. Give the options it was trained with."
                )
        return chosen


def as_origin(given: Any) -> Origin | None:
    """What `fit(origin=...)` takes as an `Origin`.

    Raises:
        InputError: something else, or no model.
    """
    if given is None or isinstance(given, Origin):
        return given
    models = [given] if isinstance(given, Model) else given
    known = isinstance(models, Sequence) and len(models) > 0
    if not known or not all(isinstance(model, Model) for model in models):
        raise InputError(
            "expected origin as a model, a list of models, or what `elbax.origin_of` gives; got "
            f"{type(given).__name__}."
        )
    lineage = {"memory": [digest(arrays_of(model)) for model in models]}
    return Origin(list(models), lineage)


def copied(model: Model) -> Model:
    """The model with arrays of its own: training gives the buffers of its states away."""
    return jax.tree.map(lambda leaf: jnp.array(leaf) if eqx.is_array(leaf) else leaf, model)


def _kind(model: Model):
    arrays = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    return jax.tree.structure(model), [(leaf.shape, leaf.dtype) for leaf in arrays]
