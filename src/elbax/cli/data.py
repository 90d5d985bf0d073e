"""`elbax data`: list, info, fetch, describe. Static text waits neither for JAX nor for SciPy."""

from typing import TYPE_CHECKING

from elbax.cli import options as o
from elbax.cli.outcome import Outcome, hanging

if TYPE_CHECKING:
    from elbax.tables.raw import Cells
    from elbax.tables.table import Table

_NAME = 24  # columns of a terminal for a name
_FEW = 20  # cells, up to which nothing is said of how many differ
_MOSTLY = 0.9  # of the cells differ: they may name rows


def data_list(options: o.DataList) -> Outcome:
    """The known data sets."""
    from elbax.data import registry

    sources = [registry.get(name) for name in registry.names()]
    rows = [
        hanging(
            f"{s.name:14} {s.num_train:6} + {s.num_test:5}  "
            f"{'x'.join(map(str, s.event_shape)):7}  ",
            s.description,
        )
        for s in sources
    ]
    content = {"data": [{"name": s.name, "description": s.description} for s in sources]}
    return Outcome(content, "\n".join(["name            train + test   shape", *rows]))


def data_info(options: o.DataInfo) -> Outcome:
    """What a data set holds."""
    from elbax.data.load import load_data

    colour = o.said_yes(options.colour)
    dataset = load_data(
        options.name, data_dir=options.data_dir, levels=options.levels, colour=colour
    )
    content = {
        "name": dataset.name,
        "splits": {name: list(array.shape) for name, array in dataset.splits().items()},
        "levels": dataset.levels,
        "binarise": dataset.binarise,
        "mean_intensity": float(dataset.mean_intensity().mean()),
        "labels": dataset.train_labels is not None,
        "licence": dataset.licence,
        "source": dataset.source,
        "fingerprint": dataset.fingerprint(),
    }
    return Outcome(
        content, "\n".join(hanging(f"{key}: ", str(value)) for key, value in content.items())
    )


def data_fetch(options: o.DataFetch) -> Outcome:
    """Put a data set into the cache."""
    from elbax.data import fetch

    files = [str(path) for path in fetch.fetch(options.name).values()]
    text = "\n".join(files) or f"{options.name} needs no download."
    return Outcome({"name": options.name, "files": files}, text)


def data_describe(options: o.DataDescribe) -> Outcome:
    """What the columns of a table are, and why."""
    from elbax.tables.files import read_table

    table = read_table(options.data, header=o.said_yes(options.header), types=options.types)
    shares = 1 - table.mask.mean(axis=0)
    columns = [
        {
            "name": column.name,
            "kind": column.kind,
            "why": column.why,
            "missing": float(share),
            "categories": list(column.categories),
        }
        for column, share in zip(table.schema.columns, shares, strict=True)
    ]
    content = {"rows": len(table), "columns": columns, "ignored": list(table.schema.ignored)}
    width = min(_NAME, max(len(one["name"]) for one in columns))
    kinds = max(len(one["kind"]) for one in columns)
    lines = [
        hanging(
            f"{_cut(one['name'], width):{width}}  {one['kind']:{kinds}}  "
            f"{_share(one['missing']):>4}  ",
            one["why"],
        )
        for one in columns
    ]
    lines += [f"{_cut(name, width):{width}}  ignored" for name in table.schema.ignored]
    head = f"{len(table)} rows; kind of each column, share of its cells missing, and why:"
    return Outcome(content, "\n".join([head, *lines, *_advice(table)]))


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: width - 1]}…"


def _share(missing: float) -> str:
    """In per cent; what is not 0 does not look like it."""
    return "<1%" if 0 < missing < 0.005 else f"{missing:.0%}"


def _advice(table: "Table") -> list[str]:
    """What to look at before training: numbers that may name rows, and how to say otherwise."""
    cells = {one.name: one for one in table.raw.columns}
    names = [
        column.name
        for column in table.schema.columns
        if column.values == "int" and not column.is_category and _are_names(cells[column.name])
    ]
    found = [
        hanging(
            "", f"{name}: nearly every cell is different, as numbers that name rows are; if so, "
            f"--types {name}=ignore."
        )
        for name in names
    ]  # fmt: skip
    said = "Where a kind is wrong: --types NAME=KIND,.. here and in elbax train."
    return ["", *found, said]


def _are_names(cells: "Cells") -> bool:
    """Whether whole numbers differ in nearly every row."""
    assert cells.numbers is not None
    seen = cells.numbers[~cells.missing]
    return len(seen) > _FEW and len(set(seen.tolist())) > _MOSTLY * len(seen)
