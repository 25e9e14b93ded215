"""What `merjax describe` tells: tables for the terminal, and the same as a page in the look of a run's report."""

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from merjax.data import account, schemes
from merjax.data.account import printable
from merjax.data.describe import Description, usable
from merjax.data.known import KNOWN, Documented
from merjax.data.loader import counted, some
from merjax.data.record import Record
from merjax.report.page import document

WHOLE = ".fields th, .fields td { overflow-wrap: break-word; }"  # a column is at least as wide as its longest word
MEANING = {
    "apex_unknown": "the sheet gives no apex",
    "apex_placeholder": "the apex is the onset or the offset",
    "apex_outside": "the apex lies before the onset or after the offset",
    "apex_suspect": "the apex is the frame after the onset",
    "onset_unknown": "the sheet gives no onset",
    "onset_zero": "the onset is 0, but files start later; taken as 1",
    "offset_zero": "the sheet gives no offset; taken as far behind the apex as the onset is before it",
    "offset_before_onset": "the offset lies before the onset",
    "known_repair:onset": "a known mistake of the sheet, put right",
    "known_repair:apex": "a known mistake of the sheet, put right",
    "known_repair:offset": "a known mistake of the sheet, put right",
    "range_from_folder": "sheet and folder differ; the folder's first and last frame are taken",
    "frame_missing:onset": "no frame has the onset's number; the nearest is taken",
    "frame_missing:apex": "no frame has the apex's number; the nearest is taken",
    "frame_missing:offset": "no frame has the offset's number; the nearest is taken",
    "frame_gap": "the number of frames is not that of the sheet",
    "folder_missing": "no folder with frames; the clip is left out",
    "folder_misplaced": "the folder lies with another subject",
    "frames_renumbered": "the files are numbered anew from 0 or 1, as many as from onset to offset; shifted back",
    "numbers_uncertain": "the files may be numbered anew: no apex is taken, and in most data sets no frame",
    "frames_outside": "no frame has a number from onset to offset; the clip is left out",
    "stray_images": "images with other names lie in the folder; they are no frames",
    "names_ambiguous": "two kinds of file names could be the frames; the clip is left out",
    "unreadable": "a folder can't be listed, or frames are cut short or damaged; they are passed over",
}


class Block(NamedTuple):
    """A part of a description as text: a heading, names of columns (none for a plain list), rows."""

    heading: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def blocks(description: Description) -> tuple[Block, ...]:
    """A description as text in parts, for the terminal and for the page."""
    made = (_overview(description), _labels(description), _faults(description), _schemes(description))
    return tuple(
        block._replace(rows=tuple(tuple(map(printable, row)) for row in block.rows)) for block in made if block.rows
    )


def _overview(description: Description) -> Block:
    found, documented = description.found, description.documented
    records, used = found.records, usable(description)
    lengths = [record.offset_idx - record.onset_idx + 1 for record in used]
    span = (
        f"; {min(lengths)} to {max(lengths)} a clip from onset to offset, mean {np.mean(lengths):.1f}" if used else ""
    )
    rates = sorted({record.fps for record in records if record.fps > 0})
    files = len({path for record in records for path in record.frames})
    looked = f", of {description.sizes.total()} clips looked at" if description.sizes.total() < len(records) else ""
    rows = [
        ("folder", str(found.root)),
        ("release", ", ".join(sorted({record.release for record in records}))),
        ("sheet", found.sheet.name if found.sheet else "none: labels are names of folders"),
        ("clips", f"{len(records)} of {_subjects(records)} subjects"),
        ("usable", f"{len(used)} of {_subjects(used)} subjects"),
        ("account", account.summed(records.account, len(used), 0, len(records) - len(used))),
        *(("besides", sentence) for sentence in account.beside([records.account], records)),
    ]
    if documented:
        people = f" of {documented.subjects} subjects" if documented.subjects else ""
        sure = "" if description.named else "; the sheet here has another name, but the nearest counts"
        told = f"{documented.clips}{people}, {documented.basis} ({documented.sheet}{sure})"
        rows.append(("documented", f"{told}; {_compared(records, documented)}"))
    rows += [
        ("frames", f"{files}{span}"),
        ("a second", ", ".join(f"{rate:g}" for rate in rates) or "not stated"),
        ("size", f"{_sizes(description.sizes)}{looked}"),
        ("apex", counted(Counter(record.apex_source for record in used))),
        ("licence", f"signed agreement required: {KNOWN[found.name].owner}"),
    ]
    return Block(KNOWN[found.name].title, (), tuple(rows))


