"""Label schemes: which emotions, or objective classes, of a data set make a class, and which clips stay out.

`SCHEMES` is the table that a config's `data.<name>.scheme` is looked up in. The MEGC protocols are a scheme, its data
sets and a split: MEGC 2019 is "megc2019" with protocol "loso"; of MEGC 2018 the composite task is "megc2018" with
"loso", and the holdout task, train on one data set and test on the other both ways, is "megc2018" with "database".
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from merjax.data.record import Record
from merjax.types import InputError

SPELLINGS = {"other": "others", "comtempt": "contempt", "sad": "sadness", "happy": "happiness"}

Groups = Mapping[str, Sequence[str | int]]  # class -> its emotions, or its objective classes 1 to 7


class Scheme(NamedTuple):
    """How clips get their classes.

    Attributes:
        name: key in `SCHEMES`, or "own".
        groups: for each data set its classes and their members; every data set has the same classes in the same order.
        exclusions: clips that stay out whatever their label, as (dataset, subject, clip), and why.
        counts: clips and subjects that the scheme keeps of a complete data set, by the annotation sheet that they were
            counted on, of composites that of CASME II; the subjects are the folds. Empty where nobody counted.
    """

    name: str
    groups: Mapping[str, Groups]
    exclusions: Mapping[tuple[str, str, str], str] = {}
    counts: Mapping[str, tuple[int, int]] = {}

    @property
    def datasets(self) -> tuple[str, ...]:
        """Short names of the data sets that it is for."""
        return tuple(self.groups)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names by label."""
        return tuple(next(iter(self.groups.values())))


class Labelled(NamedTuple):
    """Clips with their classes, and a sentence for each clip that stays out."""

    records: tuple[Record, ...]
    labels: Int[np.ndarray, " n"]
    left_out: tuple[str, ...]


def emotion(text: str) -> str:
    """The usual spelling of a sheet's label: lower case, stripped, one name for one emotion.

    A joint label such as "Surprise + Positive" (4DME) keeps its parts, joined by "+" without blanks.
    """
    parts = (part.strip().lower() for part in text.split("+"))
    return "+".join(SPELLINGS.get(part, part) for part in parts)


def labels(record: Record, scheme: Scheme) -> tuple[int, ...]:
    """The class of each part of a clip's label, -1 where a part is in no class; several only for a joint label.

    Args:
        record: of one of the scheme's data sets.
        scheme: says what is a class.
    """
    groups = scheme.groups[record.dataset]
    parts = [record.objective_class] if by_objective(groups) else record.emotion.split("+")
    place = {member: k for k, members in enumerate(groups.values()) for member in members}
    return tuple(place.get(part, -1) if part is not None else -1 for part in parts)


def label(record: Record, scheme: Scheme) -> int:
    """The class of a clip as a position in `scheme.classes`; -1 if the clip is outside the scheme.

    A joint label has a class only if all its parts are in the same one.

    Args:
        record: of one of the scheme's data sets.
        scheme: says what is a class, and which clips stay out.
    """
    if (record.dataset, record.subject, record.clip) in scheme.exclusions:
        return -1
    found = set(labels(record, scheme))
    return found.pop() if len(found) == 1 else -1


def apply(records: Sequence[Record], scheme: Scheme) -> Labelled:
    """The clips that a scheme keeps, in their order, with their classes.

    Raises:
        InputError: a clip of a data set that the scheme is not for, or no clip of a data set is left.
    """
    for record in records:
        if record.dataset not in scheme.groups:
            fits = [name for name, other in SCHEMES.items() if record.dataset in other.groups]
            instead = (
                f"schemes for it are {', '.join(fits)}"
                if fits
                else f"there is none for {record.dataset}: give your own"
            )
            raise InputError(
                f"data.scheme '{scheme.name}' is for {', '.join(scheme.datasets)}, not for {record.dataset}; {instead}"
            )
    placed = [(record, label(record, scheme)) for record in records]
    kept = tuple(record for record, k in placed if k >= 0)
    outside = [record for record, k in placed if k < 0]
    present = {record.dataset for record in kept}
    for record in outside:
        if record.dataset not in present:
            sheets = f"; it was counted on {', '.join(scheme.counts)}" if scheme.counts else ""
            raise InputError(
                f"data.scheme '{scheme.name}' keeps no clip of {record.dataset}, "
                f"the first is {record.sample_id}: {_reason(record, scheme)}{sheets}"
            )
    left_out = tuple(f"{record.sample_id}: {_reason(record, scheme)}." for record in outside)
    return Labelled(kept, np.array([k for _, k in placed if k >= 0], np.int32), left_out)


