"""One self-contained HTML page that tells what a run did and what it scored."""

import json
import math
import shlex
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from jaxtyping import Float

from merjax.report import figures
from merjax.report.gallery import Picture, gallery
from merjax.report.scores import chosen


def page(
    *,
    title: str,
    scores: dict,
    config: dict,
    environment: dict,
    loss: Float[np.ndarray, "runs epochs"],
    uf1: Float[np.ndarray, "seeds epochs"],
    pictures: dict[str, list[Picture]],
    vector: bool,
) -> str:
    """Builds the page; it loads nothing from elsewhere and runs no script.

    Args:
        title: its heading.
        scores: the content of scores.json. With `select` "test" every score says that its epoch was chosen on what is
            tested.
        config: the run's configuration, nested.
        environment: versions, devices, commit and the `command` that repeats the run.
        loss: mean training loss of every seed and fold after each epoch.
        uf1: pooled UF1 of all tested clips after each epoch, one row per seed.
        pictures: class name to some of its clips.
        vector: the channels of the inputs are flow (u right, v down, ...), not an image.

    Returns:
        The HTML text.
    """
    warn = f' <strong class="warn">[{chosen(scores)}]</strong>' if scores["select"] == "test" else ""
    parts = _parts(scores)
    body = [
        f"<header><h1>{escape(title)}</h1>{_summary(scores)}{_banner(scores)}</header>",
        _section("Scores", _headline(scores, warn), _interval_plots(scores, parts, warn)),
        _section("By database" if len(parts) > 1 else "The clips scored", _databases(scores, parts, warn)),
        _section("How the epoch is chosen", _selections(scores)) if len(scores["selections"]) > 1 else "",
        _section("By seed", _seeds(scores, warn)) if len(scores["whole"]["per_seed"]) > 1 else "",
        _section("Confusion", _confusions(scores, parts, warn)),
        _section("Learning curves", _curves(scores, loss, uf1, warn)) if loss.size and uf1.size else "",
        _section("What the network sees", gallery(pictures, vector, _looked(scores))) if any(pictures.values()) else "",
        _section("Left out and notes", _remarks(scores)) if scores["left_out"] or scores["notes"] else "",
        _section("Cost", _cost(scores)),
        _section("Configuration", _settings("All fields of the configuration", config)),
        _section("Environment", _settings("Versions, devices and commit", environment)),
        _section("How to repeat", _repeat(environment)) if environment.get("command") else "",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f'<meta name="color-scheme" content="light dark"><title>{escape(title)}</title>'
        f'<link rel="icon" href="data:,"><style>{CSS}</style></head>\n<body><main>\n'
        + "\n".join(filter(None, body))
        + "\n</main></body></html>\n"
    )


def _parts(scores: dict) -> dict[str, dict]:
    """What has a row of its own: the whole, and the databases unless the only one is the whole."""
    whole, databases = {"all together": scores["whole"]}, scores["databases"]
    return databases if len(databases) == 1 else whole | databases


def _summary(scores: dict) -> str:
    whole, seeds = scores["whole"], scores["seeds"]
    source = f" from {_listed(scores['databases'])}" if scores["databases"] else ""
    epoch = chosen(scores) if scores["select"] == "test" else f"{scores['select']} epoch scored"
    run = f"seed{'s' * (len(seeds) > 1)} {_listed(seeds)}"
    clips = f"{_many(whole['n'], 'clip')} of {_many(whole['subjects'], 'subject')}{source}"
    told = f"{clips} in {len(scores['classes'])} classes; {scores['protocol']}, {epoch}, {run}."
    return f'<p class="lead">{escape(told)}</p>'


def _banner(scores: dict) -> str:
    if scores["select"] != "test":
        return ""
    why = (
        f"Every held-out {scores['held_out']} was scored at the epoch that suits it best, so these scores are too high "
        "for an unseen one. Compare them only with scores that were chosen the same way."
    )
    return f'<p class="banner" role="note"><strong>Read with care: {chosen(scores)}.</strong> {why}</p>'


def _headline(scores: dict, warn: str) -> str:
    whole, seeds = scores["whole"], len(scores["seeds"])
    cards = [
        ("ACC", "share of clips recognised", _score(whole["accuracy"]), f"of {_many(whole['n'], 'clip')}"),
        ("UF1", "mean F1 of the classes", _score(whole["uf1"]), _interval(whole["uf1_interval"])),
        ("WF1", "their F1, weighted by clips", _score(whole["wf1"]), _interval(whole["wf1_interval"])),
        ("UAR", "mean recall of the classes", _score(whole["uar"]), _interval(whole["uar_interval"])),
    ]
    told = "".join(
        f"<div><dt><b>{name}</b> {meaning}</dt><dd><b>{value}</b><span>{more}</span></dd></div>"
        for name, meaning, value, more in cards
    )
    mean = f" Mean over {seeds} seeds." if seeds > 1 else ""
    words = f"Predictions pooled over all folds; in brackets the 95&nbsp;% interval from resampling subjects.{mean}"
    return _figure(f'<dl class="cards">{told}</dl>', words, warn)