def _compared(records: Sequence[Record], documented: Documented) -> str:
    more = len(records) - documented.clips
    people = _subjects(records) - documented.subjects if documented.subjects else 0
    parts = [
        f"{abs(n)} {what} {'more' if n > 0 else 'fewer'}" for n, what in ((more, "clips"), (people, "subjects")) if n
    ]
    return f"here {' and '.join(parts) or 'the same'}"


def _sizes(sizes: Counter[str]) -> str:
    if len(sizes) <= 3:
        return ", ".join(f"{size} ({count})" for size, count in sizes.most_common()) or "unknown"
    heights, widths = zip(*(map(int, size.split(" x ")) for size in sizes), strict=True)
    return f"{min(heights)} to {max(heights)} x {min(widths)} to {max(widths)}, {len(sizes)} different"


def _labels(description: Description) -> Block:
    counts = Counter(record.emotion or "none" for record in description.found.records)
    expected = description.documented.emotions if description.documented else {}
    names = sorted(set(counts) | set(expected), key=lambda name: (-counts[name], name))
    rows = tuple((name, str(counts[name]), str(expected.get(name, 0))) for name in names)
    if not expected:
        return Block("Labels", ("label", "clips"), tuple(row[:2] for row in rows))
    return Block("Labels", ("label", "clips", "documented"), rows)


def _faults(description: Description) -> Block:
    by_code: dict[str, list[str]] = {}
    for record in description.found.records:
        for code in dict.fromkeys(record.issues):
            by_code.setdefault(code, []).append(record.sample_id.partition("/")[2])
    rows = ((code, str(len(names)), MEANING.get(code, ""), some(names, 3)) for code, names in sorted(by_code.items()))
    return Block("Repairs and gaps", ("code", "clips", "meaning", "which"), tuple(rows))


def _schemes(description: Description) -> Block:
    used, documented, rows = usable(description), description.documented, list[tuple[str, ...]]()
    for name, scheme in schemes.SCHEMES.items():
        if not used or used[0].dataset not in scheme.groups:
            continue
        labels = [schemes.label(record, scheme) for record in used]
        kept = [record for record, label in zip(used, labels, strict=True) if label >= 0]
        each = Counter(scheme.classes[label] for label in labels if label >= 0)
        whole = scheme.counts.get(documented.sheet) if documented and len(scheme.groups) == 1 else None
        told = f"{whole[0]} of {whole[1]}" if whole else ""
        rows.append(
            (name, str(len(kept)), str(_subjects(kept)), ", ".join(f"{k} {each[k]}" for k in scheme.classes), told)
        )
    head = ("scheme", "clips", "subjects", "of each class", "documented")
    return Block("What each label scheme makes of it", head, tuple(rows))


def _subjects(records: Sequence[Record]) -> int:
    return len({(record.dataset, record.subject) for record in records})


def text(descriptions: Sequence[Description]) -> str:
    """Descriptions for the terminal."""
    lines = []
    for block in (block for description in descriptions for block in blocks(description)):
        table = [row for row in (block.head, *block.rows) if row]
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        lines += [block.heading, *("  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in table), ""]
    return "\n".join(lines).rstrip()


def page(descriptions: Sequence[Description]) -> str:
    """Builds the page; it loads nothing from elsewhere and runs no script.

    Args:
        descriptions: what was found, one part of the page each.

    Returns:
        The HTML text.
    """
    titles = [blocks(description)[0].heading for description in descriptions]
    title, root = f"What lies in {descriptions[0].found.root.name}", str(descriptions[0].found.root)
    title, lead = printable(title), escape(f"{', '.join(titles)} in {printable(root)}.")
    body = "".join(_section(block) for description in descriptions for block in blocks(description))
    head = f'<header><h1>{escape(title)}</h1><p class="lead">{lead}</p></header>'
    return document(title, f"{head}\n{body}", WHOLE)


def _section(block: Block) -> str:
    """One table; a plain list of names and values has no head."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in block.head)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in block.rows
    )
    table = f'<table class="fields">{f"<thead><tr>{head}</tr></thead>" * bool(head)}<tbody>{rows}</tbody></table>'
    heading = escape(block.heading)
    scroll = f'<div class="scroll" tabindex="0" role="region" aria-label="{heading}">{table}</div>'
    return f"<section><h2>{heading}</h2>{scroll}</section>\n"
