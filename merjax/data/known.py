"""The licensed data sets that merjax reads: by what they are read, who gives them, and what is documented of them.

merjax downloads none of them. `KNOWN` is the table, by the short name that a clip's `dataset` has.
"""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import NamedTuple

from merjax.data import (
    casme,
    casme2,
    casme3,
    casme_squared,
    dfme,
    fourdme,
    frames,
    mmew,
    samm,
    schemes,
    smic,
    smic_e,
)
from merjax.data.record import Accounted, Record

BY_SHEET, BY_OWNERS, BY_CODE = "counted on the sheet", "told by the owners", "taken from code that reads it"


class Documented(NamedTuple):
    """What others counted on one variant of a data set's sheet, or on its folders if it has none.

    Attributes:
        sheet: name of the variant, as in `Scheme.counts`.
        clips: samples of micro-expressions.
        subjects: those with samples; 0 if nobody counted.
        emotions: label -> samples; empty if nobody counted.
        basis: who counted.
        pattern: file names of the variant in lower case, `*` for any text.
    """

    sheet: str
    clips: int
    subjects: int = 0
    emotions: Mapping[str, int] = {}
    basis: str = BY_SHEET
    pattern: str = "*"


class Known(NamedTuple):
    """One licensed data set.

    Attributes:
        title: as its owners write it.
        records: its reader.
        folders: names of the folders that hold its releases.
        sheets: file names of its sheet in lower case, `*` for any text; none where it has no sheet.
        scheme: label scheme that a run takes unless told otherwise.
        owner: where to apply for it.
        faces: releases whose frames are faces already.
        documented: counts, one entry for each variant of the sheet.
        classes: file names of a sheet of objective classes alone, as `sheets`.
    """

    title: str
    records: Callable[..., Accounted[Record]]
    folders: tuple[str, ...]
    sheets: tuple[str, ...]
    scheme: str
    owner: str
    faces: tuple[str, ...] = ("cropped",)
    documented: tuple[Documented, ...] = ()
    classes: tuple[str, ...] = ()


def sheet(known: Known, root: Path, asked: str = "", *, objective: bool = False) -> Path | None:
    """The annotation sheet in a data set's folder, in its archives too; None if there is none.

    Args:
        known: the data set.
        root: its folder.
        asked: name of the sheet, or empty for the first there is.
        objective: the sheet of objective classes alone is taken before the others.
    """
    if not known.sheets:
        return None
    if asked and (root / asked).is_file():
        return root / asked
    archives = {name.casefold() for name in known.folders}
    places = [root]
    for place in places:  # grows while it is walked: an archive may hold another of its name
        inner = [Path(path) for name, path in frames.subfolders(place).items() if name in archives]
        places += inner if len(places) < 20 else []
    places += [Path(path) for place in list(places) for path in frames.subfolders(place).values()]
    tables = [
        Path(place, name)
        for place in dict.fromkeys(places)
        for name in frames.names(place)
        if name.lower().endswith((".xlsx", ".xls", ".csv")) and not name.startswith((".", "~$"))
    ]
    for pattern in (asked.lower(),) if asked else (*(known.classes if objective else ()), *known.sheets):
        fits = [path for path in tables if fnmatchcase(path.name.lower(), pattern)]
        if fits:
            return min(fits, key=lambda path: (places.index(path.parent), frames.natural(path.name)))
    return None


PSYCHOLOGY = "Institute of Psychology, Chinese Academy of Sciences: application form and signed licence agreement"
CASME3 = "the owners of CAS(ME)^3, who publish its tables: agreement for the images"
OULU = "University of Oulu, Finland: signed agreement"

_CASME2 = {"others": 99, "disgust": 63, "happiness": 32, "repression": 27, "surprise": 25, "sadness": 7, "fear": 2}
_SAMM = {"anger": 57, "others": 26, "happiness": 26, "surprise": 15, "contempt": 12}
_SAMM |= {"disgust": 9, "fear": 8, "sadness": 6}
_CASME3A = {"disgust": 250, "surprise": 187, "others": 161, "fear": 86, "anger": 64, "sadness": 57, "happiness": 55}
_CASME3C = {"negative": 99, "surprise": 30, "others": 20, "positive": 16}
_SMIC_FOLDERS = ("SMIC_all_cropped", "SMIC_all_raw")
_SMIC_E_FOLDERS = ("SMIC-E_raw image", "HS_long", "VIS_long")
_SMIC_E_SHEETS = ("smic*{}*annotation*", "smic*annotation*")

