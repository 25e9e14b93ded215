"""Trains and scores one experiment: every subject is left out once, and one network per subject is trained on the rest.

    python run.py                                              drawn faces, no data needed, a few minutes
    python run.py --config=configs/fmanet_megc2019.py --config.data.root=FOLDER --config.seeds=3
    python run.py --config.train.epochs=20 --workdir=runs/mine

The same as `merjax train`; `python run.py --help` lists all fields of a config.
"""

from merjax import cli

if __name__ == "__main__":
    cli.answer(cli.train)
