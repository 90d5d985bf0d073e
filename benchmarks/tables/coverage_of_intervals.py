"""How often 95 % intervals from imputed tables hold the truth: proper imputations, and improper.

    python benchmarks/tables/coverage_of_intervals.py [--data-sets 500] [--members 10] [--rows 200]

Each data set is of a bivariate normal (x, y), correlation 0.6; y is missing with a probability
that rises with x, about 45 % (MAR). A linear-Gaussian model with one latent is trained by IWAE(5),
and the mean of y and the slope of y on x are pooled by Rubin's rules (`elbax.pool`) over m tables:

    proper       a fleet of m members on bootstrap resamples, one imputation of each
    improper     one model, m draws
    EM proper    the same by a Gaussian fitted by EM to m resamples: what is possible
    EM improper  one Gaussian, m draws
    complete     no holes

Data sets are trained many at a time, by one compiled program for the fleets and one for the
single models; `compilations` counts them.
"""

import argparse
import json
import time
from pathlib import Path

import em_gaussian
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import elbax
from elbax.models import Generative, Inference, Model
from elbax.models.cells import Row
from elbax.models.heads import NormalHead
from elbax.models.tables import Observed
from elbax.nn import MLP, Linear
from elbax.tables.raw import from_array
from elbax.tables.schema import Column, Schema
from elbax.tables.table import Table
from elbax.training.setup import new_fleet
from elbax.training.stacks import stack

# In units of their own already: the schema of all data sets is one, and so is the program.
SCHEMA = Schema((Column("x", "gaussian"), Column("y", "gaussian", complete=False)))
TRUTH = {"mean of y": 0.0, "slope": 0.6}


class Line(eqx.Module):
    """x = W z + b + s eps."""

    weight: jax.Array
    bias: jax.Array
    raw_scale: jax.Array

    def __call__(self, z) -> Row:
        scale = 1e-3 + jax.nn.softplus(self.raw_scale)
        return Row({"gaussian": jnp.stack([self.weight @ z + self.bias, scale], axis=1)}, SCHEMA)


def linear_model(key) -> Model:
    """One latent, from which every covariance of two columns can be had."""
    keys = jax.random.split(key, 3)
    line = Line(jnp.full((2, 1), 0.5), jnp.zeros(2), jnp.zeros(2))
    heads = (Linear(8, 1, key=one) for one in keys[1:])
    encoder = NormalHead(Observed(MLP([4, 8], key=keys[0]), SCHEMA), *heads, "exp", 1e-6)
    return Model(Generative(line, 1, (2,)), Inference(encoder))