def _interval_plots(scores: dict, parts: dict[str, dict], warn: str) -> str:
    def plot(key: str) -> str:
        rows = []
        for name, part in parts.items():
            low, high = part[f"{key}_interval"]
            present = len(scores["classes"]) - len(part["absent"])
            rows.append(figures.Interval(name, part[key], low, high, 1 / max(1, present)))
        return f"<div>{figures.intervals(rows, key.upper())}</div>"

    words = (
        "Dots are scores, bars their 95&nbsp;% intervals from resampling subjects. The dashed mark is chance, one over "
        "the number of classes present: a guess blind to the clip has that UAR, and a UF1 of at most about that."
    )
    return _figure(f'<div class="pair">{plot("uf1")}{plot("uar")}</div>', words, warn)


def _databases(scores: dict, parts: dict[str, dict], warn: str) -> str:
    def pair(part: dict, key: str) -> str:
        return f"{_score(part[key])} <span>{_interval(part[f'{key}_interval'])}</span>"

    def cells(part: dict) -> list[str]:
        pairs = [pair(part, key) for key in ("uf1", "wf1", "uar")]
        return [str(part["n"]), str(part["subjects"]), _score(part["accuracy"]), *pairs]

    def counts(part: dict) -> list[str]:
        return ["none" if name in part["absent"] else str(part["classes"].get(name, 0)) for name in scores["classes"]]

    absent = "".join(
        f" {escape(name)} has no clip of {escape(_listed(part['absent']))}: left out of its UF1 and UAR."
        for name, part in parts.items()
        if part["absent"]
    )
    head = ["clips", "subjects", "ACC", "UF1", "WF1", "UAR"]
    rows = {name: cells(part) for name, part in parts.items()}
    if mean := scores.get("mean_of_databases"):
        rows["mean of databases"] = ["", "", _score(mean["accuracy"]), "", "", pair(mean, "uar")]
    table = _table("Scores", head, rows)
    classes = _table("Clips per class", scores["classes"], {name: counts(part) for name, part in parts.items()})
    words = f"In brackets the 95&nbsp;% intervals from resampling subjects.{absent}"
    return _figure(table, words, warn) + _figure(classes, "Clips per class.")


def _selections(scores: dict) -> str:
    def cells(one: dict) -> list[str]:
        pairs = [f"{_score(one[key])} <span>{_interval(one[f'{key}_interval'])}</span>" for key in ("uf1", "uar")]
        return [_score(one["accuracy"]), *pairs, _score(one["uf1"] - scores["whole"]["uf1"])]

    rows = {
        one["words"] + " (counted here)" * (name == scores["select"]): cells(one)
        for name, one in scores["selections"].items()
    }
    of = scores["held_out"]
    words = (
        "The same predictions of the same run, counted at other epochs. "
        f'<strong class="warn">The row chosen on the test {of}</strong> is too high for an unseen person: it is here '
        "to show by how much, and to be compared with published scores that were chosen so, with none else."
    )
    head = ["ACC", "UF1", "UAR", "UF1 more than counted"]
    return _figure(_table("Scores by the choice of the epoch", head, rows), words)


def _seeds(scores: dict, warn: str) -> str:
    keys, runs = ("accuracy", "uf1", "wf1", "uar"), scores["whole"]["per_seed"]
    rows = {f"seed {run['seed']}": [_score(run[key]) for key in keys] for run in runs}
    spans = ([run[key] for run in runs] for key in keys)
    rows["largest difference"] = [_score(max(span) - min(span)) for span in spans]
    words = "The same run from different random starts: a difference between two methods of this size can be luck."
    return _figure(_table("Scores by seed", ["ACC", "UF1", "WF1", "UAR"], rows), words, warn)


