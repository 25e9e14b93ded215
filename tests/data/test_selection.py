import copy
import os
import pickle

import pytest

from merjax.data.record import Account, Accounted, Record
from merjax.data.schemes import SCHEMES
from merjax.data.selection import select
from merjax.types import InputError


def record(name, emotion="happiness", frames=9, **fields):
    """A clip of CASME II whose onset is frame 3 and offset frame 7, its apex 5."""
    return Record(
        dataset="casme2",
        release="cropped",
        subject="sub01",
        clip=name,
        sample_id=f"casme2/sub01/{name}",
        frames=tuple(f"/{name}/img{n}.jpg" for n in range(1, frames + 1)),
        frame_numbers=tuple(range(1, frames + 1)),
        onset_no=3,
        apex_no=5,
        offset_no=7,
        onset_idx=2,
        apex_idx=4,
        offset_idx=6,
        apex_source="annotated",
        emotion_raw=emotion,
        emotion=emotion,
        au_raw="12",
        au=(),
        objective_class=1,
        fps=200.0,
        issues=(),
    )._replace(**fields)


def chosen(*records, exclude=(), repair="flag"):
    account = Account(rows=len(records) + 1, strange=("row 9 'Total'",), filled=2, unnamed=("sub01/EP9",))
    return select("casme2", {"Told.": Accounted(records, account)}, SCHEMES["casme2_5"], exclude=exclude, repair=repair)


def test_clips_keep_their_frames_from_onset_to_offset():
    found = chosen(record("EP01"))
    (kept,) = found.records
    assert kept.frame_numbers == (3, 4, 5, 6, 7)
    assert kept.frames[0] == "/EP01/img3.jpg"
    assert (kept.onset_idx, kept.apex_idx, kept.offset_idx) == (0, 2, 4)
    assert found.classes[found.labels[0]] == "happiness"


def test_what_stays_out_is_told():
    found = chosen(
        *(record("EP01"), record("EP02", emotion="fear"), record("EP03", frames=0, issues=("folder_missing",))),
        *(record("EP04"), record("EP05", issues=("frame_gap",), strays=("flow_u_1.jpg",))),
        exclude=("casme2/sub01/EP04",),
    )
    assert [one.clip for one in found.records] == ["EP01", "EP05"]
    assert found.left_out == (
        "casme2/sub01/EP03: it has no frames from onset to offset (folder_missing).",
        "casme2/sub01/EP04: named in exclude.",
    )
    assert found.told == (
        "Told.",
        "6 rows read: 2 clips used, 2 left out, 1 outside the label scheme, 1 no sample.",
        "Labels are by scheme casme2_5: happiness, disgust, repression, surprise, others.",
        "1 clip outside these classes: fear 1.",
        "Left out 2 clips: folder_missing 1 (casme2/sub01/EP03), named in exclude 1 (casme2/sub01/EP04).",
        "Faults of the clips that are used, as the reader met them: frame_gap 1.",
        "Rows that are no samples: row 9 'Total'. Cells that have the value of the cell above, as merged cells do: 2. "
        "Clip folders that no row names: 1 (sub01/EP9).",
        "Images that are no frames lie beside 1 clip: flow_u_1.jpg in casme2/sub01/EP05.",
    )


def test_names_that_are_no_text_or_several_lines_leave_the_account_printable():
    found = chosen(record("EP01", strays=("a\nb1.jpg", os.fsdecode(b"\xff2.jpg"))))
    assert found.told[-1].encode().decode() == (
        "Images that are no frames lie beside 1 clip: a b1.jpg, \\udcff2.jpg in casme2/sub01/EP01."
    )


def test_an_account_goes_with_copies():
    one = Accounted((1, 2), Account(rows=3))
    assert copy.deepcopy(one).account == pickle.loads(pickle.dumps(one)).account == one.account


def test_strict_leaves_out_faults_and_frames_that_cannot_be_decoded():
    with pytest.raises(InputError, match=r"no clip is left of 2; the first is casme2/sub01/EP01: frame_gap"):
        chosen(record("EP01", issues=("frame_gap",)), record("EP02"), repair="strict")


def test_a_name_to_exclude_that_no_clip_has_is_an_error():
    with pytest.raises(InputError, match="exclude names EP01, but no clip has that name, as casme2/sub01/EP01"):
        chosen(record("EP01"), exclude=("EP01",))
