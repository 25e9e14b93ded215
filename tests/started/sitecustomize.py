"""Python runs this file as it starts, if its folder is on PYTHONPATH: see elsewhere.py, which puts it there."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
import elsewhere  # noqa: F401

del sys.path[-1]
