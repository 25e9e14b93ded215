"""Running a config file: a Python file that gives a config by `get_config`, and may give a grid by `get_grid`."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from merjax.types import InputError

ABSENT = {
    "get_config": "it should define this function, which returns a config",
    "get_grid": "give it one, or train it with `merjax train`",
}


def config(file: Path) -> ConfigDict:
    """The config that a file's `get_config` gives.

    ml_collections has a loader too, which cuts the path at its first colon: `C:` on Windows.

    Raises:
        InputError: the file can't be run, has no `get_config`, or that gives something else.
    """
    given = call(file, "get_config")
    if not isinstance(given, ConfigDict):
        raise InputError(
            f"get_config() of --config={file} gives a {type(given).__name__}; it should give a ConfigDict, as "
            "config.default() does"
        )
    return given


def grid(file: Path) -> list[dict[str, Any]]:
    """The changes of every point that a file's `get_grid` gives, from dotted fields to values.

    Raises:
        InputError: the file can't be run, has no `get_grid`, or that gives no list of dictionaries, or an empty one.
    """
    given = call(file, "get_grid")
    if not given or not all(
        isinstance(point, dict) and all(isinstance(name, str) for name in point) for point in given
    ):
        raise InputError(f"get_grid() of --config={file} must give dictionaries of changes by field, at least one")
    return given


def call(file: Path, name: str) -> Any:
    """Calls a function of a config file; whatever it or the file raises becomes one sentence."""
    try:
        function = getattr(run(file), name, None)
        if function is None:
            raise InputError(f"--config={file} has no {name}(); {ABSENT[name]}")
        given = function()
        return list(given) if name == "get_grid" else given  # a generator may raise too
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"--config={file} can't be loaded: {reason}") from error


def run(file: Path) -> ModuleType:
    """The module that a Python file makes; its name is kept apart from those of installed modules."""
    module = ModuleType(f"config_file_{file.stem}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # as classes that the file defines expect
    exec(compile(file.read_bytes(), str(file), "exec"), vars(module))
    return module
