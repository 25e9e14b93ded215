"""The program `merjax`: what a user types.

    merjax train --config=FILE             trains and scores one experiment; `python run.py` is the same
    merjax sweep --config=FILE --out=FOLDER
                                           runs what is missing of the config's grid, fills a table: docs/experiments.md
    merjax prepare --config=FILE           makes every network input of an experiment and keeps it on disk
    merjax inputs CLIP --config=FILE       draws every input of one clip, `database/subject/clip`, as one picture
    merjax describe FOLDER                 tells which licensed data set lies in a folder, and what is amiss with it
    merjax compare RUN RUN ...             scores of finished runs with intervals, what their differences are worth
    merjax build FOLDER --out=PLACE        writes a licensed data set for TensorFlow Datasets: see docs/tfds.md

--config=FILE             the experiment, one of configs/; without it afn_synth.py: drawn faces, no data needed
--config.<field>=<value>  changes one field of it; `merjax train --help` lists all
--workdir=FOLDER          train: where results go, by default runs/<config>-<time>; the same command with the same
                          folder goes on after an interruption
--resume=false            train: begins anew in a folder that holds a run
--distributed=auto        train: one of several processes, found by SLURM, a TPU pod or Open MPI; elsewhere
                          --distributed=HOST:PORT,COUNT,NUMBER with the address of process 0: see docs/scaling.md
--deterministic           train: on a GPU the same bits in every run, with slower kernels: see docs/scaling.md
--out=FILE                inputs: the picture, by default inputs.svg; build and sweep: the folder to write in; compare:
                          the tables as .csv, .md, .tex or .html, see docs/compare.md
--together                compare: beside the runs, the mean of their probabilities as one more
--published               compare: beside the runs, published scores of the same protocol, with source and epoch rule
--only=TEXT               sweep: only points whose name contains it, such as model=vgg19
--beam=RUNNER             build: as an Apache Beam pipeline, such as DirectRunner
--html=FILE --json=FILE --faces=FILE.png
                          describe: writes the same as a page, every clip as data, the faces of all onset frames
--debug                   shows the traceback of an error
"""

import inspect
import io
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import cv2
import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict, config_flags

from merjax import cache, config_file, fields, loop, main, parallel, report, sweep
from merjax.config import check, check_names, default, recipe
from merjax.data import LICENSED, built, corpus, describe
from merjax.data.recognise import recognise
from merjax.files import write_bytes, write_json, write_text
from merjax.folder import new_folder, numbered, remove_empty
from merjax.ops import INPUTS
from merjax.prepare import Maker, can_give, given_parts, prepare
from merjax.report import compare as comparing
from merjax.report import compare_tables, finished
from merjax.report import describe as describing
from merjax.report.inputs import Card, picture
from merjax.report.published import Beside, beside
from merjax.types import Annotation, Dataset, InputError

CONFIGS = Path(__file__).parents[1] / "configs"  # in a checkout; a wheel brings none
STANDARD = CONFIGS / "afn_synth.py"
QUOTES = "'\""


def parse(argv: list[str], arguments: int = 0) -> tuple[ConfigDict, Path | None, list[str]]:
    """Reads the command line; other flags are left in absl's FLAGS.

    Args:
        argv: the command line, the program's name first.
        arguments: how many words that are no flags it takes.

    Returns:
        The config with its changes, its file (None if there is none), and those words.

    Raises:
        InputError: a file, flag or field that does not exist, or another number of words.
    """
    file, argv = config_path(argv)
    config = config_file.config(file) if file else default()
    fields.check(config, default())
    check_names(changed_fields(argv))
    try:
        # Defined here, not above: a default config takes its changes from the command line when it is defined.
        chosen = config_flags.DEFINE_config_dict("config", config, "the experiment", sys_argv=argv)
        flags.DEFINE_string("workdir", "", "the run's folder; by default runs/<config>-<time>")
        flags.DEFINE_bool("resume", True, "go on with the run that the folder holds")
        flags.DEFINE_string("distributed", "", "see above")
        flags.DEFINE_bool("deterministic", False, "see above")
        flags.DEFINE_string("out", "inputs.svg", "the picture to write")
        flags.DEFINE_bool("debug", False, "show the traceback of an error")
        words = flags.FLAGS(argv)[1:]
    except AttributeError as error:  # the name of a group in `own`: check_names knows all others
        raise InputError(f"the config has no field {str(error).strip(QUOTES)}") from error
    except (flags.Error, TypeError, ValueError) as error:  # ml_collections raises all of them
        raise InputError(" ".join(str(error).split())) from error
    if len(words) > arguments:
        raise InputError(f"'{words[arguments]}' is no flag; fields of the config are set as --config.<field>=<value>")
    return chosen.value, file, words