def draw(num_rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A whole table, and with its holes."""
    x = rng.standard_normal(num_rows)
    y = 0.6 * x + 0.8 * rng.standard_normal(num_rows)
    hidden = rng.random(num_rows) < 1 / (1 + np.exp(0.25 - 1.5 * x))
    return np.column_stack([x, y]), np.column_stack([x, np.where(hidden, np.nan, y)])


def analysed(whole: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean of y and slope of y on x, and their squared standard errors."""
    x, y = whole.T
    n, sxx = len(x), ((x - x.mean()) ** 2).sum()
    slope = ((x - x.mean()) * y).sum() / sxx
    rest = y - y.mean() - slope * (x - x.mean())
    return [y.mean(), slope], [y.var(ddof=1) / n, (rest**2).sum() / (n - 2) / sxx]


class Count:
    """Hits of the truth and lengths of intervals, of one way to impute."""

    def __init__(self):
        self.hits, self.widths = [], []

    def add(self, tables) -> None:
        parts = [analysed(one) for one in tables]
        if len(parts) == 1:  # nothing to pool
            parts = parts * 2
        estimates, variances = (np.array(part) for part in zip(*parts, strict=True))
        found = elbax.pool(estimates, variances, complete_freedom=len(tables[0]) - 2)
        low, high = found.interval(0.95)
        truth = np.array(list(TRUTH.values()))
        self.hits.append((low <= truth) & (truth <= high))
        self.widths.append(high - low)

    def summary(self) -> dict:
        hits, widths = np.array(self.hits), np.array(self.widths)
        share = hits.mean(axis=0)
        error = np.sqrt(share * (1 - share) / len(hits))
        return {
            name: {"covered": round(float(c), 4), "error": round(float(e), 4), "width": float(w)}
            for name, c, e, w in zip(TRUTH, share, error, widths.mean(axis=0), strict=True)
        }


class Trainer:
    """Trains members on each of several data sets at once, all in one compiled program.

    What `elbax.fit` compiles, mapped over data sets as well; a seed's resample is the same rows of
    every data set.
    """

    def __init__(self, members: int, bootstrap: bool, options):
        config = elbax.TrainConfig(
            options.epochs, options.rows // 2, options.learning_rate, bootstrap=bootstrap
        )
        _, fleet, _ = new_fleet(
            "iwae(k=5)",
            as_table(draw(options.rows, np.random.default_rng(0))[1]),
            model=linear_model,
            config=config,
            seeds=range(members),
        )
        self.compilations, self._program = 0, fleet.program
        states, steps = stack(fleet.states), fleet.program.steps_per_epoch(options.rows)

        def of_run(state, rows):
            def epoch(_, state):
                needs = fleet.program.objectives.all_needs
                return fleet.program.chunk(state, rows, jnp.asarray(steps), needs)

            return jax.lax.fori_loop(0, options.epochs, epoch, state).params

        def of_sets(sets):
            self.compilations += 1  # runs when JAX traces
            return jax.vmap(lambda rows: jax.vmap(of_run, (0, None))(states, rows))(sets)

        self._train = jax.jit(of_sets)

    def __call__(self, sets: np.ndarray) -> list[list[Model]]:
        """The members of each of so many data sets `[D, N, 2]`."""
        params = jax.device_get(self._train(jnp.asarray(sets, jnp.float32)))
        num_sets, members = jax.tree.leaves(params)[0].shape[:2]

        def model(*place) -> Model:
            own = jax.tree.map(lambda leaf: jnp.asarray(leaf[place]), params)
            return eqx.combine(own, self._program.static_model)

        return [[model(d, r) for r in range(members)] for d in range(num_sets)]


def as_table(holed: np.ndarray) -> Table:
    return Table(holed.astype(np.float32), SCHEMA, from_array(holed, SCHEMA.names))


def imputed(models, holed: np.ndarray, members: int | None, seed: int) -> np.ndarray:
    """Tables `[m, N, 2]` of elbax, of a model each or all of one."""
    drawn = elbax.multiple_imputations(models, as_table(holed), members, num_samples=100, seed=seed)
    return drawn.values


def by_em(holed: np.ndarray, members: int, rng: np.random.Generator) -> dict:
    """The same with a Gaussian in closed form."""
    rows = rng.integers(0, len(holed), (members, len(holed)))
    fits = [em_gaussian.fit(holed[own], tolerance=1e-6)[0] for own in rows]
    one = em_gaussian.fit(holed, tolerance=1e-6)[0]
    return {
        "EM proper": [em_gaussian.draw(each, holed, rng) for each in fits],
        "EM improper": [em_gaussian.draw(one, holed, rng) for _ in range(members)],
    }


def measure(options) -> dict:
    """Coverage of every way, over all data sets."""
    counts: dict[str, Count] = {}
    trainers = Trainer(options.members, True, options), Trainer(1, False, options)
    begun = time.perf_counter()
    for start in range(options.first, options.first + options.data_sets, options.at_once):
        seeds = range(start, start + options.at_once)
        sets = [draw(options.rows, np.random.default_rng(seed)) for seed in seeds]
        holed = np.stack([own for _, own in sets])
        for seed, (whole, own), several, one in zip(
            seeds, sets, *(train(holed) for train in trainers), strict=True
        ):
            tables = {
                "proper": imputed(several, own, None, seed),
                "improper": imputed(one[0], own, options.members, seed),
            }
            tables |= by_em(own, options.members, np.random.default_rng((seed, 1)))
            for name, each in (tables | {"complete": [whole]}).items():
                counts.setdefault(name, Count()).add(list(each))
        said = {name: one.summary()["mean of y"] for name, one in counts.items()}
        said = {name: (row["covered"], round(row["width"], 3)) for name, row in said.items()}
        print(seeds.stop, f"{time.perf_counter() - begun:.0f} s", said, flush=True)
    return {
        "seconds": round(time.perf_counter() - begun, 1),
        "compilations": sum(trainer.compilations for trainer in trainers),
        "coverage": {name: one.summary() for name, one in counts.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-sets", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="seed of the first of them")
    parser.add_argument("--at-once", type=int, default=25, help="data sets trained together")
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=0.03)
    parser.add_argument("--json", type=Path, default=Path("runs/coverage.json"))
    options = parser.parse_args()
    shown = {key: value for key, value in vars(options).items() if key != "json"}
    found = {"options": shown} | measure(options)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    for name, rows in found["coverage"].items():
        for what, row in rows.items():
            print(f"{name:12} {what:10} {row['covered']:.3f} ± {row['error']:.3f}", end="  ")
            print(f"width {row['width']:.3f}")
    print(f"{found['compilations']} compilations; saved: {options.json}")


if __name__ == "__main__":
    main()
