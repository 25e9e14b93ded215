"""One self-contained HTML page that tells what a run did and what it scored."""

from html import escape

from merjax.report import account, sections
from merjax.report.charts import Evidence
from merjax.report.gallery import gallery
from merjax.report.markup import listed, many, section
from merjax.report.scores import MIXED, cautions, chosen


def page(
    *, title: str, scores: dict, config: dict, environment: dict, evidence: Evidence, drawn: dict[str, str]
) -> str:
    """Builds the page; it loads nothing from elsewhere and runs no script.

    Args:
        title: its heading.
        scores: the content of scores.json. Every score says that its epoch was chosen on what is tested, or that
            subjects are mixed, where that is so.
        config: the run's configuration, nested.
        environment: versions, devices, commit and the `command` that repeats the run.
        evidence: what is shown beside the scores.
        drawn: from `charts.charts`.

    Returns:
        The HTML text.
    """
    words = ", ".join(cautions(scores))
    warn = f' <strong class="warn">[{words}]</strong>' if words else ""
    noted = scores["left_out"] or scores["notes"]
    shown, told = evidence.pictures, sections.looked(scores)
    seen = gallery(shown, evidence.vector, told) if any(shown.values()) else ""
    several = len(scores["databases"]) > 1
    body = [
        f"<header><h1>{escape(title)}</h1>{_summary(scores)}{_banner(scores)}</header>",
        section("Scores", sections.headline(scores, drawn, warn)),
        section("What was run", account.run(scores, config, evidence.shape)),
        section("By database" if several else "The clips scored", sections.databases(scores, warn)),
        section("By class", sections.classes(scores, warn)),
        section("How the epoch is chosen", sections.selections(scores)) if len(scores["selections"]) > 1 else "",
        section("By seed", sections.seeds(scores, warn)) if len(scores["whole"]["per_seed"]) > 1 else "",
        section("Confusion", sections.confusions(scores, drawn, warn)),
        section("By subject", sections.subjects(scores, drawn, warn)) if "subjects" in drawn else "",
        section("Learning curves", sections.curves(scores, evidence, drawn, warn)) if "uf1" in drawn else "",
        section("Calibration", sections.calibration(scores, drawn, warn)),
        section("The hardest clips", sections.hardest(scores, warn)),
        section("What the network sees", seen) if seen else "",
        section("Left out and notes", account.remarks(scores), name="notes") if noted else "",
        section("Cost", account.cost(scores)),
        section("Configuration", account.settings("All fields of the configuration", config)),
        section("Environment", account.settings("Versions, devices and commit", environment)),
        section("How to repeat", account.repeat(environment)) if environment.get("command") else "",
    ]
    return document(title, "\n".join(filter(None, body)))


def document(title: str, body: str, style: str = "") -> str:
    """A whole page in the look of a report, which a browser keeps from loading anything.

    Args:
        title: of the page.
        body: HTML.
        style: more CSS.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f'<meta name="color-scheme" content="light dark"><title>{escape(title)}</title>'
        f'<link rel="icon" href="data:,"><style>{CSS}{style}</style></head>'
        f"\n<body><main>\n{body}\n</main></body></html>\n"
    )


def _summary(scores: dict) -> str:
    whole, seeds = scores["whole"], scores["seeds"]
    source = f" from {listed(scores['databases'])}" if scores["databases"] else ""
    epoch = "last epoch scored" if scores["select"] == "last" else chosen(scores)
    run = f"seed{'s' * (len(seeds) > 1)} {listed(seeds)}"
    clips = f"{many(whole['n'], 'clip')} of {many(whole['subjects'], 'subject')}{source}"
    told = f"{clips} in {len(scores['classes'])} classes; {scores['protocol']}, {epoch}, {run}."
    return f'<p class="lead">{escape(told)}</p>'


def _banner(scores: dict) -> str:
    warnings = {}
    if scores["select"] == "test":
        warnings[chosen(scores)] = (
            f"Every held-out {scores['held_out']} was scored at the epoch that suits it best, so these scores are too "
            "high for an unseen one. Compare them only with scores that were chosen the same way."
        )
    if scores["held_out"] == "part":
        warnings[MIXED] = (
            "Networks were tested on people that they were trained on, so these scores are too high for an unseen one. "
            "Compare them only with scores of clips that were split at random."
        )
    return "".join(
        f'<p class="banner" role="note"><strong>Read with care: {what}.</strong> {why}</p>'
        for what, why in warnings.items()
    )


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
.more { color: var(--soft); }
.fields th, .fields td { text-align: left; white-space: normal; vertical-align: top; overflow-wrap: anywhere; }
.fields th { min-width: 8rem; max-width: 20rem; }
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
  th, td { padding: 0.45rem 0.5rem; } td span:not(.more) { display: block; } tbody th { max-width: 8rem; } }
@media print { :root { --paper: #fff; }
  body { font-size: 10.5pt; } main { max-width: none; padding: 0; } figure, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; } .scroll { overflow: visible; } td span:not(.more) { display: block; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; } summary { display: none; }
  .clip { border: 1px solid var(--line); } details::details-content { content-visibility: visible; block-size: auto; }
  * { print-color-adjust: exact; } }
"""
