"""What the classes of drawn clips do, and so what an input must see to tell them. All of it is OUR CHOICE."""

from typing import NamedTuple

from merjax.data.actions import UNITS

ACTIONS = {
    "negative": "brow_lowerer",  # AU4: brows down and together
    "positive": "lip_corner_puller",  # AU12: mouth corners up and out, cheeks follow
    "surprise": "brow_raiser",  # AU1 + AU2 with AU5: brows and upper lids up
}


class Script(NamedTuple):
    """What the clips of one class do.

    Attributes:
        action: a name in `actions.MOVEMENTS`.
        then: the action that comes while the first one goes, from the apex on; "" for none.
        peaks: intensity of the action's peaks in their order in time, the largest 1.
        rest: the movements that resting expressions are made of.
    """

    action: str
    then: str = ""
    peaks: tuple[float, ...] = (1.0,)
    rest: tuple[str, ...] = tuple(ACTIONS.values())


TASKS: dict[str, dict[str, Script]] = {  # name: what each class does
    "actions": {name: Script(action) for name, action in ACTIONS.items()},
    "units": {f"AU{number:02d}": Script(name, rest=tuple(UNITS.values())) for number, name in UNITS.items()},
    "fall": {
        "back": Script("brow_raiser"),
        "to_smile": Script("brow_raiser", then="lip_corner_puller"),
        "to_sulk": Script("brow_raiser", then="lip_corner_depressor"),
    },
    "order": {
        "strong_first": Script("brow_raiser", peaks=(1.0, 0.3)),
        "strong_last": Script("brow_raiser", peaks=(0.3, 1.0)),
    },
}
