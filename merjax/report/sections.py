"""Sections on what the run scored; `warn` are the words of a score whose epoch was chosen on what is tested."""

from html import escape

from merjax.report.charts import Evidence, parts
from merjax.report.markup import figure, interval, listed, many, score, scroll, share, table

RESAMPLED = "In brackets the 95&nbsp;% intervals from resampling subjects."


def headline(scores: dict, drawn: dict[str, str], warn: str) -> str:
    """The scores of the whole as cards, and those of every part with their intervals."""
    whole, seeds = scores["whole"], len(scores["seeds"])
    cards = [
        ("ACC", "share of clips recognised", score(whole["accuracy"]), f"of {many(whole['n'], 'clip')}"),
        ("UF1", "mean F1 of the classes", score(whole["uf1"]), interval(whole["uf1_interval"])),
        ("WF1", "their F1, weighted by clips", score(whole["wf1"]), interval(whole["wf1_interval"])),
        ("UAR", "mean recall of the classes", score(whole["uar"]), interval(whole["uar_interval"])),
    ]
    told = "".join(
        f"<div><dt><b>{name}</b> {meaning}</dt><dd><b>{value}</b><span>{more}</span></dd></div>"
        for name, meaning, value, more in cards
    )
    mean = f" Mean over {seeds} seeds." if seeds > 1 else ""
    words = f"Predictions pooled over all folds; in brackets the 95&nbsp;% interval from resampling subjects.{mean}"
    plots = "".join(f"<div>{drawn[f'intervals_{key}']}</div>" for key in ("uf1", "uar"))
    meaning = (
        "Dots are scores, bars their 95&nbsp;% intervals from resampling subjects. The dashed mark is chance, one over "
        "the number of classes present: a guess blind to the clip has that UAR, and a UF1 of at most about that."
    )
    pair = f'<div class="pair">{plots}</div>'
    return figure(f'<dl class="cards">{told}</dl>', words, warn) + figure(pair, meaning, warn)


def databases(scores: dict, warn: str) -> str:
    """Scores and class counts of every database."""

    def cells(part: dict) -> list[str]:
        pairs = [_pair(part, key) for key in ("uf1", "wf1", "uar")]
        return [str(part["n"]), str(part["subjects"]), score(part["accuracy"]), *pairs]

    def counts(part: dict) -> list[str]:
        each = [part["classes"].get(name, 0) for name in scores["classes"]]
        told = [f"{n} <span>{share(n / part['n'])}</span>" for n in each]
        return ["none" if name in part["absent"] else n for name, n in zip(scores["classes"], told, strict=True)]

    of = parts(scores)
    absent = "".join(
        f" {escape(name)} has no clip of {escape(listed(part['absent']))}: left out of its UF1 and UAR."
        for name, part in of.items()
        if part["absent"]
    )
    rows = {name: cells(part) for name, part in of.items()}
    if mean := scores.get("mean_of_databases"):
        rows["mean of databases"] = ["", "", score(mean["accuracy"]), "", "", _pair(mean, "uar")]
    scored = table("Scores", ["clips", "subjects", "ACC", "UF1", "WF1", "UAR"], rows)
    classes = table("Clips per class", scores["classes"], {name: counts(part) for name, part in of.items()})
    return figure(scored, RESAMPLED + absent, warn) + figure(classes, "Clips per class, and their share.")


def classes(scores: dict, warn: str) -> str:
    """Precision, recall and F1 of every class, over all databases."""
    whole = scores["whole"]
    keys = ("precision", "recall", "f1")
    rows = {
        name: [str(whole["classes"][name]), *(_pair(part, key) for key in keys)]
        for name, part in whole["per_class"].items()
        if name not in whole["absent"]
    }
    words = (
        f"Precision is the share of a class's predictions that is right, recall the share of its clips that is found, "
        f"F1 their harmonic mean. {RESAMPLED}"
    )
    return figure(table("Scores by class", ["clips", "precision", "recall", "F1"], rows), words, warn)


def selections(scores: dict) -> str:
    """The same run scored at every choice of the epoch."""

    def cells(one: dict) -> list[str]:
        more = score(one["uf1"] - scores["whole"]["uf1"])
        return [score(one["accuracy"]), *(_pair(one, key) for key in ("uf1", "uar")), more]

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
    return figure(table("Scores by the choice of the epoch", head, rows), words)


def seeds(scores: dict, warn: str) -> str:
    """Scores by seed, and how far they lie apart."""
    keys, runs = ("accuracy", "uf1", "wf1", "uar"), scores["whole"]["per_seed"]
    rows = {f"seed {run['seed']}": [score(run[key]) for key in keys] for run in runs}
    spans = ([run[key] for run in runs] for key in keys)
    rows["largest difference"] = [score(max(span) - min(span)) for span in spans]
    words = "The same run from different random starts: a difference between two methods of this size can be luck."
    return figure(table("Scores by seed", ["ACC", "UF1", "WF1", "UAR"], rows), words, warn)


