"""Signal-to-noise as a table and as figures, from the content of an snr.json."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elbax.exhibits import NONE, Exhibit, HistogramExhibit, Line, LinesExhibit, TableExhibit

_NETWORKS = ("generative", "inference")
_MOST_LINES = 7  # in one figure, as many as there are colours that are told apart
_QUANTITIES = {
    "snr": (
        "SNR",
        "Mean over parameters of |mean| / sd of the gradient {of}, against samples; bars are 95 % "
        "intervals of the true ratio, and values in the gray band are noise.",
    ),
    "dsnr": (
        "DSNR",
        "Length of the gradient {of} along its mean over the length across it, against samples.",
    ),
}


def exhibits_of(content: dict[str, Any]) -> list[Exhibit]:
    """The figures that the content allows."""
    found: list[Exhibit] = []
    for quantity in _QUANTITIES:
        for network in _NETWORKS:
            found += ratios(content, quantity, network)
    found += layers(content)
    if content.get("histograms"):
        found.append(histograms(content))
    if content.get("ess"):
        found.append(ess(content))
    return found


def slopes(content: dict[str, Any]) -> TableExhibit:
    """One row per method: the slope of log SNR against log samples, predicted and found."""
    rows = []
    for line in content["lines"]:
        cells = [line["label"], line["along"]]
        for network in _NETWORKS:
            group = line["groups"][network]
            cells += [_found(group), _signed(group["predicted"]), _verdict(group)]
        rows.append(tuple(cells))
    sizes = ", ".join(map(str, content["sizes"]))
    draws = ", ".join(map(str, content["num_draws"]))
    return TableExhibit(
        "slopes",
        "Slope of log SNR against log samples",
        "",
        ("method", "in", "generative", "theory", "", "inference", "theory", ""),
        rows,
        (
            f"At {sizes} samples, from {draws} draws of the gradient.",
            "in: what grows, the K samples of one bound or the M bounds that are averaged.",
            "± is the standard error of a fit to the sizes above the noise floor; floor, and -: "
            "fewer than three are.",
            f"pass: within {content['tolerance']:g} + 2 standard errors of theory; off: not. "
            "Theory holds for many effective samples, which a trained run often lacks.",
            *content.get("notes", []),
        ),
    )


def ratios(content: dict[str, Any], quantity: str, network: str) -> list[LinesExhibit]:
    """SNR or DSNR of one network against samples, both axes logarithmic, a few methods each.

    Thin lines have the slope that theory predicts, and the height of what was measured.
    """
    short, caption = _QUANTITIES[quantity]
    of = f"of {content.get('model', {}).get('name', 'a run')}"
    shown = [
        _line(content, line["label"], line["groups"][network], quantity)
        for line in content["lines"]
        if any(value is not None for value in line["groups"][network][quantity])
    ]
    theory = " Thin: the slope that theory predicts." if quantity == "snr" else ""
    parts = _parts(shown)
    floor = content["lines"][0]["groups"][network]["floor"] if quantity == "snr" else ()
    return [
        LinesExhibit(
            f"{quantity}-{network}" + (f"-{place + 1}" if len(parts) > 1 else ""),
            f"{short} of the {network} network" + _of(place, len(parts)),
            caption.format(of=of) + theory,
            "samples per datum",
            short,
            part,
            log_x=True,
            log_y=True,
            ticks=content["sizes"],
            floor=floor,
        )
        for place, part in enumerate(parts)
    ]


def layers(content: dict[str, Any]) -> list[LinesExhibit]:
    """SNR of the first, middle and last layer of each network, against K and against M.

    A figure for the first method along each.
    """
    firsts = {line["along"]: line for line in reversed(content["lines"])}
    found = []
    for line in list(firsts.values())[::-1]:
        names = [name for name in line["groups"] if "/" in name]
        lines = [
            _line(content, name.replace(".network.layers.", " ").replace("/", " "), group, "snr")
            for name, group in line["groups"].items()
            if name in names
        ]
        if lines:
            found.append(
                LinesExhibit(
                    f"snr-layers-{line['along']}",
                    f"SNR by layer, {line['label']} against {line['along']}",
                    "First, middle and last layer of each network.",
                    "samples per datum",
                    "SNR",
                    lines,
                    log_x=True,
                    log_y=True,
                    ticks=content["sizes"],
                )
            )
    return found


def histograms(content: dict[str, Any]) -> HistogramExhibit:
    """Draws of one parameter's gradient for K = 1, 10, 100, 1000, a panel per network."""
    panels = []
    for network in _NETWORKS:
        entries = [entry for entry in content["histograms"] if entry["network"] == network]
        # The widest tails would leave the rest a line: the axis holds all but 2 % of every K.
        ends = np.array(
            [np.quantile(np.asarray(entry["draws"], float), [0.01, 0.99]) for entry in entries]
        )
        edges = np.linspace(ends[:, 0].min(), ends[:, 1].max(), 40)
        lines = [
            {"label": f"K = {entry['k']}", "heights": _density(entry["draws"], edges)}
            for entry in entries
        ]
        panels.append(
            {"title": f"{network} network", "edges": edges.tolist(), "lines": lines, "mark": 0.0}
        )
    return HistogramExhibit(
        "gradient-histograms",
        "Draws of a gradient",
        "One parameter of each network, by number of samples; the axis leaves out the last "
        "hundredth at both ends.",
        "gradient of one parameter",
        "density",
        panels,
    )


