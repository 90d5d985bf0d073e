"""Signal-to-noise as a table and as figures, from the content of an snr.json."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from elbax._files import write_atomically
from elbax.report.figures import STYLES, WIDTH, logarithmic, plain, save, style
from elbax.report.tables import Cell, Table

_NETWORKS = ("generative", "inference")


def write(content: dict[str, Any], folder: Path) -> list[Path]:
    """Write snr.json and its figures into `folder`; the files written.

    Everything is made before anything is written: a page shows what snr.json holds, so that one
    which cannot be drawn would break the folder's reports.
    """
    text = json.dumps(content, indent=1, allow_nan=False)
    drawn = figures_of(content)
    write_atomically(folder / "snr.json", f"{text}\n".encode())
    files = [save(figure, folder / "figures" / f"{name}.png") for name, figure in drawn.items()]
    return [folder / "snr.json", *files]


def figures_of(content: dict[str, Any]) -> dict[str, Figure]:
    """The figures that the content allows, by name."""
    drawn = {"snr": ratios(content), "dsnr": ratios(content, "dsnr")}
    if any("/" in name for name in content["lines"][0]["groups"]):
        drawn["snr-layers"] = layers(content)
    if content.get("histograms"):
        drawn["gradient-histograms"] = histograms(content)
    if content.get("ess"):
        drawn["ess"] = ess(content)
    return drawn


def slopes(content: dict[str, Any]) -> Table:
    """One row per method: the slope of log SNR against log samples, predicted and found."""
    rows = []
    for line in content["lines"]:
        cells = [Cell(line["label"]), Cell(line["along"])]
        for network in _NETWORKS:
            group = line["groups"][network]
            cells += [Cell(_found(group)), Cell(_signed(group["predicted"])), Cell(_verdict(group))]
        rows.append(tuple(cells))
    sizes = ", ".join(map(str, content["sizes"]))
    draws = ", ".join(map(str, content["num_draws"]))
    return Table(
        title="Slope of log SNR against log samples",
        columns=("method", "in", "generative", "theory", "", "inference", "theory", ""),
        rows=tuple(rows),
        notes=(
            f"At {sizes} samples, from {draws} draws of the gradient.",
            "± is the standard error of a fit to the sizes above the noise floor; - where fewer "
            "than three are.",
            f"pass: within {content['tolerance']:g} + 2 standard errors of theory, which holds for "
            "many effective samples.",
            *content.get("notes", []),
        ),
    )


def _found(group: dict[str, Any]) -> str:
    if group["slope"] is None:
        return "-"
    return f"{_signed(group['slope'])} ± {group['error']:.2f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _verdict(group: dict[str, Any]) -> str:
    short = {"under the noise floor": "floor", "no prediction": ""}
    return short.get(group["verdict"], str(group["verdict"]))


@style()
def ratios(content: dict[str, Any], quantity: str = "snr") -> Figure:
    """SNR (or DSNR) against samples, a panel per network, both axes logarithmic.

    The bars are 95 % intervals of the true ratio, which lies below a value near the
    noise floor; the gray band below is the noise floor.
    """
    figure = Figure(figsize=(WIDTH, 6.4), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    sizes = content["sizes"]
    for axes, network in zip(panels, _NETWORKS, strict=True):
        for place, line in enumerate(content["lines"]):
            group = line["groups"][network]
            axes.plot(sizes, np.array(group[quantity], float), **_line(place))  # null is NaN
            if quantity == "snr":
                color = _line(place)["color"]
                axes.vlines(sizes, group["low"], group["high"], color=color, lw=1)
        found = [v for line in content["lines"] for v in line["groups"][network][quantity]]
        values = [value for value in found if value is not None]
        if quantity == "snr":
            floor = content["lines"][0]["groups"][network]["floor"]
            axes.fill_between(sizes, 1e-9, floor, color="#7f7f7f", alpha=0.25, lw=0)
        _against_samples(axes, sizes)
        axes.set_ylim(0.6 * min(values, default=1), 1.6 * max(values, default=1))
        axes.set_title(f"{network} network" + ("" if values else ": -, fewer than 3 parameters"))
        axes.set_ylabel(quantity.upper())
    panels[1].set_xlabel("samples per datum")
    _legend(figure, [line["label"] for line in content["lines"]])
    return figure


@style()
def layers(content: dict[str, Any]) -> Figure:
    """SNR of the first, middle and last layer of each network, against K and against M.

    A panel for the first method along each.
    """
    lines = list({line["along"]: line for line in reversed(content["lines"])}.values())[::-1]
    names = [name for name in lines[0]["groups"] if "/" in name]
    figure = Figure(figsize=(WIDTH, 0.6 + 2.7 * len(lines)), layout="constrained")
    panels = figure.subplots(len(lines), 1, sharex=True, squeeze=False)[:, 0]
    for axes, line in zip(panels, lines, strict=True):
        for place, name in enumerate(names):
            axes.plot(content["sizes"], line["groups"][name]["snr"], **_line(place))
        _against_samples(axes, content["sizes"])
        axes.set_title(f"{line['label']}, against {line['along']}")
        axes.set_ylabel("SNR")
    panels[-1].set_xlabel("samples per datum")
    _legend(figure, [name.replace(".network.layers.", " ").replace("/", " ") for name in names])
    return figure


@style()
def histograms(content: dict[str, Any]) -> Figure:
    """Draws of one parameter's gradient for K = 1, 10, 100, 1000, a panel per network."""
    figure = Figure(figsize=(WIDTH, 5.2), layout="constrained")
    panels = figure.subplots(2, 1)
    for axes, network in zip(panels, _NETWORKS, strict=True):
        entries = [entry for entry in content["histograms"] if entry["network"] == network]
        # The widest tails would leave the rest a line: the axis holds all but 2 % of every K.
        edges = np.array([np.quantile(entry["draws"], [0.01, 0.99]) for entry in entries])
        bins = np.linspace(edges[:, 0].min(), edges[:, 1].max(), 40)
        for place, entry in enumerate(entries):
            color, dash, _ = STYLES[place % len(STYLES)]
            density, _ = np.histogram(entry["draws"], bins=bins, density=True)
            label = f"K = {entry['k']}"
            axes.stairs(density, bins, color=color, ls=dash, lw=1.4, label=label)
        axes.axvline(0, color="#7f7f7f", lw=0.8)
        axes.set_title(f"{network} network")
        axes.set_ylabel("density")
        axes.legend(handlelength=2.6)
    panels[1].set_xlabel("gradient of one parameter")
    return figure


