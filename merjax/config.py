"""The configuration that every experiment starts from: all fields, their types and defaults.

A section names its component (`model.name`) and holds the arguments of every component that it could name
(`model.afn.width`), taken from the signatures, so that any data set, input, network and loss can be combined from the
command line. `main` is the only reader.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable

from ml_collections import ConfigDict

from merjax import fields, parallel
from merjax.data import DATASETS
from merjax.loso import PROTOCOLS
from merjax.losses import LOSSES
from merjax.models import MODELS
from merjax.ops import INPUTS
from merjax.ops.edit import edit
from merjax.ops.optical_flow import FLOWS
from merjax.optim import DECAYED
from merjax.prepare import FLOW_NAMES, PHASES, Recipe, can_give, traced
from merjax.report import SELECT
from merjax.train import PRECISIONS
from merjax.types import InputError, pick
from merjax.views import choose

STREAMS = {1: "one stream", 2: "two streams"}


def default() -> ConfigDict:
    """A complete configuration; experiments change fields of it."""
    return ConfigDict(
        {
            "data": {
                "name": "synthetic",
                "root": "",  # folder of the data set
                # What is done about faulty clips; empty is "none" for a flow folder and "flag" for licensed data.
                # "none": an error, or, of licensed data, the sheet as it is; "flag": what is certain is put right, the
                # rest is kept and told; "strict": they are left out and listed.
                "repair": "",
                **{name: options(source.read) for name, source in DATASETS.items()},
            },
            "frames": options(edit),  # what is done to frames before an input is made
            "flow": {"name": "auto", "strain": "half", **{name: options(flow.compute) for name, flow in FLOWS.items()}},
            "input": {"name": "trdi_midi", **{name: options(entry.make) for name, entry in INPUTS.items()}},
            "model": {
                "name": "afn",
                "pretrained": "",  # weights to begin from: a .safetensors or .pth file, or hub:owner/model
                **{name: options(net) for name, net in MODELS.items()},
            },
            # Leave one subject out, leave one database out, or train on one database and test on another.
            "protocol": {
                "name": "loso",
                **{name: options(protocol.folds) for name, protocol in PROTOCOLS.items()},
            },
            "train": {
                "epochs": 30,
                "batch": 32,
                "optimizer": "adamw",
                "schedule": "onecycle",
                "lr": 3e-3,
                "warmup": 0.05,  # share of the steps in which the rate of the cosine schedule rises
                "weight_decay": 1e-2,
                "decay": "all",  # "all" parameters or "kernels" alone: no biases, norms and embeddings
                "average": 0.0,  # decay of an average of the weights, tested in their place; 0 for none
                "together": 1,  # networks, each with a seed of its own, whose probabilities are averaged
                "clip": 0.0,  # largest norm of the gradient; 0 for no limit
                "pretrained_lr": 1.0,  # factor of the learning rate of pretrained weights; 0 freezes them
                "loss": "cross_entropy",
                **{name: options(loss) for name, loss in LOSSES.items()},
                "class_weight": 0.5,  # power of the balanced class weights of a fold: 0 none, 1 balanced
                "flips": True,  # mirror images in training, and averaged with the clip in testing
                "shifts": 2,  # pixels
                # Of an input that is several views of a clip: those that are training images, and those whose
                # probabilities are averaged in testing; () for all.
                "views": (),
                "test_views": (),
                "degrees": 0.0,  # rotation
                "brightness": 0.0,  # of images; flow has none
                "contrast": 0.0,
                "precision": "float32",  # of what the network computes; or "tf32", or "bfloat16", see docs/scaling.md
                "remat": False,  # compute the network again for the gradient: less memory, more time
                "accumulate": 1,  # parts of a batch, one after another, that make a step: less memory
                "over_folds": "auto",  # how folds share devices, see docs/scaling.md
                "chunk": 0,  # rows (a fold under a seed) in memory at once; 0 for as many as fit
                "select": "last",  # "last" epoch; or "test": chosen on what is tested, to compare with published code
                # "inner": chosen on training subjects that are held out of the fold for it
                "inner_share": 0.2,  # of a fold's training subjects, for select = "inner"; OUR CHOICE
                "patience": 0,  # for "inner": epochs without improvement after which none is looked at; 0 for all
                "refit": True,  # for "inner": trains on the whole fold again for as many epochs as were chosen
                "save_seconds": 60.0,  # between checkpoints
            },
            "seed": 0,
            "seeds": 1,  # runs with seeds seed, seed + 1, ..., or as many ensembles of `train.together` seeds each
            "report": {"gallery": 3},  # clips of each class shown in the report
        }
    )


def options(function: Callable[..., object]) -> dict[str, object]:
    """Keyword arguments with defaults: those of a function after its `*`, or the fields of a network."""
    if dataclasses.is_dataclass(function):
        own = [field for field in dataclasses.fields(function) if field.name not in ("classes", "parent", "name")]
        return {field.name: field.default for field in own}
    parameters = inspect.signature(function).parameters.values()
    shared = ("phases", "repair")  # readers get these from the input and from a field that all of them share
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in shared}


def relevant(config: ConfigDict) -> dict:
    """The configuration without the arguments of components that it does not name: what a run's folder keeps."""
    kept = config.to_dict()
    if not config.model.pretrained:
        kept["model"].pop("pretrained")
        kept["train"].pop("pretrained_lr")
    if config.train.select != "inner":
        for name in ("inner_share", "patience", "refit"):
            kept["train"].pop(name)
    if config.train.together == 1:
        kept["train"].pop("together")
    if config.train.schedule != "cosine":
        kept["train"].pop("warmup")
    if not config.train.weight_decay:
        kept["train"].pop("decay")
    if not INPUTS[config.input.name].views:
        kept["train"].pop("views")
        kept["train"].pop("test_views")
    given = set(DATASETS[config.data.name].gives)
    if "frames" not in given or not edits(config):
        kept.pop("frames")
    if set(INPUTS[config.input.name].needs) <= (given - (set(PHASES) if config.flow.name != "auto" else set())):
        kept.pop("flow")
    for section, table, name in (
        ("data", DATASETS, config.data.name),
        ("flow", FLOWS, "tvl1" if config.flow.name == "auto" else config.flow.name),
        ("input", INPUTS, config.input.name),
        ("model", MODELS, config.model.name),
        ("protocol", PROTOCOLS, config.protocol.name),
        ("train", LOSSES, config.train.loss),
    ):
        for other in table if section in kept else ():
            if other != name or not kept[section][other]:
                kept[section].pop(other)
    return kept