def ess(content: dict[str, Any]) -> HistogramExhibit:
    """The distribution over data of the effective sample size, a panel per method."""
    groups: dict[str, list[float]] = {}
    for entry in content["ess"]:
        groups.setdefault(entry["label"], []).extend(entry["ess"])
    samples = float(content["ess"][0]["samples"])
    edges = np.linspace(0, np.ceil(np.log10(samples)), 41)
    panels = []
    for label, values in groups.items():
        logs = np.log10(np.maximum(np.asarray(values, float), 1))
        median = float(np.median(values))
        panels.append(
            {
                "title": f"{label}: median {median:.3g}",
                "edges": edges.tolist(),
                "lines": [{"label": "", "heights": np.histogram(logs, bins=edges)[0].tolist()}],
                "mark": float(np.log10(max(median, 1.0))),
            }
        )
    return HistogramExhibit(
        "ess",
        "Effective sample size",
        f"Its distribution over held-out data, out of {samples:,} samples, by method; the line "
        "marks the median.",
        f"effective sample size of {samples:,}, per datum",
        "data",
        panels,
        log=True,
    )


def _line(content: dict[str, Any], label: str, group: dict[str, Any], quantity: str) -> Line:
    """One line with its intervals and, of a ratio that theory predicts, a slope beside it."""
    bars = {"snr": ("low", "high"), "dsnr": ("dsnr_low", "dsnr_high")}[quantity]
    sizes, values = content["sizes"], group[quantity]
    line: Line = {"label": label, "x": sizes, "y": values}
    line |= {name: group[key] for name, key in zip(("low", "high"), bars, strict=True)}
    known = [(size, v) for size, v in zip(sizes, values, strict=True) if v]
    if quantity == "snr" and group.get("predicted") is not None and known:
        logs = np.log([size for size, _ in known])
        height = np.mean(np.log([value for _, value in known]))
        middle = np.exp(height + group["predicted"] * (np.log(sizes) - logs.mean()))
        line["theory"] = middle.tolist()
    return line


def _parts(lines: Sequence[Line]) -> list[Sequence[Line]]:
    """The lines in groups of about equal size that a figure can hold."""
    count = max(1, -(-len(lines) // _MOST_LINES))
    size = max(1, -(-len(lines) // count))
    return [lines[start : start + size] for start in range(0, len(lines), size)]


def _of(place: int, count: int) -> str:
    return "" if count == 1 else f" ({place + 1} of {count})"


def _density(draws: Sequence[float], edges: np.ndarray) -> list[float]:
    heights = np.histogram(np.asarray(draws, float), bins=edges, density=True)[0]
    return np.nan_to_num(heights).tolist()


def _found(group: dict[str, Any]) -> str:
    if group["slope"] is None or group["error"] is None:
        return NONE
    return f"{_signed(group['slope'])} ± {group['error']:.2f}"


def _signed(value: float | None) -> str:
    return NONE if value is None else f"{value:+.2f}"


def _verdict(group: dict[str, Any]) -> str:
    short = {"under the noise floor": "floor", "no prediction": "", "fail": "off"}
    return short.get(group["verdict"], str(group["verdict"]))