def _confusions(scores: dict, parts: dict[str, dict], warn: str) -> str:
    seeds = len(scores["seeds"])
    summed = f" Summed over {seeds} seeds, so every clip counts {seeds} times." if seeds > 1 else ""
    words = "Clips by true and predicted class, below each count its share of the row; the diagonal holds the recalls."

    def drawn(part: dict, of: str) -> str:
        figure = figures.confusion(np.asarray(part["confusion"], np.int64), scores["classes"])
        return _figure(_scroll("Confusion matrix", figure), f"{of}{words}{summed}", warn)

    if len(parts) == 1:
        return drawn(scores["whole"], "")
    each = "".join(drawn(part, f"{escape(name)}. ") for name, part in scores["databases"].items())
    more = f"<details><summary>Each database by itself</summary>{each}</details>"
    return drawn(scores["whole"], "All together. ") + more


def _curves(scores: dict, loss: np.ndarray, uf1: np.ndarray, warn: str) -> str:
    held_out = scores["held_out"]
    runs = f"Mean training loss of {_many(len(loss), 'run')} (every seed and fold): median, and the band that holds"
    if warn:
        told = f"The scores are not read off here: each fold took the epoch that suits its own {held_out} best."
    else:
        told = "Shown only to look at: it chose nothing."
    seeds = f"; thin lines {len(uf1)} seeds, thick their median" if len(uf1) > 1 else ""
    left = _figure(figures.curves(loss, "training loss", band=True), f"{runs} the middle 80&nbsp;% of them.")
    chart = figures.curves(uf1, f"UF1, held-out {held_out}s", band=False, ceiling=1.0)
    words = f"UF1 pooled over the held-out {held_out}s after each epoch{seeds}. {told} The last epoch is marked."
    return f'<div class="pair">{left}{_figure(chart, words, warn)}</div>'


def _looked(scores: dict) -> str:
    """Which network looks at a clip of the gallery."""
    seeds = f" of seed {scores['seeds'][0]}" if len(scores["seeds"]) > 1 else ""
    chosen = ", whatever epoch was scored" if scores["select"] == "test" else ""
    return f"The network{seeds} that was tested on a clip looks at it, after the last epoch{chosen}."


def _remarks(scores: dict) -> str:
    notes, gone = (
        f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in scores[key])}</ul>" if scores[key] else ""
        for key in ("notes", "left_out")
    )
    many = len(scores["left_out"])
    state = " open" if many <= 10 else ""
    return notes + f"<details{state}><summary>{_many(many, 'clip')} left out</summary>{gone}</details>" * bool(many)


def _cost(scores: dict) -> str:
    wall, built = (_duration(scores[key]) for key in ("wall_seconds", "compile_seconds"))
    return f"<p>The run took <b>{wall}</b>. Compiling took <b>{built}</b>.</p>"


def _settings(summary: str, fields: dict) -> str:
    rows = "".join(
        f'<tr><th scope="row"><code>{escape(name)}</code></th><td><code>{escape(value)}</code></td></tr>'
        for name, value in _flat(fields)
    )
    table = _scroll(summary, f'<table class="fields"><tbody>{rows}</tbody></table>')
    return f"<details><summary>{escape(summary)}</summary>{table}</details>"


def _flat(fields: dict, prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in fields.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            yield f"{prefix}{key}", told


def _repeat(environment: dict) -> str:
    command = environment["command"]
    command = command if isinstance(command, str) else shlex.join(map(str, command))
    commit = f"<p>At commit <code>{escape(str(environment['commit']))}</code>:</p>" if environment.get("commit") else ""
    return f'{commit}<pre tabindex="0"><code>{escape(command)}</code></pre>'


def _section(heading: str, *content: str) -> str:
    return f"<section><h2>{escape(heading)}</h2>{''.join(content)}</section>"


def _figure(content: str, caption: str, warn: str = "") -> str:
    return f"<figure>{content}<figcaption>{caption}{warn}</figcaption></figure>"


def _scroll(label: str, content: str) -> str:
    # A keyboard can only scroll what it can reach.
    return f'<div class="scroll" tabindex="0" role="region" aria-label={_quoted(label)}>{content}</div>'


def _table(label: str, head: Sequence[str], rows: dict[str, list[str]]) -> str:
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for name, cells in rows.items()
    )
    return _scroll(label, f"<table><thead><tr><td></td>{top}</tr></thead><tbody>{body}</tbody></table>")


def _quoted(text: str) -> str:
    return f'"{escape(text)}"'


