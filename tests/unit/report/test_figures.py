import io

import numpy as np
import pytest
from PIL import Image

from elbax._errors import InputError
from elbax.exhibits import (
    DotsExhibit,
    HistogramExhibit,
    ImagesExhibit,
    LinesExhibit,
    Panel,
    PointsExhibit,
    TableExhibit,
    exhibit_of,
)
from elbax.report import figures, style

NAMES = ("VAE(64)", "IWAE(64)", "$x^{", "_hidden", "<b>&", "名前\nnew line", "long " * 20)


def lines_of(names=NAMES, **more):
    lines = [
        {"label": name, "x": [1, 2, 30], "y": [1.0 + i, None, 2.0 + i], "error": [0.1] * 3}
        for i, name in enumerate(names)
    ]
    return LinesExhibit("l", "Lines", "c", "epoch", "nats", lines, **more)


def dots_of(names=NAMES):
    rows = [{"label": name, "values": [-3.0, None, -1.0], "errors": [0.1, None, None]}
            for name in names]  # fmt: skip
    return DotsExhibit("d", "Dots", "c", "nats", ["a", "b", "c"], rows)


def histogram_of(names=NAMES, **more):
    panels = [
        {"title": name, "edges": [0, 1, 2], "mark": 0.5, "band": [0.5, 1.5],
         "lines": [{"label": f"K = {k}", "heights": [k, 2]} for k in (1, 10)]}
        for name in names
    ]  # fmt: skip
    return HistogramExhibit("h", "Histograms", "c", "x", "data", panels, **({"log": True} | more))


def images_of(names=NAMES, columns=2, color=False):
    shape = (4, 3, 3, 3) if color else (4, 3, 3)
    drawn = np.linspace(-0.1, 1.2, int(np.prod(shape))).reshape(shape)
    return ImagesExhibit("i", "Images", "c", [Panel(name, drawn, columns) for name in names])


def points_of(names=NAMES):
    """Panels of no point, one, two and so on, one of them far away."""
    panels = [
        {"title": name, "x": name, "y": "b", "across": [1e9, 0.0][:n], "up": [2.0, 3.0][:n]}
        for n, name in enumerate(names)
    ]  # fmt: skip
    return PointsExhibit("p", "Points", "c", panels, 2)


ALL = {
    "lines": lines_of,
    "dots": dots_of,
    "histogram": histogram_of,
    "images": images_of,
    "points": points_of,
}


@pytest.mark.parametrize("kind", ["png", "svg"])
@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_the_same_exhibit_gives_the_same_bytes(make, kind):
    first, second = (style.render(figures.figure_of(make()), kind) for _ in range(2))
    assert first == second
    assert not any(word in first for word in (b"Date", b"date>", b"Matplotlib", b"Software"))


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_labels_of_any_kind_are_drawn_as_they_are(make):
    figure = figures.figure_of(make())
    svg = style.render(figure, "svg").decode()
    for text in ("VAE(64)", "$x^{", "_hidden", "&lt;b&gt;&amp;", "long long"):
        assert text in svg
    style.render(figure, "png")


@pytest.mark.parametrize("num", [1, 2, 12])
@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_any_number_of_methods(make, num):
    figure = figures.figure_of(make([f"IWAE({place})" for place in range(num)]))
    assert Image.open(io.BytesIO(style.render(figure, "png"))).width > 300


@pytest.mark.parametrize(
    "more",
    [
        {"log_x": True, "ticks": [1, 30]},
        {"log_x": True, "log_y": True, "ticks": [1, 30], "floor": [0.1, 0.2]},
        {"levels": [{"label": "limit", "y": 3.0}]},
    ],
    ids=str,
)
def test_axes_are_as_the_exhibit_says(more):
    axes = figures.figure_of(lines_of(**more)).axes[0]
    assert axes.get_xscale() == ("log" if more.get("log_x") else "linear")
    assert axes.get_yscale() == ("log" if more.get("log_y") else "linear")
    if "ticks" in more:
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "30"]


def test_axes_of_one_thing_have_a_line_where_they_are_equal():
    axes = figures.figure_of(lines_of(equals=True)).axes[0]
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_ylim()[1] > 30
    assert any(line.get_slope() == 1 for line in axes.lines if hasattr(line, "get_slope"))


