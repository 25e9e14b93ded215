"""Action units of a coder's string, in every form that the data sets are known to write."""

import re

from merjax.data.record import ActionUnit

# A letter after a number is the next number's side if that number follows: `12 R14` is 12 and R14.
_UNIT = re.compile(
    r"""(?:AU)?\s*
    (?P<before>[LRABTU](?:/[LR])?)?\s*
    (?P<number>\d{1,2})\s*
    (?P<after>[LR](?!\s*\d))?
    (?P<intensity>[A-E](?:/[A-E])?(?!\s*\d))?
    (?P<static>\(k\))?""",
    re.VERBOSE,
)
_REFERENCE = re.compile(r"ref\s*\([^)]*\)", re.IGNORECASE)
_CHOICE = re.compile(r"[^+,]*(?<![a-z])or(?![a-z])[^+,]*", re.IGNORECASE)


def parse(text: str) -> tuple[ActionUnit, ...]:
    """Reads the units of one cell from left to right; words without a number are passed over.

    Examples: `4+7+L10`, `A1B+A2C` (side before, intensity after), `12L` (side after), `10A/B`, `A/L12`, `4，11`,
    `AU4+6(k)` (held), `(R6 or R12)+R15` (6 and 12 are ambiguous), `ref(7B)+43` (7 is a reference).
    """
    text = text.replace("，", ",")
    references = [match.span() for match in _REFERENCE.finditer(text)]
    choices = [match.span() for match in _CHOICE.finditer(text)]
    return tuple(
        ActionUnit(
            number=int(unit["number"]),
            side=unit["before"] or unit["after"] or "",
            intensity=unit["intensity"] or "",
            static=unit["static"] is not None,
            ambiguous=_inside(unit.start("number"), choices),
            reference=_inside(unit.start("number"), references),
        )
        for unit in _UNIT.finditer(text)
    )


def _inside(position: int, spans: list[tuple[int, int]]) -> bool:
    return any(start <= position < stop for start, stop in spans)