def confusions(scores: dict, drawn: dict[str, str], warn: str) -> str:
    """The confusion matrix of the whole, and those of the databases folded away."""
    runs = len(scores["seeds"])
    summed = f" Summed over {runs} seeds, so every clip counts {runs} times." if runs > 1 else ""
    words = "Clips by true and predicted class, below each count its share of the row; the diagonal holds the recalls."

    def matrix(name: str, of: str) -> str:
        return figure(scroll("Confusion matrix", drawn[f"confusion_{name}"]), f"{of}{words}{summed}", warn)

    if len(parts(scores)) == 1:
        return matrix("all", "")
    each = "".join(matrix(name, f"{escape(name)}. ") for name in scores["databases"])
    more = f"<details><summary>Each database by itself</summary>{each}</details>"
    return matrix("all", "All together. ") + more


def subjects(scores: dict, drawn: dict[str, str], warn: str) -> str:
    """Every subject as a dot."""
    mean = f", the mean over {len(scores['seeds'])} seeds" if len(scores["seeds"]) > 1 else ""
    words = (
        f"Every dot is a subject, at the share of its clips that is recognised{mean}; its area grows with its clips. "
        "The dashed line is the share of all clips. Subjects with few clips scatter by chance alone: no score is a "
        "mean of these shares."
    )
    return figure(drawn["subjects"], words, warn)


def curves(scores: dict, evidence: Evidence, drawn: dict[str, str], warn: str) -> str:
    """Training loss, and UF1 on what is held out with the epochs that were chosen."""
    held_out, count = scores["held_out"], len(evidence.uf1)
    runs = f"Mean training loss of {many(len(evidence.loss), 'run')} (every seed and fold): median, and the band that"
    left = figure(drawn["loss"], f"{runs} holds the middle 80&nbsp;% of them.")
    if scores["select"] == "test":
        told = f"The scores are not read off the curve: each fold took the epoch that suits its own {held_out} best."
    else:
        told = "The curve is shown only to look at: it chose nothing."
    marked = (
        f"Dashed levels are the same run scored at the epochs whose bars stand below; the one chosen on the test "
        f"{held_out} is too high for an unseen person."
        if evidence.epochs
        else ""
    )
    lines = f"; thin lines {count} seeds, thick their median" if count > 1 else ""
    words = (
        f"UF1 pooled over the held-out {held_out}s after each epoch{lines}. {told} The last epoch is marked. {marked}"
    )
    return f'<div class="pair">{left}{figure(drawn["uf1"], words, warn)}</div>'


def calibration(scores: dict, drawn: dict[str, str], warn: str) -> str:
    """Whether the network is as sure as it is right."""
    runs = len(scores["seeds"])
    pooled = f" of {runs} seeds together" if runs > 1 else ""
    words = (
        f"Predictions{pooled} by the probability of the class predicted: a dot is the share of them that is right, on "
        "the dashed line where the two agree, below it where the network is too sure. The bars below the axis say how "
        f"many there are. Expected calibration error <b>{score(scores['calibration']['error'])}</b>: the mean distance "
        "from that line."
    )
    return figure(drawn["calibration"], words, warn)


def hardest(scores: dict, warn: str) -> str:
    """The clips whose true class gets least."""
    runs = len(scores["seeds"])

    def cells(one: dict) -> list[str]:
        instead = f"{escape(one['instead'])} <span>{one['instead_probability']:.3f}</span>"
        told = "itself" if one["instead"] == one["label"] else instead
        return [escape(one["label"]), f"{one['probability']:.3f}", told, f"{one['right']} of {runs}"]

    head = ["true class", "its probability", "class with most", "seeds right"]
    rows = {one["sample_id"]: cells(one) for one in scores["hardest"]}
    mean = f", mean over {runs} seeds" if runs > 1 else ""
    words = f"The clips whose true class gets the lowest probability{mean}: look at these first."
    return figure(table("Hardest clips", head, rows), words, warn)


def looked(scores: dict) -> str:
    """Which network looks at a clip of the gallery."""
    of = f" of seed {scores['seeds'][0]}" if len(scores["seeds"]) > 1 else ""
    whatever = ", whatever epoch was scored" if scores["select"] != "last" else ""
    return f"The network{of} that was tested on a clip looks at it, after the last epoch{whatever}."


def _pair(part: dict, key: str) -> str:
    return f"{score(part[key])} <span>{interval(part[f'{key}_interval'])}</span>"
