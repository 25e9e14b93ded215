"""Trains and scores one experiment: every subject is left out once, and one network per subject is trained on the rest.

    python run.py                                              drawn faces, no data needed, a few minutes
    python run.py --config=configs/fmanet_megc2019.py --config.data.root=FOLDER --config.seeds=3
    python run.py --config.train.epochs=20 --workdir=runs/mine

--config=FILE             the experiment, one of configs/
--config.<field>=<value>  changes one field of it; all fields and their defaults are listed below
--workdir=FOLDER          where results go, by default runs/<config>-<time>; the same command with the same folder goes
                          on after an interruption
--debug                   shows the traceback of an error
"""

import os
import sys
import time
from pathlib import Path

import jax
from absl import flags
from ml_collections import ConfigDict, config_flags

from merjax import main
from merjax.config import check_fields, default
from merjax.report import summary
from merjax.types import InputError

CONFIGS = Path(__file__).parent / "configs"


def parse(argv: list[str]) -> tuple[ConfigDict, str, str]:
    """The config with its changes, the path of its file, and the run's folder if one was given."""
    for argument in argv:
        file = argument.removeprefix("--config=")
        if file != argument and not Path(file).is_file():
            known = ", ".join(f"configs/{path.name}" for path in sorted(CONFIGS.glob("*.py")))
            raise InputError(f"--config={file} is no file; experiments that come with merjax are {known}")
    check_fields(argv)
    try:
        # Defined here, not above: a default config takes its changes from the command line when it is defined.
        config = config_flags.DEFINE_config_file(
            "config", str(CONFIGS / "afn_synth.py"), "the experiment; see configs/"
        )
        workdir = flags.DEFINE_string("workdir", "", "the run's folder; by default runs/<config>-<time>")
        flags.DEFINE_bool("debug", False, "show the traceback of an error")
        rest = flags.FLAGS(argv)[1:]
        chosen = config.value
        chosen.lock()  # a file that failed to load says so at the first touch
    except flags.Error as error:
        raise InputError(" ".join(str(error).split())) from error
    except Exception as error:  # a config file is Python and can fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"the config can't be loaded: {reason}") from error
    if rest:
        raise InputError(f"'{rest[0]}' is no flag; fields of the config are set as --config.<field>=<value>")
    return chosen, config_flags.get_config_filename(flags.FLAGS["config"]), workdir.value


def story(argv: list[str]) -> None:
    """Parses the command line, runs the experiment, prints its scores."""
    if {"--help", "-h"} & set(argv):
        print(__doc__, default(), sep="\n")
        return
    config, name, given = parse(argv)
    # Every core is a device of its own, so that folds run side by side.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jax.config.update("jax_num_cpu_devices", cores)
    workdir = Path(given or f"runs/{Path(name).stem}-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        print(summary(main.run(config, workdir), workdir))
    except KeyboardInterrupt:
        print(f"\ninterrupted; the same command with --workdir={workdir} goes on from its last save", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    try:
        story(sys.argv)
    except InputError as error:
        if "--debug" in sys.argv:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
