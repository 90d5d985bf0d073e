"""`elbax data`: list, info, fetch. Static text waits neither for JAX nor for SciPy."""

from elbax.cli import options as o
from elbax.cli.outcome import Outcome, hanging


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

    dataset = load_data(options.name, data_dir=options.data_dir, levels=options.levels)
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