def edits(config: ConfigDict) -> dict:
    """The arguments of `ops.edit.edit` where it is asked to change something, else none."""
    asked = config.frames.equalise != "none" or config.frames.alpha != 0 or config.frames.interpolate != "none"
    return config.frames.to_dict() if asked else {}


def recipe(config: ConfigDict) -> Recipe:
    """How the config makes a clip's input."""
    method = "tvl1" if config.flow.name == "auto" else config.flow.name
    return Recipe(
        input=config.input.name,
        arguments=config.input[config.input.name].to_dict(),
        edit=edits(config),
        flow=config.flow.name,
        flow_arguments=config.flow[method].to_dict(),
        strain=config.flow.strain,
    )


def check_names(names: Iterable[str]) -> None:
    """Refuses dotted names of fields that no config has, as a command line or a grid gives them.

    Raises:
        InputError: an unknown field; the sentence names the nearest that exists.
    """
    standard = default()
    for name in names:
        if sentence := fields.unknown(name, standard):
            raise InputError(sentence)


def check(config: ConfigDict) -> None:
    """Refuses what can't work before any work is done: unknown names, parts that don't fit, impossible numbers.

    Raises:
        InputError: one sentence that names the field and says what would be right.
    """
    fields.check(config, default())
    source = pick(DATASETS, "data.name", config.data.name)
    made_by = pick(INPUTS, "input.name", config.input.name)
    net = pick(MODELS, "model.name", config.model.name)(classes=2, **config.model[config.model.name])
    pick(LOSSES, "train.loss", config.train.loss)
    pick(DECAYED, "train.decay", config.train.decay)
    pick(SELECT, "train.select", config.train.select)
    held_out = pick(PROTOCOLS, "protocol.name", config.protocol.name).held_out
    if held_out == "database" and not source.several:
        several = [name for name, other in DATASETS.items() if other.several]
        raise InputError(
            f"protocol.name '{config.protocol.name}' needs several databases, and data.name '{config.data.name}' is "
            f"one; data sets that can hold several are {', '.join(several)}"
        )
    parallel.strategy(config.train.over_folds)
    for field, value in (
        ("train.epochs", config.train.epochs),
        ("train.batch", config.train.batch),
        ("train.together", config.train.together),
        ("seeds", config.seeds),
    ):
        if value < 1:
            raise InputError(f"{field} is {value}; it must be at least 1")
    pick(PRECISIONS, "train.precision", config.train.precision)
    if config.train.accumulate < 1 or config.train.batch % config.train.accumulate:
        raise InputError(
            f"train.accumulate is {config.train.accumulate}; it must divide train.batch, which is {config.train.batch}"
        )
    if not 0 < config.train.inner_share < 1:
        raise InputError(f"train.inner_share is {config.train.inner_share}; it must be above 0 and below 1")
    for field in ("average", "warmup"):
        if not 0 <= config.train[field] < 1:
            raise InputError(f"train.{field} is {config.train[field]}; it must be at least 0 and below 1")
    pick(dict.fromkeys(FLOW_NAMES), "flow.name", config.flow.name)
    parts = can_give(source.gives)
    missing = [part for part in made_by.needs if part not in parts]
    if missing:
        fits = [name for name, other in INPUTS.items() if set(other.needs) <= set(parts)]
        raise InputError(
            f"input.name '{config.input.name}' needs {', '.join(missing)}, which data.name '{config.data.name}' "
            f"does not hold; inputs that fit are {', '.join(fits)}"
        )
    if "frames" not in source.gives and (config.flow.name != "auto" or edits(config)):
        field = "flow.name" if config.flow.name != "auto" else "frames"
        raise InputError(f"{field} is set, but data.name '{config.data.name}' holds no frames; leave it as it is")
    traced(recipe(config))
    choose(made_by.views, config.train.views, config.train.test_views)
    if net.streams not in (None, made_by.streams):
        fits = [name for name, other in INPUTS.items() if other.streams == net.streams]
        raise InputError(
            f"model.name '{config.model.name}' takes {STREAMS[net.streams]} and input.name '{config.input.name}' "
            f"gives {STREAMS[made_by.streams]}; inputs that fit are {', '.join(fits)}"
        )
    if config.data.root and not source.folder:
        folders = [name for name, other in DATASETS.items() if other.folder]
        raise InputError(
            f"data.root is '{config.data.root}' but data.name '{config.data.name}' reads no folder; "
            f"data sets that do are {', '.join(folders)}"
        )
