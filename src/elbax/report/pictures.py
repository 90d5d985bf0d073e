"""Panels of images as one figure."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elbax.evaluation.images import image_grid
from elbax.exhibits import Panel
from elbax.report.style import style
from elbax.report.tables import cut

_WIDE = 6.4  # inches; images take the whole page


@style()
def pictures(panels: Sequence[Panel]) -> Figure:
    """Panels of images: rows below each other where each is one row, else sheets.

    Args:
        panels: titles, images in [0, 1] (what lies outside is cut) and images per row.
    """
    in_rows = all(len(panel.images) == panel.columns for panel in panels) and len(panels) > 1
    return _strips(panels) if in_rows else _sheets(panels)


def _strips(panels: Sequence[Panel]) -> Figure:
    """Equal rows of images below each other, their titles to the left."""
    grids = [_grid(panel) for panel in panels]
    names = ["\n".join(textwrap.wrap(cut(panel.title, 34), 14)) for panel in panels]
    margin = 1.2  # inches, for the names
    high = (_WIDE - margin) * grids[0].shape[0] / grids[0].shape[1]
    pitch = max(high, 0.16 * max(name.count("\n") + 1 for name in names)) + 0.07
    figure = Figure(figsize=(_WIDE, pitch * len(grids)))
    for place, (name, grid) in enumerate(zip(names, grids, strict=True)):
        center = 1 - (place + 0.5) / len(grids)
        figure.text((margin - 0.12) / _WIDE, center, name, ha="right", va="center")
        height = high / (pitch * len(grids))
        place_ = (margin / _WIDE, center - height / 2, 1 - margin / _WIDE, height)
        _show(figure.add_axes(place_), grid)
    return figure


def _sheets(panels: Sequence[Panel]) -> Figure:
    """Panels under their titles: equal ones in rows of up to three, others side by side."""
    grids = [_grid(panel) for panel in panels]
    widths = [grid.shape[1] for grid in grids]
    equal = len(set(widths)) == 1
    columns = min(3, len(panels)) if equal else len(panels)
    rows = math.ceil(len(panels) / columns)
    wide = _WIDE * 2 / 3 if len(panels) == 1 else _WIDE * columns / max(columns, 3 - (columns == 2))
    tall = max(grid.shape[0] for grid in grids) / sum(widths[:columns]) * wide
    figure = Figure(figsize=(wide, (tall + 0.25) * rows))
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
    ratios = widths if not equal else [1] * columns
    axes = figure.subplots(rows, columns, squeeze=False, width_ratios=ratios).flat
    for panel, grid in zip(panels, grids, strict=True):
        place = next(axes)
        place.set_title(cut(panel.title, 22 if columns > 1 else 44), pad=4)
        _show(place, grid)
    for place in axes:
        place.set_axis_off()
    return figure


def _grid(panel: Panel) -> np.ndarray:
    """One picture of a panel; between its images the page shows."""
    images = np.clip(panel.images, 0, 1)
    if images.ndim == 3:
        return image_grid(images, panel.columns, fill=math.nan)
    opaque = np.concatenate([images, np.ones_like(images[..., :1])], axis=-1)
    return image_grid(opaque, panel.columns, fill=0.0)


def _show(axes: Axes, sheet: np.ndarray) -> None:
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="none", aspect="equal")
    axes.set_axis_off()