@style()
def ess(content: dict[str, Any]) -> Figure:
    """The distribution over data of the effective sample size, a violin per method."""
    groups: dict[str, list[float]] = {}
    for entry in content["ess"]:
        groups.setdefault(plain(entry["label"], 24), []).extend(entry["ess"])
    samples = content["ess"][0]["samples"]
    figure = Figure(figsize=(WIDTH, 1.4 + 0.5 * len(groups)), layout="constrained")
    axes = figure.subplots()
    places = range(len(groups), 0, -1)
    logs = [np.log10(np.maximum(values, 1)) for values in groups.values()]
    drawn = axes.violinplot(
        logs, list(places), orientation="horizontal", showmedians=True, widths=0.8
    )
    for body, (color, *_) in zip(drawn["bodies"], STYLES * 9, strict=False):  # type: ignore[arg-type]
        body.set_facecolor(color)
        body.set_alpha(0.45)
    for part in ("cmedians", "cmins", "cmaxes", "cbars"):
        drawn[part].set_color("#24292f")
        drawn[part].set_linewidth(1)
    axes.set_yticks(list(places), list(groups))
    last = int(np.ceil(np.log10(samples)))
    axes.set_xticks(range(last + 1), [f"{10**power:,}" for power in range(last + 1)])
    axes.set_xlabel(f"effective sample size of {samples:,} samples, per datum")
    return figure


def _line(place: int) -> dict[str, Any]:
    """The style of line number `place`; a second round of the colors has hollow markers."""
    color, dash, marker = STYLES[place % len(STYLES)]
    face = color if place < len(STYLES) else "white"
    return {"color": color, "ls": dash, "marker": marker, "lw": 1.2, "markerfacecolor": face}


def _against_samples(axes: Axes, sizes: list[int]) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(sizes, [str(size) for size in sizes])
    logarithmic(axes)


def _legend(figure: Figure, names: list[str]) -> None:
    lines = [Line2D([], [], **_line(place)) for place in range(len(names))]
    columns = max(1, min(4, 52 // (max(map(len, names)) + 8)))
    figure.set_figheight(figure.get_figheight() + 0.2 * -(-len(names) // columns))
    figure.legend(lines, [plain(n) for n in names], loc="outside lower center", ncols=columns)
