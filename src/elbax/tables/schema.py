"""What a table's columns are: kind, categories, scaling. Free of JAX and of any frame library."""

from dataclasses import dataclass
from typing import Any

from elbax._errors import InputError, unknown

# Kinds that a model has a likelihood for.
REAL = ("gaussian", "student")
COUNTS = ("poisson", "negative-binomial")
KINDS = (*REAL, "binary", "categorical", *COUNTS, "log-normal")
# What `--types` takes besides: a family, whose member the data decide, or nothing at all.
FAMILIES = ("auto", "real", "count", "positive", "ignore")


@dataclass(frozen=True)
class Column:
    """One column: how its cells are distributed given the latents, and in what units.

    A cell x enters a model as u: `(x - center) / scale` where it is real, the same of log x where
    it is positive (log-normal), x itself where it counts, and the index of its category. Of a
    count, center and scale are those of `log(1 + x)`, which the encoder sees.

    Attributes:
        name: as in the header, or x0, x1, .. where there is none.
        kind: one of `KINDS`.
        values: what cells are written back as: float, int, bool or text.
        categories: of a binary or categorical column, as text; the index is what a model sees.
        center: of the observed cells.
        scale: their standard deviation, or 1 where nothing varies.
        complete: no cell was missing when the schema was made.
        why: the reason for the kind, in words.

    >>> Column("age", "poisson", "int").is_count
    True
    """

    name: str
    kind: str
    values: str = "float"
    categories: tuple[str, ...] = ()
    center: float = 0.0
    scale: float = 1.0
    complete: bool = True
    why: str = ""

    def __post_init__(self) -> None:
        """Refuse a kind that no model has, and scales that are none."""
        if self.kind not in KINDS:
            raise InputError(unknown("kind of column", self.kind, KINDS))
        if not self.scale > 0:
            raise InputError(f"expected a scale > 0 of column '{self.name}'; got {self.scale}.")
        if self.is_category and len(self.categories) < (2 if self.kind == "binary" else 1):
            raise InputError(
                f"expected the categories of column '{self.name}'; got {len(self.categories)}."
            )

    @property
    def is_count(self) -> bool:
        """Whether cells are whole numbers from 0."""
        return self.kind in COUNTS

    @property
    def is_category(self) -> bool:
        """Whether cells are names, binary or more."""
        return self.kind in ("binary", "categorical")


@dataclass(frozen=True)
class Schema:
    """The columns that a model sees, in order, and those it leaves alone.

    >>> schema = Schema((Column("age", "poisson", "int"), Column("dose", "gaussian")))
    >>> schema.names, len(schema.columns)
    (('age', 'dose'), 2)
    """

    columns: tuple[Column, ...]
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse no columns, and two of one name."""
        if not self.columns:
            raise InputError(
                "expected at least one column for the model; got none. Ignore fewer columns."
            )
        names = [*self.names, *self.ignored]
        if len(set(names)) < len(names):
            raise InputError("expected columns of different names; two have the same.")

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the columns that a model sees."""
        return tuple(column.name for column in self.columns)

    def places(self, *kinds: str) -> tuple[int, ...]:
        """Where the columns of some kinds stand.

        >>> Schema((Column("a", "gaussian"), Column("b", "poisson"))).places("poisson")
        (1,)
        """
        return tuple(i for i, column in enumerate(self.columns) if column.kind in kinds)


def schema_from(fields: dict[str, Any] | None) -> Schema | None:
    """A schema from what JSON holds of it; None from None.

    Raises:
        TypeError, KeyError, InputError: it is none.

    >>> from dataclasses import asdict
    >>> schema = Schema((Column("age", "poisson", "int"),))
    >>> schema_from(asdict(schema)) == schema
    True
    """
    if fields is None:
        return None
    columns = []
    for one in fields["columns"]:
        known = {"center": float(one["center"]), "scale": float(one["scale"])}
        columns.append(Column(**{**one, **known, "categories": tuple(map(str, one["categories"]))}))
    return Schema(tuple(columns), tuple(map(str, fields["ignored"])))


def described_lines(schema: Schema) -> list[str]:
    """What each column is and why, a line each.

    >>> described_lines(Schema((Column("age", "poisson", "int", why="as asked"),), ("id",)))
    ['age: poisson, as asked', 'id: ignored']
    """
    lines = [f"{one.name}: {one.kind}{', ' * bool(one.why)}{one.why}" for one in schema.columns]
    return [*lines, *(f"{name}: ignored" for name in schema.ignored)]


def parse_types(text: str) -> dict[str, str]:
    """Kinds by column from a text such as `age=count,sex=categorical`.

    Raises:
        InputError: a part that is no `name=kind`, a name twice, or a kind that is unknown.

    >>> parse_types("age=count, dose=positive")
    {'age': 'count', 'dose': 'positive'}
    """
    types: dict[str, str] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, equals, kind = (one.strip() for one in part.rpartition("="))
        if not (name and equals and kind):
            raise InputError(
                f"expected types as name=kind, separated by commas; got '{part}' in '{text}'."
            )
        if name in types:
            raise InputError(f"expected one kind for column '{name}'; got two in '{text}'.")
        types[name] = kind
    return checked_types(types)


def checked_types(types: dict[str, str]) -> dict[str, str]:
    """The same, if every kind is known.

    Raises:
        InputError: one is not.
    """
    for kind in types.values():
        if kind not in (*KINDS, *FAMILIES):
            raise InputError(unknown("kind of column", kind, (*FAMILIES, *KINDS)))
    return types
