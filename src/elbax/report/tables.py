"""A table as text, Markdown, LaTeX or HTML."""

import html
import re
import textwrap
from collections.abc import Sequence

from elbax.exhibits import NONE, TableExhibit

WIDTH = 80  # columns of a terminal
_GAP = "  "  # between two columns of text
_PROSE = 28  # characters from which a cell is read as a sentence, not as a number
_SHORT = 18  # up to which a text is not broken
_LABEL = 36  # the widest method label that leaves room for numbers in WIDTH
# A number, its decimals, its error: what stands under each other in a column.
_NUMBER = re.compile(r"([-+]?\d[\d,]*)(\.\d+)?(\s.*)?")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def to_text(table: TableExhibit) -> str:
    """Plain text within 80 columns: columns that do not fit beside each other go below.

    What is in bold elsewhere is marked with `*`.
    """
    strong = _strong(table)
    # A column without a mark has no place for one either.
    marked = [any((row, col) in strong for row in range(len(table.rows))) for col in _cols(table)]
    cells = [
        [cut(row[0]), *(_marked(row[c], (r, c) in strong, marked[c]) for c in _cols(table)[1:])]
        for r, row in enumerate(table.rows)
    ]
    header = [name + " " * place for name, place in zip(table.columns, marked, strict=True)]
    widths = [max(len(line[i]) for line in [header, *cells]) for i in range(len(header))]
    lines = [*textwrap.wrap(table.title, WIDTH)]
    for panel in _panels(widths):
        body = [_line([line[i] for i in panel], [widths[i] for i in panel]) for line in cells]
        head = _line([header[i] for i in panel], [widths[i] for i in panel])
        lines += ["", head, "-" * max(len(line) for line in [head, *body]), *body]
    notes = [note for note in (table.caption, *_notes(table, "*")) if note]
    return "\n".join([*lines, "", *(line for note in notes for line in textwrap.wrap(note, WIDTH))])


