"""Whether a config has the fields of the standard one, no others, and values of their types.

A `ConfigDict` takes any new field, so that `c.train.epoch = 3` would change nothing and say nothing. Config files,
notebooks, the command line and grids are all refused in the words of this module.
"""

import difflib
from typing import Any

from ml_collections import ConfigDict

from merjax.types import InputError

OWN = "own"  # a data set's field that holds names of the user's: groups of emotions by class
KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text", tuple: "a tuple"}


def check(config: object, standard: ConfigDict) -> None:
    """Refuses a config with other fields than the standard one, or with values of other types.

    Args:
        config: what the user gave.
        standard: has all fields, with values of their types.

    Raises:
        InputError: the sentence names the first such field, and of an unknown one the nearest that exists.
    """
    if not isinstance(config, ConfigDict):
        raise InputError(
            f"the config is a {type(config).__name__}; it should be a ConfigDict, as config.default() gives"
        )
    _compare(config, standard, standard, "")


def unknown(path: str, standard: ConfigDict) -> str:
    """Why a dotted name is no field, in a sentence with the nearest that is one; "" if it is one."""
    section, place = standard, ""  # how far the name leads, and the dotted name of that section
    for name in path.split("."):
        if place.endswith(f".{OWN}"):
            return ""
        if not isinstance(section, ConfigDict) or not section:
            return f"{path} is no field; {place} has no fields of its own"
        if name not in section:
            fields = _names(section, f"{place}." if place else "")
            return f"{path} is no field; the nearest is {max(fields, key=lambda field: _likeness(path, field))}"
        section, place = section[name], f"{place}.{name}".lstrip(".")
    return ""


def _compare(config: ConfigDict, wanted: ConfigDict, standard: ConfigDict, prefix: str) -> None:
    for name in config:
        if name not in wanted:
            raise InputError(unknown(prefix + name, standard))
    for name in wanted:
        path, default = prefix + name, wanted[name]
        if name not in config:
            raise InputError(f"{path} is missing; a config should begin as config.default(), which has every field")
        value = config[name]
        if isinstance(default, ConfigDict):
            if not isinstance(value, ConfigDict):
                raise InputError(f"{path} is {_brief(value)}; it should be a section, with fields of its own")
            if name != OWN:
                _compare(value, default, standard, f"{path}.")
        elif default is not None and not _fits(value, type(default)):
            kind = KINDS.get(type(default), f"a {type(default).__name__}")
            raise InputError(f"{path} is {_brief(value)}; it should be {kind}")


def _fits(value: Any, kind: type) -> bool:
    if kind in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if kind is float else kind)


def _brief(value: object) -> str:
    return "a section" if isinstance(value, ConfigDict) else repr(value)[:80]


def _names(section: ConfigDict, prefix: str) -> list[str]:
    """The dotted names of all sections and fields in a section."""
    found = []
    for name in section:
        found.append(prefix + name)
        if isinstance(section[name], ConfigDict):
            found += _names(section[name], f"{prefix}{name}.")
    return found


def _likeness(path: str, field: str) -> float:
    """Measures how alike two dotted names are, as wholes and in their last words."""
    pairs = ((path, field), (path.rpartition(".")[2], field.rpartition(".")[2]))
    return sum(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)