def _score(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"


def _interval(ends: Sequence[float]) -> str:
    return f"[{_score(ends[0])}, {_score(ends[1])}]"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _listed(names: Iterable[object]) -> str:
    *most, last = map(str, names)
    return f"{', '.join(most)} and {last}" if most else last


def _duration(seconds: float | int) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


CSS = """
:root { color-scheme: light dark; --paper: #fdfdfb; --ink: #1c2227; --soft: #5a656e; --line: #dde1e3; --wash: #f3f5f4;
  --accent: #1b6a8c; --warm: #b3622a; --alarm: #9c3d0c; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #14181b; --ink: #e3e7ea; --soft: #9ba7b0;
  --line: #30383e; --wash: #1c2226; --accent: #66b4d4; --warm: #d99058; --alarm: #f2a76f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif;
  -webkit-text-size-adjust: 100%; overflow-wrap: break-word; }
main { max-width: 960px; margin: 0 auto; padding: 3.5rem 1.5rem 5rem; }
h1 { font-size: clamp(1.6rem, 5vw, 2.2rem); line-height: 1.2; letter-spacing: -0.015em; font-weight: 650; margin: 0; }
h2 { font-size: 1.25rem; line-height: 1.3; font-weight: 650; margin: 3.25rem 0 1rem; padding-top: 1.25rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; font-weight: 600; margin: 1.75rem 0 0.6rem; }
p, ul { max-width: 44rem; margin: 0.75rem 0; } ul { padding-left: 1.2rem; } li { margin: 0.25rem 0; }
.lead { font-size: 1.1rem; color: var(--soft); }
.banner { max-width: none; padding: 0.9rem 1.1rem; border-left: 4px solid var(--alarm); background: var(--wash); }
.banner strong, .warn { color: var(--alarm); } .warn { font-weight: 600; white-space: nowrap; }
figure { margin: 1rem 0 1.75rem; min-width: 0; }
figcaption { color: var(--soft); font-size: 0.875rem; line-height: 1.5; max-width: 44rem; margin-top: 0.6rem; }
svg { display: block; max-width: 100%; height: auto; } .scroll svg { max-width: none; }
.scroll { overflow-x: auto; } .pair { display: grid; gap: 0.75rem 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: 1rem; margin: 0; }
.cards div { padding: 1rem 1.2rem; background: var(--wash); border-radius: 10px; }
dt, dd span, td span { color: var(--soft); } dt { font-size: 0.875rem; } dt b { color: var(--ink); }
dd { margin: 0; font-variant-numeric: tabular-nums; }
dd b { display: block; font-size: 2.3rem; line-height: 1.25; font-weight: 600; letter-spacing: -0.02em; }
dd span { font-size: 0.9rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.925rem; line-height: 1.4; }
th, td { padding: 0.45rem 0.8rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; white-space: normal; max-width: 9rem; }
tbody th { font-weight: 500; white-space: normal; min-width: 6rem; max-width: 16rem; }
tr > :first-child { text-align: left; padding-left: 0; }
.fields th, .fields td { text-align: left; white-space: normal; vertical-align: top; overflow-wrap: anywhere; }
code, pre { font: 0.85rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { padding: 0.9rem 1.1rem; background: var(--wash); border-radius: 8px; overflow-x: auto; }
summary { cursor: pointer; color: var(--accent); padding: 0.25rem 0; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 3px; }
.clip { margin: 0.75rem 0; padding: 0.9rem 1.1rem 1rem; background: var(--wash); border-radius: 10px; }
.clip figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1.5rem; max-width: none;
  margin: 0 0 0.7rem; color: var(--ink); font-variant-numeric: tabular-nums; }
.clip figcaption span { color: var(--soft); } .hit { color: var(--accent); } .miss { color: var(--alarm); }
.clip > div, .clip > div > div, .clip details > div { display: flex; flex-wrap: wrap; gap: 1rem 0.75rem; }
.clip > div { gap: 1rem 1.5rem; } .tile { width: 112px; } .clip details { margin-top: 0.6rem; }
.clip small { display: block; margin-top: 0.3rem; color: var(--soft); font-size: 0.75rem; line-height: 1.35;
  overflow-wrap: anywhere; font-variant-numeric: tabular-nums; } .clip small b { font-weight: 500; color: var(--ink); }
.ramp { display: flex; align-items: center; gap: 0.6rem; color: var(--soft); font-size: 0.875rem; }
img { display: block; width: 112px; height: auto; image-rendering: pixelated; border-radius: 4px;
  outline: 1px solid var(--line); outline-offset: -1px; }
@media (max-width: 560px) { main { padding: 2rem 1rem 3rem; } .cards { grid-template-columns: 1fr; }
  th, td { padding: 0.45rem 0.5rem; } td span { display: block; } tbody th { max-width: 8rem; } }
@media print { :root { --paper: #fff; }
  body { font-size: 10.5pt; } main { max-width: none; padding: 0; } figure, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .clip { border: 1px solid var(--line); } details::details-content { content-visibility: visible; block-size: auto; }
  * { print-color-adjust: exact; } }
"""