KNOWN: dict[str, Known] = {
    "casme2": Known(
        "CASME II",
        casme2.records,
        ("Cropped", "CASME2_RAW_selected", "CASME2-RAW"),
        casme2.SHEETS,
        "casme2_5",
        PSYCHOLOGY,
        documented=(
            Documented(schemes.CASME2_2014, 255, 26, _CASME2, pattern="*20140508*"),
            Documented(schemes.CASME2_2019, 255, 26, _CASME2 | {"surprise": 28, "sadness": 4}, pattern="*20190701*"),
            Documented(schemes.CASME2_256, 256, 26, _CASME2 | {"disgust": 64}, BY_CODE, "*label*"),
        ),
        classes=(casme2.OBJECTIVE,),
    ),
    "samm": Known(
        "SAMM",
        samm.records,
        ("SAMM", "SAMM_CROP"),
        samm.SHEETS,
        "samm_5",
        "Manchester Metropolitan University, United Kingdom: signed agreement",
        documented=(Documented(schemes.SAMM, 159, 29, _SAMM),),
    ),
    "smic_hs": Known(
        "SMIC, fast camera (HS)",
        partial(smic.records, dataset="smic_hs"),
        _SMIC_FOLDERS,
        (),
        "smic_3",
        OULU,
        documented=(Documented(schemes.SMIC_HS, 164, 16, {"negative": 70, "positive": 51, "surprise": 43}, BY_OWNERS),),
    ),
    "smic_vis": Known(
        "SMIC, normal camera (VIS)",
        partial(smic.records, dataset="smic_vis"),
        _SMIC_FOLDERS,
        (),
        "smic_3",
        OULU,
        documented=(Documented(schemes.SMIC_VIS, 71, 8, {"negative": 24, "positive": 28, "surprise": 19}),),
    ),
    "smic_nir": Known(
        "SMIC, infrared camera (NIR)",
        partial(smic.records, dataset="smic_nir"),
        _SMIC_FOLDERS,
        (),
        "smic_3",
        OULU,
        documented=(Documented("folders of NIR", 71, 8, basis=BY_OWNERS),),
    ),
    "smic_hs_e": Known(
        "SMIC-E, fast camera (HS)",
        partial(smic_e.records, dataset="smic_hs_e"),
        _SMIC_E_FOLDERS,
        tuple(pattern.format("hs") for pattern in _SMIC_E_SHEETS),
        "smic_3",
        OULU,
        documented=(Documented("SMIC-HS-E_annotation.xlsx", 162, 16),),
    ),
    "smic_vis_e": Known(
        "SMIC-E, normal camera (VIS)",
        partial(smic_e.records, dataset="smic_vis_e"),
        _SMIC_E_FOLDERS,
        tuple(pattern.format("vis") for pattern in _SMIC_E_SHEETS),
        "smic_3",
        OULU,
        documented=(Documented("SMIC-HS-E_annotation.xlsx, sheet VIS", 71),),
    ),
    "mmew": Known(
        "MMEW",
        mmew.records,
        ("MMEW_Final", "MMEW", "Micro_Expression", "Micro-Expression"),
        mmew.SHEETS,
        "mmew_6",
        "Shandong University, China: signed licence agreement by e-mail",
        ("final", "official"),
        (Documented("MMEW_Micro_Exp.xlsx", 300, basis=BY_OWNERS),),
    ),
    "casme3a": Known(
        "CAS(ME)^3, part A",
        partial(casme3.records, part="a"),
        ("part_A", "Part_A_ME_clip"),
        casme3.PARTS["a"].sheets,
        "casme3a_7",
        CASME3,
        (),
        (Documented(schemes.CASME3A, 860, 94, _CASME3A),),
    ),
    "casme3c": Known(
        "CAS(ME)^3, part C",
        partial(casme3.records, part="c"),
        ("part_C",),
        casme3.PARTS["c"].sheets,
        "casme3c_4",
        CASME3,
        (),
        (Documented(schemes.CASME3C, 165, 30, _CASME3C),),
    ),
    "casme_sq": Known(
        "CAS(ME)^2",
        casme_squared.records,
        ("cropped", "selectedpic", "rawpic"),
        casme_squared.SHEETS,
        "casme_sq_4",
        PSYCHOLOGY,
        documented=(Documented("CAS(ME)^2code_final.xlsx", 57, basis=BY_OWNERS),),
    ),
    "casme": Known(
        "CASME",
        casme.records,
        ("Cropped", "CASME_raw_selected"),
        casme.SHEETS,
        "casme_4",
        PSYCHOLOGY,
        documented=(Documented("the sheet of CASME", 189, basis=BY_CODE),),
    ),
    "4dme": Known(
        "4DME",
        fourdme.records,
        ("gray_micro_crop", "micro_short_gray_video_cropped", "gray_micro"),
        fourdme.SHEETS,
        "4dme_5",
        OULU,
        ("cropped", "short"),
        (Documented("4DME_Labelling_Micro_release v1.xlsx", 267, basis=BY_CODE),),
    ),
    "dfme": Known(
        "DFME",
        dfme.records,
        ("DFME",),
        dfme.SHEETS,
        "dfme_7",
        "the authors of DFME: see their paper",
        (),
        (Documented("training_full_with_AU.xlsx", 1856, 176, pattern="training*"),),
    ),
}
