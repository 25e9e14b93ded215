"""`python -m merjax` is the program `merjax`."""

from merjax.cli import program

program()