def own(groups: Groups, records: Sequence[Record]) -> Scheme:
    """A user's scheme, checked against the clips that it is for.

    Args:
        groups: for each class, in order, its emotions in any spelling of `emotion`, or its objective classes 1 to 7.
        records: the clips.

    Raises:
        InputError: fewer than two classes, a class without members, emotions mixed with objective classes, a member
            named twice or one that no clip has.
    """
    if len(groups) < 2:
        raise InputError(f"data.scheme has {len(groups)} class; it should have at least 2")
    for name, members in groups.items():
        if isinstance(members, str) or not members:
            raise InputError(f"data.scheme class '{name}' is {members!r}; it should be a list with at least one member")
    read = {name: [emotion(m) if isinstance(m, str) else m for m in members] for name, members in groups.items()}
    named = [(member, name) for name, members in read.items() for member in members]
    if len({isinstance(member, str) for member, _ in named}) > 1:
        raise InputError("data.scheme mixes emotions and objective classes; it should name only one of the two kinds")
    what = "objective class" if by_objective(read) else "emotion"
    emotions = {part for record in records for part in record.emotion.split("+") if part}
    objective = {record.objective_class for record in records if record.objective_class is not None}
    there = emotions if what == "emotion" else objective
    classes: dict[str | int, str] = {}
    for member, name in named:
        if member in classes:
            raise InputError(f"data.scheme names {what} '{member}' twice, in '{classes[member]}' and in '{name}'")
        if member not in there:
            found = ", ".join(sorted(map(str, there))) or "none"
            raise InputError(f"data.scheme class '{name}' has {what} '{member}', but the clips have {found}")
        classes[member] = name
    return Scheme("own", {dataset: read for dataset in sorted({record.dataset for record in records})})


def by_objective(groups: Groups) -> bool:
    """Whether classes are made of objective classes, not of emotions."""
    return any(isinstance(member, int) for members in groups.values() for member in members)


def _reason(record: Record, scheme: Scheme) -> str:
    """Why a clip is outside."""
    excluded = scheme.exclusions.get((record.dataset, record.subject, record.clip))
    if excluded:
        return excluded
    objective = by_objective(scheme.groups[record.dataset])
    what, value = ("objective class", record.objective_class) if objective else ("emotion", record.emotion)
    if not value:
        return f"its sheet gives no {what}"
    if min(labels(record, scheme)) >= 0:
        return f"its emotion '{value}' is of several classes of scheme '{scheme.name}'"
    return f"its {what} '{value}' is in no class of scheme '{scheme.name}'"


def _same(*emotions: str) -> Groups:
    """Classes that are single emotions."""
    return {each: (each,) for each in emotions}


CASME2_2014 = "CASME2-coding-20140508.xlsx"
CASME2_2019 = "CASME2-coding-20190701.xlsx"
CASME2_256 = "CASME2_label_Ver_2.xls"  # one row more
CASME2_OBJECTIVE = "CASME2-ObjectiveClasses.xlsx"
SAMM = "SAMM_Micro_FACS_Codes_v2.xlsx"
CASME3A = "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
CASME3C = "CAS(ME)3_part_C_ME.xlsx"
SMIC_HS, SMIC_VIS = "folders of HS", "folders of VIS"  # SMIC has no sheet

_I_TO_V = {"I": (1,), "II": (2,), "III": (3,), "IV": (4,), "V": (5,)}
_POSITIVE_SURPRISE = {"positive": ("happiness",), "surprise": ("surprise",)}
_THREE = {"negative": ("disgust", "fear", "anger", "sadness", "contempt"), **_POSITIVE_SURPRISE}
_CASME2_THREE = {"negative": ("disgust", "repression"), **_POSITIVE_SURPRISE}
_CASME2_THREE_WIDE = {"negative": ("disgust", "repression", "sadness", "fear"), **_POSITIVE_SURPRISE}
_SMIC_THREE = _same("negative", "positive", "surprise")
# Clips of CASME II that the official list of MEGC 2019 lacks although one of the sheets puts them in a class. With
# these keys every sheet gives the 145 clips of the list, which follows the sheet of 2014.
_MEGC2019_EXCLUSIONS = {
    ("casme2", "sub04", "EP12_01f"): "MEGC 2019 leaves it out, for its sheet gives no apex",
    ("casme2", "sub05", "EP09_05f"): "MEGC 2019 leaves it out, for its apex is its onset",
    ("casme2", "sub24", "EP07_01"): "MEGC 2019 counts on the sheet of 2014, where it is sadness",
    ("casme2", "sub24", "EP07_04f"): "MEGC 2019 counts on the sheet of 2014, where it is sadness",
    ("casme2", "sub24", "EP10_03"): "MEGC 2019 counts on the sheet of 2014, where it is sadness",
    ("casme2", "sub24", "EP02_07"): "MEGC 2019 counts on the sheet of 2014, which lacks it",
}
_CASME3A_SEVEN = _same("disgust", "surprise", "others", "fear", "anger", "sadness", "happiness")

