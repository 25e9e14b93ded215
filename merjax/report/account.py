"""Sections on the run itself: what was run, what was left out, what it took, how to repeat it."""

import json
import shlex
from collections.abc import Iterable
from html import escape

from merjax.report.markup import duration, facts, listed, many, scroll, share, whole_number
from merjax.report.scores import chosen


def run(scores: dict, config: dict, shape: tuple[int, ...]) -> str:
    """What was run, as a small table."""
    whole, own, train, plan = scores["whole"], config["data"], config["train"], scores["plan"]
    streams, height, width, channels = shape
    classes = ", ".join(f"{escape(name)} {n} ({share(n / whole['n'])})" for name, n in whole["classes"].items())
    gone, notes = len(scores["left_out"]), len(scores["notes"])
    told = [many(notes, "note")] * bool(notes) + ["the list"] * bool(gone)
    see = f'; see <a href="#notes">{listed(told)}</a>' if told else ""
    repair = f"policy <code>{escape(own['repair'])}</code>; " if own.get("repair") else ""
    smooth = "" if not train["class_weight"] else f", class weights to the power of {train['class_weight']:g}"
    size = f"{many(streams, 'stream')} of {height} × {width} × {channels}"
    start = config["model"].get("pretrained")
    rows = {
        "data": f"<b>{escape(own['name'])}</b>: {_of(scores)}",
        "classes": classes,
        "repairs": f"{repair}{many(gone, 'clip')} left out{see}",
        "input": f"<b>{escape(config['input']['name'])}</b>: {size}{_arguments(config['input'])}",
        "network": f"<b>{escape(config['model']['name'])}</b>: {whole_number(plan['parameters'])} parameters"
        f", begun {f'from {escape(start)}' if start else 'at random'}{_arguments(config['model'])}",
        "training": f"{many(train['epochs'], 'epoch')}, batches of {train['batch']}, {escape(train['optimizer'])}, "
        f"rate {train['lr']:g} ({escape(train['schedule'])}), {escape(train['loss'])}{smooth}",
        "protocol": escape(scores["protocol"]),
        "epoch scored": escape(chosen(scores)),
        "random starts": f"seed{'s' * (len(scores['seeds']) > 1)} {listed(scores['seeds'])}",
    }
    return facts("What was run", {name: [cell] for name, cell in rows.items()})


def _of(scores: dict) -> str:
    whole = scores["whole"]
    each = [f"{escape(name)} {part['n']}" for name, part in scores["databases"].items()]
    told = f" ({', '.join(each)})" if len(each) > 1 else ""
    return f"{many(whole['n'], 'clip')}{told} of {many(whole['subjects'], 'subject')}"


def _arguments(section: dict) -> str:
    own = section.get(section["name"]) or {}
    told = ", ".join(f"{name}={json.dumps(value, default=str)}" for name, value in own.items())
    return f' <span class="more">{escape(told)}</span>' if told else ""


def remarks(scores: dict) -> str:
    """Notes on clips, and the clips left out with their reasons."""
    notes, gone = (
        f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in scores[key])}</ul>" if scores[key] else ""
        for key in ("notes", "left_out")
    )
    count = len(scores["left_out"])
    state = " open" if count <= 10 else ""
    return notes + f"<details{state}><summary>{many(count, 'clip')} left out</summary>{gone}</details>" * bool(count)


def cost(scores: dict) -> str:
    """What the run took."""
    plan = scores["plan"]
    rows = {
        "time": [f"{duration(scores['wall_seconds'])}, of it {duration(scores['compile_seconds'])} to compile"],
        "multiply-adds": [f"{whole_number(plan['multiply_adds_a_step'])} for a training step of one fold"],
        "memory": [f"about {plan['gib_a_device']} GiB on each device, as estimated before the run"],
        "trainings": [
            f"{many(plan['rows'], 'training')} (a fold under a seed), {plan['rows_at_once']} at once, "
            f"on {many(plan['devices'], 'device')} by <code>{escape(plan['over_folds'])}</code>"
        ],
    }
    return facts("Cost", rows)


def settings(summary: str, fields: dict) -> str:
    """All fields of a nested dictionary, folded away."""
    rows = "".join(
        f'<tr><th scope="row"><code>{escape(name)}</code></th><td><code>{escape(value)}</code></td></tr>'
        for name, value in _flat(fields)
    )
    table = scroll(summary, f'<table class="fields"><tbody>{rows}</tbody></table>')
    return f"<details><summary>{escape(summary)}</summary>{table}</details>"


def _flat(fields: dict, prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in fields.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            yield f"{prefix}{key}", told


def repeat(environment: dict) -> str:
    """The command, and the commit to give it at."""
    command = environment["command"]
    command = command if isinstance(command, str) else shlex.join(map(str, command))
    commit = f"<p>At commit <code>{escape(str(environment['commit']))}</code>:</p>" if environment.get("commit") else ""
    return f'{commit}<pre tabindex="0"><code>{escape(command)}</code></pre>'