def in_pairs(lines: Sequence[tuple[str, str]]) -> str:
    """Pairs of sentences within 80 columns, the second under the first."""
    wrapped = []
    for first, second in lines:
        wrapped += textwrap.wrap(first, WIDTH, subsequent_indent="  ")
        wrapped += textwrap.wrap(second, WIDTH, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(wrapped)


def to_markdown(table: TableExhibit) -> str:
    """A GitHub-flavored Markdown table."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    strong = _strong(table)
    rows = [
        [
            f"**{_escape(cell)}**" if (r, c) in strong else _escape(cell)
            for c, cell in enumerate(row)
        ]
        for r, row in enumerate(table.rows)
    ]
    rule = [":---", *("---:" for _ in table.columns[1:])]
    body = [line([_escape(name) for name in table.columns]), line(rule), *map(line, rows)]
    return "\n".join(
        [f"**{_escape(table.title)}**", "", *body, "", *map(_escape, _notes(table, "Bold"))]
    )


def to_latex(table: TableExhibit) -> str:
    r"""A LaTeX tabular that needs no package; notes as comments.

    >>> print(to_latex(TableExhibit("a", "A_1", "", ("method", "x"), [("VAE", "-1 ± 2")])))
    % A_1
    \begin{tabular}{lr}
    \hline
    method & x \\
    \hline
    VAE & $-1 \pm 2$ \\
    \hline
    \end{tabular}
    <BLANKLINE>
    """
    strong = _strong(table)
    comments = [f"% {' '.join(line.split())}" for line in (table.title, *_notes(table, "Bold"))]
    head = " & ".join(_escaped(name) for name in table.columns)
    rows = [
        " & ".join(
            _escaped(cell) if c == 0 else _latex_cell(cell, (r, c) in strong)
            for c, cell in enumerate(row)
        )
        for r, row in enumerate(table.rows)
    ]
    return "\n".join(
        [
            *comments,
            rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            r"\hline",
            rf"{head} \\",
            r"\hline",
            *(rf"{row} \\" for row in rows),
            r"\hline",
            r"\end{tabular}",
            "",
        ]
    )


def to_html(table: TableExhibit, *, titled: bool = True) -> str:
    """An HTML `<table>` with a caption, if `titled`, and its notes as a list; all is escaped."""
    strong = _strong(table)
    columns = [[row[col] for row in table.rows] for col in _cols(table)]
    prose, pads = (
        [table.words or _is_prose(column) for column in columns],
        [_decimals(one) for one in columns],
    )
    head = "".join(
        _th(name, table.meanings.get(name), words)
        for name, words in zip(table.columns, prose, strict=True)
    )
    rows = [
        "".join(
            _td(cell, c == 0, prose[c], (r, c) in strong, pads[c]) for c, cell in enumerate(row)
        )
        for r, row in enumerate(table.rows)
    ]
    title = html.escape(table.title)
    parts = [
        f"<p>{html.escape(table.caption)}</p>" * bool(table.caption),
        f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">',
        '<table class="sortable">',
        f"<caption>{title}</caption>" * titled,
        f"<thead><tr>{head}</tr></thead>",
        "<tbody>",
        *(f"<tr>{row}</tr>" for row in rows),
        "</tbody>",
        "</table></div>",
    ]
    if notes := _notes(table, "Bold"):
        told = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
        parts.append(f'<ul class="notes">{told}</ul>')
    return "\n".join(part for part in parts if part)


def _cols(table: TableExhibit) -> range:
    return range(len(table.columns))


def _strong(table: TableExhibit) -> set[tuple[int, int]]:
    return {(row, column) for row, column in table.strong}


def _notes(table: TableExhibit, mark: str) -> list[str]:
    """The notes, which speak of bold cells, as this kind of text marks them."""
    return [re.sub("^Bold", mark, note) for note in table.notes]


def _marked(cell: str, strong: bool, place: bool) -> str:
    return cell + (" *"[strong] if place else "")


def cut(label: str, most: int = _LABEL) -> str:
    """One line; of a long label its ends, for labels often differ in their last words.

    >>> cut("iwae(k=64) from vae(m=1) lr 0.001", 16)
    'iwae(k=64)…0.001'
    """
    label = " ".join(label.split())
    if len(label) <= most:
        return label
    end = most // 3
    return f"{label[: most - 1 - end]}…{label[-end:]}"


def _panels(widths: list[int]) -> list[list[int]]:
    """Split columns 1.. into groups that fit into WIDTH, each led by column 0."""
    panels: list[list[int]] = []
    used = WIDTH + 1
    for column, width in enumerate(widths[1:], start=1):
        used += len(_GAP) + width
        if used > WIDTH:
            panels.append([0])
            used = widths[0] + len(_GAP) + width
        panels[-1].append(column)
    return panels


def _line(cells: list[str], widths: list[int]) -> str:
    numbers = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return _GAP.join([cells[0].ljust(widths[0]), *numbers]).rstrip()


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|&~])", r"\\\1", " ".join(text.split()))


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))


def _latex_cell(cell: str, strong: bool) -> str:
    if cell == NONE:
        return "--"
    text = cell.replace("±", r"\pm")
    numeric = not any(sign.isalpha() for sign in cell)
    if not numeric:
        text = _escaped(cell)
        return rf"\textbf{{{text}}}" if strong else text
    return rf"$\mathbf{{{text}}}$" if strong else f"${text}$"


def _is_prose(cells: Sequence[str]) -> bool:
    """Whether a column holds words, which stand on the left, rather than numbers."""
    words = [cell for cell in cells if cell not in ("", NONE)]
    numbers = sum(bool(_NUMBER.fullmatch(cell)) and len(cell) <= _PROSE for cell in words)
    return 2 * numbers < len(words)


def _decimals(cells: Sequence[str]) -> tuple[int, int]:
    """The most decimals and the longest error of a column."""
    found = [match for cell in cells if (match := _NUMBER.fullmatch(cell))]
    return (
        max((len(match[2] or "") for match in found), default=0),
        max((len(match[3] or "") for match in found), default=0),
    )


def _th(name: str, meaning: str | None, prose: bool) -> str:
    kind = ' class="text"' if prose else ""
    title = f' title="{html.escape(meaning)}"' if meaning else ""
    return f'<th scope="col"{kind}{title}>{html.escape(name)}</th>'


def _td(cell: str, first: bool, prose: bool, strong: bool, pads: tuple[int, int]) -> str:
    short = prose and len(cell) <= _SHORT
    kinds = [kind for kind, on in (("text", prose), ("short", short), ("strong", strong)) if on]
    attribute = f' class="{" ".join(kinds)}"' if kinds else ""
    text = html.escape(cell) if prose else _aligned(cell, pads)
    if strong:
        text = f"<strong>{text}</strong>"
    tag, scope = ("th", ' scope="row"') if first else ("td", "")
    return f"<{tag}{scope}{attribute}>{text}</{tag}>"


def _aligned(cell: str, pads: tuple[int, int]) -> str:
    """A number with its decimals and its error filled up, so that points stand under each other."""
    match = _NUMBER.fullmatch(cell)
    if match is None:
        return html.escape(cell)
    decimals, error = match[2] or "", match[3] or ""
    # A figure space is as wide as a digit, a punctuation space as a point.
    filled = decimals or "\u2008" * (pads[0] > 0)
    filled += "\u2007" * (pads[0] - len(filled))
    if not pads[1]:
        return f"{match[1]}{filled}"
    padded = html.escape(error + "\u2007" * (pads[1] - len(error)))
    return f'{match[1]}{filled}<span class="error">{padded}</span>'
