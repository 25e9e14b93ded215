"""Which input survives what, on drawn faces: pooled UF1 of a network under every set and every disturbance.

    python benchmarks/disturbances.py --out=FOLDER
    python benchmarks/disturbances.py --out=FOLDER --model=papers --epochs=25 --lr=1e-3
    python benchmarks/disturbances.py --out=FOLDER --model=off_apexnet --inputs=onset_apex,cof

With "papers" every input has a network that its paper has, or else ResNet-18, in a small form; there are three rows
more that the papers' claims need, and a table of these claims: paired differences in every column.

Leave one subject out over 10 subjects, 64 x 64 pixels, last epoch, with the 95 % interval from resampling subjects. The
undisturbed clips have a still head and light and no noise, and every column turns one dial alone. Flow is TV-L1 of the
frames and not the known flow, so that light, noise and compression can harm it. Images are scaled with zero kept at
zero, unless `--scale=minmax` says otherwise. Prints two Markdown tables, an input at
a time: the sets, whose classes differ in other things, and the disturbances of the first set. A run that stands in
FOLDER is not made again. The scores say what an input can see, and nothing about people.
"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from merjax import config, metrics
from merjax import main as story
from merjax.models import MODELS
from merjax.report.compare import compare
from merjax.report.finished import read_run

SETS = {  # column: fields of data.synthetic
    "actions": {},
    "units": {"task": "units", "clips_per_class": 2},
    "fall": {"task": "fall"},
    "order": {"task": "order"},
}
DISTURBANCES = {
    "none": {},
    "flicker 5 %": {"flicker": 0.05},
    "light 10 %": {"light": 0.1},
    "drift 1 %": {"drift": 1.0},
    "shake 0.5 %": {"shake": 0.5},
    "noise 8": {"noise": 8.0},
    "blur 4 %": {"blur": 4.0},
    "JPEG 30": {"jpeg": 30},
    "apex 20 late": {"apex_late": 20},
    "onset 5 late": {"onset_late": 5},
}
SIZE = {"subjects": 10, "clips_per_class": 4, "size": 64, "drift": 0.0, "light": 0.0, "noise": 0.0}
NETWORKS = {"linear": {"grid": 32}}  # fields of the model: a moved edge is two signs, which coarser cells average out
SMALL = {"width": 8, "blocks": (1, 1, 1), "stem": "small"}
VGG = ("vgg19", {"width": 8, "blocks": (1, 1, 1), "hidden": 64})
MEGANET = ("meganet", {"stem_width": 8, "widths": (16, 32, 64), "stem": "small"})
PAPERS = {  # every input that is shown: a network of its paper, and the fields of that
    "apex": ("resnet18", SMALL),
    "onset_apex_difference": (
        "micro_attention",
        {"stem_width": 8, "widths": (16, 32), "hidden": 32, "stem": "small"},
    ),
    "active_image": ("resnet18", SMALL),
    "dynamic_image": MEGANET,
    "rise_dynamic_image": ("resnet18", SMALL),
    "phase_dynamic_images": ("dianet", {**SMALL, "attention": 16}),
    "midi": ("afn", {**SMALL, "grid": 3, "fusion": "none"}),
    "trdi_midi": ("afn", {**SMALL, "grid": 3}),
    "mesti": MEGANET,
    "onset_apex": VGG,
    "apex_offset": VGG,
    "two_phases": ("fmanet", {**SMALL, "grid": 3, "blocks": (1, 1), "norm": "group"}),
    "cof": VGG,
    "mm_cof": ("resnet18", SMALL),
    "dynamic_flow": ("resnet18", SMALL),
}
WHOLE = {"views": ("whole",), "test_views": ("whole",)}
COMPARED = {  # more rows, an input and after the colon what is else about it: network, its fields, fields of training
    "onset_apex:resnet18": ("resnet18", SMALL, {}),
    "dynamic_views:whole": ("resnet18", SMALL, WHOLE),
    "dynamic_views:with_phases": ("resnet18", SMALL, {**WHOLE, "views": ("whole", "rise", "fall")}),
}
CLAIMS = {  # what a paper holds to be better, and than what; papers by their numbers in docs/experiments.md
    "1 COF, VGG19: both phases minus the rise": ("cof", "onset_apex"),
    "2 dual-phase: with the phases' images minus without, ResNet-18": (
        "dynamic_views:with_phases",
        "dynamic_views:whole",
    ),
    "3 DIANet minus ResNet-18 on the whole clip's image": ("phase_dynamic_images", "dynamic_views:whole"),
    "3 DIANet minus ResNet-18 on the rise's image": ("phase_dynamic_images", "rise_dynamic_image"),
    "4 AFN: TRDI with MIDI minus MIDI": ("trdi_midi", "midi"),
    "4 AFN minus ResNet-18 on TRDI": ("trdi_midi", "dynamic_views:whole"),
    "5 MM-COF, ResNet-18: both phases minus the rise": ("mm_cof", "onset_apex:resnet18"),
    "5 FMANet minus ResNet-18 on MM-COF": ("two_phases", "mm_cof"),
    "6 MEGANet: MESTI minus the dynamic image": ("mesti", "dynamic_image"),
}


def experiment(given: argparse.Namespace, name: str, fields: dict[str, object]) -> ConfigDict:
    """One cell of the table."""
    c = config.default()
    c.data.synthetic.update({**SIZE, **fields})
    c.input.name, c.flow.name = name.partition(":")[0], "tvl1"
    if given.model == "papers":
        c.model.name, changes, training = COMPARED[name] if name in COMPARED else (*PAPERS[name], {})
    else:
        c.model.name, changes, training = given.model, NETWORKS.get(given.model, {}), {}
    if "scale" in c.input[c.input.name]:
        c.input[c.input.name].scale = given.scale
    c.model[c.model.name].update(changes)
    c.train.update(training)
    c.train.epochs, c.train.lr, c.report.gallery = given.epochs, given.lr, 0
    return c.lock()


def place(given: argparse.Namespace, name: str, column: str) -> Path:
    """The folder of a run; the two tables share the undisturbed clips of the first set."""
    case = "none" if column == "actions" else column.replace(" ", "_").replace("%", "percent")
    return given.out / f"{given.model}-{given.scale}" / case / name.replace(":", "_")


def cell(folder: Path, c: ConfigDict) -> str:
    """UF1 with its interval, from the folder if the same run stands there."""
    path, made = folder / "scores.json", folder / "config.json"
    same = path.exists() and json.loads(made.read_text()) == json.loads(json.dumps(config.relevant(c)))
    if not same:
        with contextlib.redirect_stdout(sys.stderr):  # the table has standard output for itself
            story.run(c, folder)
    whole = json.loads(path.read_text())["whole"]
    low, high = whole["uf1_interval"]
    return f"{whole['uf1']:.2f} [{low:.2f}, {high:.2f}]"


def claims(given: argparse.Namespace, names: Sequence[str]) -> list[str]:
    """Differences in UF1 that the papers' claims are about, starred where p is < 0.05, by Holm over all of a claim."""
    columns = (*SETS, *[column for column in DISTURBANCES if column != "none"])
    shown = {claim: pair for claim, pair in CLAIMS.items() if set(pair) <= set(names)}
    cells = []
    for pair in shown.values():
        runs = [[read_run(place(given, name, column), name) for name in pair] for column in columns]
        found = [one for each in runs for one in compare(each).differences if one.score == "uf1"]
        corrected = metrics.holm(np.array([one.p for one in found]))
        cells.append(
            [
                "{:+.2f} [{:+.2f}, {:+.2f}]".format(*one.estimate) + " \\*" * bool(p < 0.05)
                for one, p in zip(found, corrected, strict=True)
            ]
        )
    lines = [f"| | {' | '.join(shown)} |", "| --- |" + " --- |" * len(shown)]
    return lines + [f"| {' | '.join(row)} |" for row in zip(columns, *cells, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Which input survives what, on drawn faces.")
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps every run")
    parser.add_argument("--model", default="linear", choices=(*MODELS, "papers"))
    parser.add_argument("--inputs", help="names with commas between; all by default")
    parser.add_argument("--scale", default="symmetric", choices=("symmetric", "minmax"), help="of images")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--lr", type=float, default=1e-2)
    given = parser.parse_args()
    os.environ.setdefault("MERJAX_CACHE", str(given.out / "inputs"))
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    jax.config.update("jax_compilation_cache_dir", str(given.out / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)

    names = given.inputs.split(",") if given.inputs else [*PAPERS, *(COMPARED if given.model == "papers" else ())]
    print(
        f"{given.model}, images {given.scale}, {given.epochs} epochs, learning rate {given.lr:g}, jax {jax.__version__}"
    )
    with tqdm(total=len(names) * (len(SETS) + len(DISTURBANCES)), unit="run") as bar:
        for columns in (SETS, DISTURBANCES):
            bar.write(f"\n| input | {' | '.join(columns)} |\n| --- |{' --- |' * len(columns)}")
            for name in names:
                row = []
                for column, fields in columns.items():
                    bar.set_postfix_str(f"{name}, {column}")
                    row.append(cell(place(given, name, column), experiment(given, name, fields)))
                    bar.update()
                bar.write(f"| `{name}` | {' | '.join(row)} |")
    if given.model == "papers":
        print("\n" + "\n".join(claims(given, names)))


if __name__ == "__main__":
    main()
