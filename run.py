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
from ml_collections import ConfigDict, config_flags

from merjax import main
from merjax.config import check_fields
from merjax.report import summary
from merjax.types import InputError

DEFAULT = str(Path(__file__).parent / "configs" / "afn_synth.py")


def parse(argv: list[str]) -> tuple[ConfigDict, str, str]:
    """The config with its changes, the path of its file, and the run's folder if one was given."""
    check_fields(argv)
    try:
        # Defined here, not above: a default config takes its changes from the command line when it is defined.
        config = config_flags.DEFINE_config_file("config", DEFAULT, "the experiment; see configs/")
        workdir = flags.DEFINE_string("workdir", "", "the run's folder; by default runs/<config>-<time>")
        flags.DEFINE_bool("debug", False, "show the traceback of an error")
        rest = flags.FLAGS(argv)[1:]
        chosen = config.value
    except (flags.Error, AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise InputError(" ".join(str(error).split())) from error
    if rest:
        raise InputError(f"'{rest[0]}' is no flag; fields of the config are set as --config.<field>=<value>")
    return chosen, config_flags.get_config_filename(flags.FLAGS["config"]), workdir.value


def story(argv: list[str]) -> None:
    """Parses the command line, runs the experiment, prints its scores."""
    config, name, given = parse(argv)
    # Every core is a device of its own, so that folds run side by side.
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
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