def config_path(argv: list[str]) -> tuple[Path | None, list[str]]:
    """The config file that a command line names, the standard one if it names none, and the rest of the line.

    Raises:
        InputError: there is no such file.
    """
    named, rest, words = None, list[str](), iter(argv)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in ("--config", "-config"):
            named = value if equals else next(words, "")
        else:
            rest.append(word)
    if named is None:
        return STANDARD if STANDARD.is_file() else None, rest
    if not os.path.isfile(named):
        there = ", ".join(f"configs/{path.name}" for path in sorted(CONFIGS.glob("*.py")))
        raise InputError(f"--config={named} is no file; experiments that come with merjax are {there}")
    return Path(named), rest


def changed_fields(argv: list[str]) -> list[str]:
    """The dotted names of the fields that a command line sets."""
    return [found[1] for word in argv if (found := re.match(r"--?(?:no)?config\.([^=]*)", word))]


def train(argv: list[str]) -> None:
    """Trains and scores an experiment, prints its scores."""
    config, file, _ = parse(argv)
    if flags.FLAGS.deterministic:
        parallel.fix_kernels()
    if flags.FLAGS.distributed:
        if not flags.FLAGS.workdir:
            raise InputError("--distributed needs --workdir=FOLDER, which all processes can write in")
        parallel.join(flags.FLAGS.distributed)
    named, runs = Path(flags.FLAGS.workdir) if flags.FLAGS.workdir else None, Path("runs")
    first = not runs.exists()
    # Two runs that begin in one second get two folders.
    workdir = named or new_folder(runs / f"{file.stem if file else 'default'}-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        scores = main.run(config, workdir, resume=flags.FLAGS.resume)
    except (KeyboardInterrupt, loop.Interruption) as error:
        leave(error, f"the same command with --workdir={workdir} goes on")
    finally:
        if named is None:  # where the run was refused, nothing is left of it
            remove_empty(workdir)
            if first:
                remove_empty(runs)
    if scores:
        print(report.summary(scores, workdir))


def leave(error: BaseException, how: str) -> NoReturn:
    """Ends an interrupted program with the status that the shell expects, and tells how to go on."""
    number = error.number if isinstance(error, loop.Interruption) else signal.SIGINT
    saved = str(error) if isinstance(error, loop.Interruption) else "interrupted"
    print(f"\n{saved}; {how}", file=sys.stderr)
    sys.exit(128 + number)


def run_grid(argv: list[str]) -> None:
    """Runs what is missing of a grid; exit status 2 if a point failed."""
    flags.DEFINE_string("only", "", "the points whose name contains it")
    config, file, _ = parse(argv)
    if file is None:
        raise InputError("sweep needs --config=FILE, a config file with a get_grid()")
    if not flags.FLAGS["out"].present:
        raise InputError("sweep needs --out=FOLDER, the folder to write in")
    points = sweep.points(config, config_file.grid(file), fixed=changed_fields(argv), only=flags.FLAGS.only)
    folder = Path(flags.FLAGS.out)
    try:
        points_run = sweep.sweep(points, folder, f"Sweep of {file.stem}", debug=flags.FLAGS.debug)
    except (KeyboardInterrupt, loop.Interruption) as error:
        leave(error, "the same command goes on")
    print(f"table in {folder / 'table.md'} and {folder / 'table.csv'}")
    if failed := [name for name, one in points_run.items() if one.scores is None]:
        raise InputError(f"{len(failed)} of {len(points_run)} points failed, {failed[0]}: {points_run[failed[0]].why}")


def make_inputs(argv: list[str]) -> None:
    """Makes every network input of an experiment and keeps it on disk."""
    config, _, _ = parse(argv)
    check(config)
    started = time.perf_counter()
    samples, _ = prepare(main.read(config), recipe(config))
    size = " x ".join(map(str, samples.x.shape))
    place = cache.folder() or "nowhere, since MERJAX_CACHE is empty"
    print(f"{config.input.name}: {size} (clips, streams, height, width, channels) in", end=" ")
    print(f"{time.perf_counter() - started:.1f} s; kept in {place}")


def draw_inputs(argv: list[str]) -> None:
    """Draws every input that one clip can feed, as one labelled picture."""
    config, _, words = parse(argv, 1)
    out = Path(flags.FLAGS.out)
    if not flags.FLAGS["out"].present:  # nobody has named the file, so none is replaced
        out = next(free for free in numbered(out) if not free.exists())
    if out.suffix != ".svg":
        raise InputError(f"--out={out} must end in .svg")
    check(config)
    dataset = main.read(config)
    annotation = find(dataset, words[0] if words else "")
    clip = dataset.load(annotation)
    cards = []
    if clip.frames is not None:
        found = given_parts(clip)
        apex = int(found["apex"])
        frames = np.stack([clip.frames[i] for i in (0, apex, -1)]) / 255.0
        caption = f"frames 1, {apex + 1} and {len(clip.frames)} of {len(clip.frames)}"
        cards.append(Card("onset, apex, offset", caption, frames, "image"))
    for name, made_by in INPUTS.items():
        if set(made_by.needs) <= set(can_give(tuple(given_parts(clip)))):
            one = recipe(config)._replace(input=name, arguments=config.input[name].to_dict())
            caption = (inspect.getdoc(made_by.make) or "").replace("`", "").partition("\n")[0].partition(". ")[0]
            cards.append(Card(name, caption, Maker(one)(clip), made_by.kind))
    write_text(out, picture(annotation.sample_id, cards))
    print(f"{len(cards)} pictures of {annotation.sample_id} in {out}")


def tell(argv: list[str]) -> None:
    """Tells what lies in a data set's folder; never writes there."""
    known = flags.FlagValues()
    flags.DEFINE_string("html", "", "the page to write", flag_values=known)
    flags.DEFINE_string("json", "", "the clips as JSON", flag_values=known)
    flags.DEFINE_string("faces", "", "the picture of all faces", flag_values=known)
    flags.DEFINE_bool("debug", False, "show the traceback of an error", flag_values=known)
    words = words_of(known, argv)
    if len(words) != 1:
        raise InputError(f"describe takes the folder of a data set, one word, and was given {len(words)}")
    outputs = {name: path_outside(f"--{name}", str(known[name].value), words[0]) for name in ("html", "json", "faces")}
    if outputs["faces"] and outputs["faces"].suffix.lower() not in (".png", ".jpg"):
        raise InputError(f"--faces={outputs['faces']} must end in .png or .jpg")
    found = describe.describe(words[0])
    print(describing.text(found))
    written = {
        "html": lambda path: write_text(path, describing.page(found)),
        "json": lambda path: write_json(path, describe.plain(found)),
        "faces": lambda path: write_bytes(path, encoded(describe.faces(found), path.suffix)),
    }
    for name, path in outputs.items():
        if path:
            written[name](path)
            print(f"{name} in {path}")


def compare(argv: list[str]) -> None:
    """Compares finished runs."""
    known = flags.FlagValues()
    flags.DEFINE_string("out", "", "the file to write", flag_values=known)
    flags.DEFINE_bool("published", False, "show published scores too", flag_values=known)
    flags.DEFINE_bool("together", False, "show the mean of the runs' probabilities too", flag_values=known)
    flags.DEFINE_bool("debug", False, "show the traceback of an error", flag_values=known)
    words = words_of(known, argv)
    if not words:
        raise InputError("compare takes the folders of finished runs, and was given none")
    runs = finished.read_runs([Path(word) for word in words])
    published = beside(runs) if known.published else Beside()
    if known.out:
        compare_tables.check_name(Path(known.out), runs, published)
    if known.together:
        runs += (finished.together(runs, "together"),)
    comparison = comparing.compare(runs)
    print(compare_tables.told(comparison, published))
    if known.out:
        compare_tables.write(Path(known.out), comparison, published)
        print(f"tables in {known.out}")


def words_of(known: flags.FlagValues, argv: list[str]) -> list[str]:
    """The words of a command line that are no flags, for a verb with flags of its own.

    Raises:
        InputError: a flag that is not known.
    """
    try:
        return known(argv)[1:]
    except flags.Error as error:
        raise InputError(" ".join(str(error).split())) from error


def build(argv: list[str]) -> None:
    """Writes a data set for TensorFlow Datasets; the config says which, by which labels, else it is recognised."""
    flags.DEFINE_string("beam", "", "runner of Apache Beam")
    config, _, words = parse(argv, 1)
    if not words or not flags.FLAGS["out"].present:
        raise InputError("build takes the folder of a data set and --out=PLACE, the folder to write in")
    built.library()
    from merjax.data import tfds_builders  # needs the library

    root, name = words[0], config.data.name
    if name not in (*LICENSED, *corpus.COMPOSITES):
        found = recognise(root)
        if len(found) > 1:
            parts = ", ".join(one.name for one in found)
            raise InputError(f"{root} holds {parts}; say which: --config.data.name, --config.data.<name>.part")
        root, part = str(found[0].root), found[0].name
        name = next(name for name, parts in LICENSED.items() if part in parts)
        config.data[name].part = part
    own = config.data[name].to_dict()
    dataset = own.pop("part", name) or LICENSED[name][0]
    choice = {field: value for field, value in own.items() if field not in ("apex", "crop", "size")}
    choice["repair"] = config.data.repair or "flag"
    runner = flags.FLAGS.beam
    chosen = tfds_builders.Config(name=dataset, dataset=dataset, choice=choice, beam=bool(runner))
    place = tfds_builders.build(root, flags.FLAGS.out, chosen, runner=runner)
    print(f"{dataset} is in {place}; use it as --config.data.name=tfds --config.data.root={place}")


def path_outside(flag: str, name: str, root: str) -> Path | None:
    """The path of a file to write; None if the flag is not given.

    Raises:
        InputError: the file would lie in the data set's folder.
    """
    if not name:
        return None
    folder, path = Path(root).expanduser().resolve(), Path(name).expanduser()
    if path.resolve().is_relative_to(folder):
        raise InputError(
            f"{flag}={name} lies in the data set's folder {folder}, where nothing is written; name another"
        )
    return path


def encoded(picture: np.ndarray, suffix: str) -> bytes:
    """A picture, RGB, as the content of a file."""
    return cv2.imencode(suffix, picture[..., ::-1])[1].tobytes()


def find(dataset: Dataset, name: str) -> Annotation:
    """The clip of a name.

    Raises:
        InputError: none has it; the message gives some that there are.
    """
    for annotation in dataset.clips:
        if name == annotation.sample_id:
            return annotation
    some = ", ".join(annotation.sample_id for annotation in dataset.clips[:3])
    raise InputError(f"CLIP is '{name}', which is none of the {len(dataset.clips)} clips, as {some}")


VERBS: dict[str, Callable[[list[str]], None]] = {
    "train": train,
    "sweep": run_grid,
    "prepare": make_inputs,
    "inputs": draw_inputs,
    "describe": tell,
    "compare": compare,
    "build": build,
}


def program() -> None:
    """The console program."""
    verb = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb in ("--help", "-h"):
        print(__doc__)
        return
    answer(lambda argv: choose(verb)(argv[:1] + argv[2:]))


def choose(verb: str) -> Callable[[list[str]], None]:
    """The function of a verb.

    Raises:
        InputError: there is no such verb.
    """
    if verb not in VERBS:
        raise InputError(f"'{verb}' is no command of merjax; they are {', '.join(VERBS)}")
    return VERBS[verb]


def answer(story: Callable[[list[str]], None]) -> None:
    """Does what the command line asks for; what the user got wrong is one sentence and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # its encoding may lack letters of the data's names, as on Windows
            stream.reconfigure(errors="backslashreplace")
    if {"--help", "-h"} & set(sys.argv):
        print(__doc__, default(), sep="\n")
        return
    jax.config.update("jax_num_cpu_devices", cores())  # every core is a device, so that folds run side by side
    cache.keep_programs()
    try:
        story(sys.argv)
    except InputError as error:
        if "--debug" in sys.argv:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def cores() -> int:
    """The cores that this process may use; where a system can't say, those of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
