import re

import pytest

from elbax.exhibits import TableExhibit
from elbax.report.tables import to_html, to_markdown, to_text
from elbax.runs.comparison import comparison, runs


@pytest.mark.parametrize("num_methods", [1, 5, 8])
def test_text_fits_eighty_columns(results, num_methods):
    base = results["runs"][:3]
    results["runs"] = [
        {**run, "method": f"m{i}", "label": f"PIWAE({i}, 8)", "metrics": {
            **run["metrics"], "iwae_64": -1234.5 - i, "ess": 4321.5}}
        for i in range(num_methods) for run in base
    ]  # fmt: skip
    lines = to_text(comparison(results)).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(f"PIWAE({i}, 8)" in "\n".join(lines) for i in range(num_methods))
    assert max(map(len, to_text(runs(results)).splitlines())) <= 80


def test_text_survives_a_long_label(results):
    results["runs"][0]["label"] = "a label " * 30
    text = to_text(comparison(results))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" in text


def test_text_marks_what_is_in_bold(results, per_datum):
    table = comparison(results, per_datum)
    text = to_text(table)
    assert "*: the best log p-hat, and those within its error." in text
    assert text.count("*") == len(table.strong) + 1
    assert not any(line != line.rstrip() for line in text.splitlines())


EVIL = TableExhibit(
    name="evil",
    title="<b>&",
    caption="<u>",
    columns=("method", "gap_1"),
    rows=(('<script>"x"</script> | *a* `b`\n_c_', "1.0"),),
    notes=("<i>",),
    strong=((0, 1),),
    meanings={"gap_1": '"<s>'},
)


def test_html_escapes():
    html = to_html(EVIL)
    assert "<script" not in html
    assert "<b>" not in html
    assert not re.search("<[isu]>", html)
    assert "&lt;script&gt;&quot;x&quot;" in html
    assert '<td class="strong"><strong>1.0</strong></td>' in html
    assert '<th scope="row"' in html


def test_markdown_escapes():
    lines = to_markdown(EVIL).splitlines()
    assert lines[2] == r"| method | gap\_1 |"
    assert lines[4] == r'| \<script\>"x"\</script\> \| \*a\* \`b\` \_c\_ | **1.0** |'


def test_markdown_has_as_many_cells_in_each_row(results):
    lines = [line for line in to_markdown(comparison(results)).splitlines() if line[:1] == "|"]
    assert len(lines) == 7
    assert {line.count("|") for line in lines} == {10}


def test_points_stand_under_each_other_and_errors_too():
    rows = [("a", "-1.25 ± 0.5"), ("b", "30 ± 12.25"), ("c", "2"), ("d", "-")]
    html = to_html(TableExhibit("t", "t", "", ("method", "x"), rows))
    cells = [re.sub("<.*?>", "", cell) for cell in re.findall("<td>(.*?)</td>", html)]
    assert cells[0] == "-1.25 ± 0.5\u2007\u2007"
    assert cells[1] == "30\u2008\u2007\u2007 ± 12.25"
    assert len({len(cell.lstrip("-0123456789")) for cell in cells[:3]}) == 1
    assert cells[3] == "-"


def test_words_stand_on_the_left():
    rows = [("a", "reproduced", "1.5"), ("b", "not testable, since nothing finished", "2.5")]
    html = to_html(TableExhibit("t", "t", "", ("claim", "verdict", "x"), rows))
    assert '<td class="text short">reproduced</td>' in html
    assert '<td class="text">not testable' in html
    assert "<td>2.5</td>" in html
