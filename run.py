"""Trains and scores one experiment.

    python run.py --config=configs/afn_synth.py --config.train.epochs=20 --workdir=runs/mine

Any field of the config can be set with --config.<field>=<value>. Run again with the same --workdir to go on after an
interruption.
"""

import os
import sys
import time
from pathlib import Path

import jax
from absl import flags
from ml_collections import config_flags

from merjax import main
from merjax.report import summary
from merjax.types import InputError

HOME = Path(__file__).parent
CONFIG = config_flags.DEFINE_config_file("config", str(HOME / "configs" / "afn_synth.py"), "the experiment")
WORKDIR = flags.DEFINE_string("workdir", "", "the run's folder; by default runs/<config>-<time>")
DEBUG = flags.DEFINE_bool("debug", False, "show the traceback of an error")


def story(argv: list[str]) -> None:
    """Parses the command line, runs the experiment, prints its scores."""
    try:
        rest = flags.FLAGS(argv)[1:]
        config = CONFIG.value
    except (flags.Error, AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise InputError(" ".join(str(error).split())) from error
    if rest:
        raise InputError(f"'{rest[0]}' is no flag; fields of the config are set as --config.<field>=<value>")
    # Every core is a device of its own, so that folds run side by side.
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    name = config_flags.get_config_filename(flags.FLAGS["config"])
    workdir = Path(WORKDIR.value or f"runs/{Path(name).stem}-{time.strftime('%Y%m%d-%H%M%S')}")
    print(summary(main.run(config, workdir), workdir))


if __name__ == "__main__":
    try:
        story(sys.argv)
    except InputError as error:
        if flags.FLAGS.is_parsed() and DEBUG.value:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
