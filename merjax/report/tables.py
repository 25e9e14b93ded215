"""Tables as text, Markdown, LaTeX and a page; what a table says of how epochs were chosen goes with it everywhere."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from merjax.report.page import document

FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}"  # never wider than a line
LONG = 24  # letters of a cell that may be broken; a score with its interval has fewer
MORE = """
main { max-width: 1040px; } .warn { white-space: normal; } .pair { margin-bottom: 1rem; }
ol { color: var(--soft); font-size: 0.875rem; max-width: 44rem; } tbody th { min-width: 8.5rem; }
td.words { white-space: normal; min-width: 8rem; }
"""
SPECIAL = {
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    **{"–": "--", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
}


class Table(NamedTuple):
    """A table of words.

    Attributes:
        title: its heading.
        head: names of its columns; the first is that of the rows' names.
        rows: their cells.
        caption: what the numbers are.
        warn: what the caption must not be read without; empty for nothing.
        notes: numbered from 1; cells refer to them.
        figure: SVG that the page shows above it.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    warn: str = ""
    notes: tuple[str, ...] = ()
    figure: str = ""

    @property
    def numbered(self) -> list[str]:
        """Its notes with their numbers."""
        return [f"[{number}] {note}" for number, note in enumerate(self.notes, 1)]


def text(tables: Sequence[Table], remarks: Sequence[str]) -> str:
    """For the terminal."""
    lines = []
    for table in tables:
        rows = (table.head, *table.rows)
        widths = [max(len(row[i]) for row in rows) for i in range(len(table.head))]
        lines.append(table.title)
        for first, *cells in rows:
            told = [first.ljust(widths[0]), *(map(str.rjust, cells, widths[1:]))]
            lines.append(f"  {'  '.join(told)}".rstrip())
        lines += [
            f"  {line}" for line in (*table.numbered, " ".join(filter(None, (table.caption, table.warn)))) if line
        ]
        lines.append("")
    return "\n".join([*lines, *(f"note: {remark}" for remark in remarks)]).rstrip()


def markdown(title: str, tables: Sequence[Table], remarks: Sequence[str]) -> str:
    """As GitHub shows it."""
    parts = [f"# {_marked(title)}", *map(_marked, remarks)]
    for table in tables:
        rows = [
            tuple(map(_marked, table.head)),
            ("---", *("---:" for _ in table.head[1:])),
            *(map(_marked, row) for row in table.rows),
        ]
        parts += [f"## {_marked(table.title)}", "\n".join(f"| {' | '.join(row)} |" for row in rows)]
        parts += filter(None, (f"**{_marked(table.warn)}**" * bool(table.warn), _marked(table.caption)))
        parts += map(_marked, table.numbered)
    return "\n\n".join(parts) + "\n"


def _marked(words: str) -> str:
    for sign in "\\`*_|<[]":
        words = words.replace(sign, f"\\{sign}")
    return words


def latex(tables: Sequence[Table], remarks: Sequence[str]) -> str:
    """As floats of LaTeX with booktabs, shrunk where they are wider than a line; remarks stand as comments above."""
    lines = [r"% Needs \usepackage{booktabs} and \usepackage{graphicx}.", *(f"% {remark}" for remark in remarks)]
    for table in tables:
        caption = " ".join(filter(None, (f"{table.title}.", table.caption, table.warn)))
        longest = [max(map(len, column)) for column in zip(table.head, *table.rows, strict=True)]
        columns = ("p{0.22\\linewidth}" if longest[0] > LONG else "l") + "".join(
            "p{0.16\\linewidth}" if length > LONG else "r" for length in longest[1:]
        )
        rows = [r" & ".join(map(_escaped, row)) + r" \\" for row in (table.head, *table.rows)]
        rows = [(r"\raggedright " if longest[0] > LONG else "") + row for row in rows]
        size = "scriptsize" if len(table.head) > 8 else "footnotesize"
        lines += [
            "",
            r"\begin{table}",
            f"  \\centering\\{size}\\setlength{{\\tabcolsep}}{{4pt}}\\setlength{{\\belowcaptionskip}}{{4pt}}",
            f"  \\caption{{{_escaped(caption)}}}",
        ]
        lines += [f"  {FITTED}{{\\begin{{tabular}}{{{columns}}}", r"    \toprule", f"    {rows[0]}", r"    \midrule"]
        lines += [*(f"    {row}" for row in rows[1:]), r"    \bottomrule", r"  \end{tabular}}"]
        lines += [r"  \par\smallskip\footnotesize\raggedright"] * bool(table.notes)
        lines += [f"  {_escaped(note)}\\par" for note in table.numbered]
        lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


def _escaped(words: str) -> str:
    """Text as LaTeX; a bracket at the start of a row would be read as an argument of the row above."""
    told = "".join(SPECIAL.get(sign, sign) for sign in words)
    return f"{{}}{told}" if told.startswith("[") else told


def page(title: str, tables: Sequence[Table], remarks: Sequence[str]) -> str:
    """One self-contained page in the look of a run's report; it loads nothing from elsewhere and runs no script."""
    told = "".join(f"<li>{escape(remark)}</li>" for remark in remarks)
    body = f"<ul>{told}</ul>" * bool(told) + "".join(map(_section, tables))
    return document(title, f"<header><h1>{escape(title)}</h1></header>\n{body}", MORE)


def _section(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.head)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(map(_cell, cells))}</tr>' for name, *cells in table.rows
    )
    warn = f' <strong class="warn">{escape(table.warn)}</strong>' if table.warn else ""
    notes = f"<ol>{''.join(f'<li>{escape(note)}</li>' for note in table.notes)}</ol>" if table.notes else ""
    return (
        f"<section><h2>{escape(table.title)}</h2><figure>{table.figure}"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        f"<figcaption>{escape(table.caption)}{warn}</figcaption></figure>{notes}</section>\n"
    )


def _cell(words: str) -> str:
    kind = ' class="words"' if len(words) > LONG else ""
    return f"<td{kind}>{escape(words)}</td>"