def test_bins_may_have_names_and_the_first_line_an_area():
    names = ["short", "a long name of a category", "x"]
    lines = [{"label": label, "heights": [1, 2, 3]} for label in ("data", "A")]
    panel = {"title": "t", "edges": [-0.5, 0.5, 1.5, 2.5], "names": names, "lines": lines}
    exhibit = HistogramExhibit("h", "t", "c", "x", "y", [panel], filled=True)
    axes = figures.figure_of(exhibit).axes[0]
    shown = [label.get_text() for label in axes.get_xticklabels()]
    assert (shown[0], shown[2]) == ("short", "x")
    assert [patch.get_fill() for patch in axes.patches] == [True, False, False]


def test_lines_with_bars_and_theory_say_their_values():
    line = {"label": "A", "x": [1, 4], "y": [1.0, 2.0], "low": [0.5, 1.5], "high": [1.5, 2.5]}
    exhibit = LinesExhibit("l", "t", "c", "k", "SNR", [line | {"theory": [1.0, 2.0]}], log_x=True)
    figure = figures.figure_of(exhibit)
    assert figures.hovers_of(figure) == {"hover-0": ["A: 1 at 1", "A: 2 at 4"]}
    assert b'id="hover-0"' in style.render(figure, "svg")


def test_points_that_are_missing_or_outside_of_the_axes_say_nothing():
    values = [-1e3, None, *np.linspace(-5, -4, 98)]
    line = {"label": "A", "x": list(range(100)), "y": values}
    figure = figures.figure_of(LinesExhibit("l", "t", "c", "epoch", "nats", [line]))
    [told] = figures.hovers_of(figure).values()
    assert 20 <= len(told) <= 40
    assert not any("-1000" in one for one in told)
    group = style.render(figure, "svg").decode().partition('id="hover-0"')[2]
    assert group.partition("<g id=")[0].count("<use ") == len(told)


def test_images_in_color_and_in_rows_are_drawn():
    for color in (False, True):
        for columns in (2, 4):
            style.render(figures.figure_of(images_of(columns=columns, color=color)), "png")
    panel = Panel("nan", np.full((2, 3, 3), np.nan), 2)
    style.render(figures.figure_of(ImagesExhibit("i", "t", "c", [panel])), "png")


def test_nothing_to_draw_is_refused():
    for exhibit in (
        lines_of(()),
        dots_of(()),
        histogram_of(()),
        images_of(()),
        TableExhibit("t", "Table", "", ("a",), [("b",)]),
    ):
        with pytest.raises(InputError, match="nothing to draw"):
            figures.figure_of(exhibit)


def test_save_goes_by_the_file_s_name(tmp_path):
    figure = figures.figure_of(dots_of())
    assert style.save(figure, tmp_path / "new" / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert b"<svg" in style.save(figure, str(tmp_path / "a.svg")).read_bytes()
    with pytest.raises(InputError, match="png or svg; got 'jpg'"):
        style.save(figure, tmp_path / "a.jpg")


def test_drawing_leaves_matplotlib_s_settings_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    figures.figure_of(lines_of())
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_what_an_exhibit_tells_is_read_back(make):
    exhibit = make()
    again = exhibit_of(exhibit.content(), exhibit.arrays())
    assert again.content() == exhibit.content()
    assert style.render(figures.figure_of(again), "svg") is not None


@pytest.mark.parametrize(
    ("make", "change", "error"),
    [
        (lines_of, lambda c: c["lines"][0].update(y=[1.0]), ValueError),
        (lines_of, lambda c: c["lines"][0].pop("x"), ValueError),
        (lines_of, lambda c: c["lines"][0].update(y=["one", "two", "three"]), ValueError),
        (dots_of, lambda c: c["rows"][0].update(values=[1.0]), ValueError),
        (histogram_of, lambda c: c["panels"][0].update(edges=[0]), ValueError),
        (histogram_of, lambda c: c["panels"][0].update(band=[0.1]), ValueError),
        (histogram_of, lambda c: c["panels"][0].update(names=["one"]), ValueError),
        (points_of, lambda c: c["panels"][0].update(up=[1.0]), ValueError),
        (points_of, lambda c: c.update(columns=0), ValueError),
        (images_of, lambda c: c["panels"][0].update(columns=0), ValueError),
        (images_of, lambda c: c["panels"][0].update(array="other"), KeyError),
        (lines_of, lambda c: c.update(kind="film"), KeyError),
    ],
)
def test_what_is_no_exhibit_is_refused(make, change, error):
    exhibit = make(["A"])
    content = exhibit.content()
    change(content)
    with pytest.raises(error):
        exhibit_of(content, exhibit.arrays())