# Groups are the sheets' labels as they are, or the customary merges. OUR CHOICE: mmew_4, of which the literature has no
# single definition, takes the usual four; 4dme_5 keeps clips with one label, and `labels` gives those of joint ones.
# INFERRED: the seven emotions of dfme_7 are the six basic ones and contempt.
_ROWS = (
    Scheme(
        "casme2_7",
        {"casme2": _same("others", "disgust", "happiness", "repression", "surprise", "sadness", "fear")},
        counts={CASME2_2014: (255, 26), CASME2_2019: (255, 26), CASME2_256: (256, 26)},
    ),
    Scheme(
        "casme2_5",
        {"casme2": _same("happiness", "disgust", "repression", "surprise", "others")},
        counts={CASME2_2014: (246, 26), CASME2_2019: (249, 26), CASME2_256: (247, 26)},
    ),
    Scheme(
        "casme2_4",
        {"casme2": _same("happiness", "disgust", "repression", "surprise")},
        counts={CASME2_2014: (147, 24), CASME2_2019: (150, 24)},
    ),
    Scheme("casme2_3", {"casme2": _CASME2_THREE}, _MEGC2019_EXCLUSIONS, {CASME2_2014: (145, 24)}),
    Scheme("casme2_3_sadness_fear", {"casme2": _CASME2_THREE_WIDE}, counts={CASME2_2014: (156, 25)}),
    Scheme("casme2_objective", {"casme2": _I_TO_V}, counts={CASME2_OBJECTIVE: (185, 26), CASME2_2019: (174, 26)}),
    Scheme(
        "samm_8",
        {"samm": _same("anger", "others", "happiness", "surprise", "contempt", "disgust", "fear", "sadness")},
        counts={SAMM: (159, 29)},
    ),
    Scheme(
        "samm_7",
        {"samm": _same("anger", "happiness", "surprise", "contempt", "disgust", "fear", "sadness")},
        counts={SAMM: (133, 28)},
    ),
    Scheme(
        "samm_5",
        {"samm": _same("anger", "happiness", "contempt", "surprise", "others")},
        counts={SAMM: (136, 27)},
    ),
    Scheme("samm_4", {"samm": _same("anger", "happiness", "contempt", "surprise")}, counts={SAMM: (110, 26)}),
    Scheme("samm_3", {"samm": _THREE}, counts={SAMM: (133, 28)}),
    Scheme("samm_objective", {"samm": _I_TO_V}, counts={SAMM: (68, 21)}),
    Scheme(
        "smic_3",
        {name: _SMIC_THREE for name in ("smic_hs", "smic_vis", "smic_nir", "smic_hs_e")},
        counts={SMIC_HS: (164, 16), SMIC_VIS: (71, 8)},
    ),
    Scheme("casme3a_7", {"casme3a": _CASME3A_SEVEN}, counts={CASME3A: (860, 94)}),
    Scheme("casme3a_4", {"casme3a": {**_THREE, "others": ("others",)}}, counts={CASME3A: (860, 94)}),
    Scheme("casme3a_3", {"casme3a": _THREE}, counts={CASME3A: (699, 88)}),
    Scheme("casme3c_4", {"casme3c": _same("negative", "positive", "surprise", "others")}, counts={CASME3C: (165, 30)}),
    Scheme("casme_sq_4", {"casme_sq": _same("negative", "positive", "surprise", "others")}),
    Scheme("mmew_7", {"mmew": _same("happiness", "surprise", "disgust", "others", "fear", "sadness", "anger")}),
    Scheme("mmew_6", {"mmew": _same("happiness", "surprise", "disgust", "fear", "sadness", "anger")}),
    Scheme("mmew_4", {"mmew": _same("happiness", "surprise", "disgust", "others")}),
    Scheme("mmew_3", {"mmew": _THREE}),
    Scheme("casme_4", {"casme": _same("tense", "disgust", "repression", "surprise")}),
    Scheme("4dme_5", {"4dme": _same("positive", "negative", "surprise", "repression", "others")}),
    Scheme("dfme_7", {"dfme": _same("happiness", "surprise", "disgust", "fear", "sadness", "anger", "contempt")}),
    Scheme(
        "megc2019",
        {"smic_hs": _SMIC_THREE, "casme2": _CASME2_THREE, "samm": _THREE},
        _MEGC2019_EXCLUSIONS,
        {CASME2_2014: (442, 68)},
    ),
    Scheme("megc2018", {"casme2": _I_TO_V, "samm": _I_TO_V}, counts={CASME2_OBJECTIVE: (253, 47)}),
)
SCHEMES: dict[str, Scheme] = {scheme.name: scheme for scheme in _ROWS}
