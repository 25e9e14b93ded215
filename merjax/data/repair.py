"""From a sheet's row and a folder's frames to a record: what is repaired, and what is only flagged."""

import bisect
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from merjax.data import action_units, frames, schemes, sheets
from merjax.data.frames import ClipFolders, Folder
from merjax.data.record import Account, Accounted, Record
from merjax.types import InputError, pick

Ends = tuple[int | None, int | None]  # first and last number of a folder, None where it is not known
POLICIES = ("flag", "strict", "none")
FOLDERS = ("range", "clip", "recording", "whole")

# Of one row: the role (onset, apex, offset), the number that the sheet has wrong, and the right one.
Known = Mapping[str, tuple[int | None, int]]


class Numbers(NamedTuple):
    """Frame numbers as the sheet has them; None where a cell holds no number."""

    onset: int | None
    apex: int | None
    offset: int | None


class Repaired(NamedTuple):
    """Numbers and positions that fit a folder; the frames to keep are `start` to `stop`, none if the row is unusable.

    Attributes:
        start: position in the folder of the first frame to keep.
        stop: position in the folder after the last frame to keep.
        shift: what the folder's numbers lack to be those of the recording.
        onset_no: 0 if unknown.
        apex_no: None if unknown.
        offset_no: 0 if unknown.
        onset_idx: position in the kept frames; -1 if there are none.
        apex_idx: position in the kept frames; None if unknown.
        offset_idx: position in the kept frames; -1 if there are none.
        apex_source: as in Record.
        issues: codes, in the order of their finding.
    """

    start: int
    stop: int
    shift: int
    onset_no: int
    apex_no: int | None
    offset_no: int
    onset_idx: int
    apex_idx: int | None
    offset_idx: int
    apex_source: str
    issues: tuple[str, ...]


def repaired(
    sheet: Numbers,
    present: Sequence[int],
    *,
    known: Known | None = None,
    holds: str = "recording",
    ends: Ends | None = None,
    apex_given: bool = True,
    policy: str = "flag",
) -> Repaired:
    """Fits the numbers of one row to the frames that are there, and names every fault by its code.

    Codes: `onset_unknown` (no number), `onset_zero` (0, but files start later; becomes 1), `offset_zero` (0 or no
    number; becomes apex + (apex - onset), at most the last file), `offset_before_onset` (no frames are kept),
    `known_repair:ROLE`, `range_from_folder`, `frame_missing:ROLE` (the nearest frame is taken, of two the earlier),
    `frame_gap` (the count of frames differs from the numbers), `apex_unknown` (0 or no number), `apex_placeholder`
    (onset or offset; kept), `apex_outside` (dropped), `frames_outside` (no frame from onset to offset),
    `frames_renumbered` (the files were numbered anew from 0 or 1; their numbers are shifted back), `numbers_uncertain`
    (perhaps they were: the apex is dropped, and all frames too unless the folder holds a range). `onset_unknown`,
    `known_repair` and the last three codes are OUR CHOICE.

    Args:
      sheet: numbers of the sheet.
      present: numbers of the folder's frames, rising.
      known: repairs of this row; each is made only where the sheet has the wrong number that it names.
      holds: `range`, the folder holds onset to offset, and its first and last number win over the sheet, unless the
        sheet's frames are all there and others only apart from them; `clip`, it holds onset to offset, but the sheet
        wins; `recording`, it holds more, and onset to offset are kept; `whole`, it holds more, and all of it is kept.
      ends: the numbers that the folder should begin and end with; by default onset and offset, and unknown where all of
        a recording is kept.
      apex_given: False where the sheet has no apex; its absence is then no fault.
      policy: `none` leaves the sheet's numbers as they are, shifts no frames, and gives the positions nearest to them;
        `flag` and `strict` repair alike.

    Raises:
      InputError: `holds` or `policy` is unknown.
    """
    pick(dict.fromkeys(POLICIES), "data.repair", policy)
    pick(dict.fromkeys(FOLDERS), "holds", holds)
    fix = policy != "none"
    now = {role: right for role, (wrong, right) in (known or {}).items() if fix and getattr(sheet, role) == wrong}
    shift, issues = _shift(sheet, now, present, ends, holds)
    if issues and not fix:
        shift, issues = 0, ["numbers_uncertain"]
    doubtful = "numbers_uncertain" in issues
    present = [number + shift for number in present]
    issues += [*_range_faults(sheet, present), *(f"known_repair:{role}" for role in ("onset", "offset") if role in now)]
    onset, offset = _range(sheet, present, now) if fix else (sheet.onset, sheet.offset)
    if holds == "range" and not doubtful and _stands_alone(onset, offset, present):
        holds = "clip"  # what else lies there is no part of it
    gap = _gap(onset, offset, present, holds)
    if present and fix and holds == "range":
        issues += ["range_from_folder"] * ((onset, offset) != (present[0], present[-1]))
        onset, offset = present[0], present[-1]
        gap = gap or _gap(onset, offset, present, holds)
    first, last = (0, -1) if doubtful and not (fix and holds == "range") else _ends(onset, offset, present)
    if last >= 0:
        issues += ["frame_missing:onset"] * (present[first] != onset)
        issues += ["frame_missing:offset"] * (present[last] != offset)
        onset, offset = (present[first], present[last]) if fix else (onset, offset)
    issues += ["frame_gap"] * gap
    issues += ["frames_outside"] * bool(present and last < 0 and not issues)

    apex, source, codes = _apex(sheet, onset, offset, now, apex_given)
    issues += codes
    place = None
    if last >= 0 and apex is not None and source != "missing" and not doubtful and _within(apex, onset, offset):
        place = first + _nearest(present[first : last + 1], apex)
        if present[place] != apex:
            issues.append("frame_missing:apex")
            apex, source = (present[place], "repaired") if fix else (apex, "missing")
    if doubtful or (last >= 0 and place is None):
        source = "missing"
    apex = None if fix and source == "missing" else apex
    start, stop = (0, len(present)) if holds == "whole" and last >= 0 else (first, last + 1)
    return Repaired(
        start=start,
        stop=stop,
        shift=shift,
        onset_no=onset or 0,
        apex_no=apex,
        offset_no=offset or 0,
        onset_idx=first - start if last >= 0 else -1,
        apex_idx=None if place is None else place - start,
        offset_idx=last - start if last >= 0 else -1,
        apex_source=source,
        issues=tuple(issues),
    )


def _shift(
    sheet: Numbers, now: Mapping[str, int], present: Sequence[int], ends: Ends | None, holds: str
) -> tuple[int, list[str]]:
    """Finds frames that were renumbered from 0 or 1: what to add to their numbers, and the code of the fault.

    They were if the folder has exactly the frames that it should, but counts them from another number.
    """
    if not present or (ends is None and holds == "whole"):
        return 0, []
    onset, offset = now.get("onset", sheet.onset), now.get("offset", sheet.offset) or None
    first, last = ends or (onset, offset)
    begin, span = present[0], present[-1] - present[0] + 1
    if begin not in (0, 1) or begin == first:
        return 0, []
    whole = span == len(present)  # without a hole
    if whole and first is not None and (last == first + span - 1 or (ends is not None and last is None)):
        return first - begin, ["frames_renumbered"]
    if span > 2 * len(present) and _stands_alone(onset, offset, present):  # the first is a stray
        return 0, []
    if onset == 0 and begin == 1:  # the sheet's own fault, for which there is a code
        return 0, []
    if holds in ("recording", "whole") and ends is None and onset is not None:
        least = offset or sheet.apex or onset
        longer = len(present) > least - onset + 1 and not onset <= present[-1] < least
        return 0, [] if longer else ["numbers_uncertain"]
    return 0, ["numbers_uncertain"] * (onset is not None or holds == "range")


def _range_faults(sheet: Numbers, present: Sequence[int]) -> list[str]:
    faults = []
    if sheet.onset is None:
        faults.append("onset_unknown")
    if sheet.onset == 0 and present and present[0] > 0:
        faults.append("onset_zero")
    if not sheet.offset:
        faults.append("offset_zero")
    elif sheet.onset is not None and sheet.offset < sheet.onset:
        faults.append("offset_before_onset")
    return faults


def _range(sheet: Numbers, present: Sequence[int], now: Mapping[str, int]) -> tuple[int | None, int | None]:
    onset, offset = now.get("onset", sheet.onset), now.get("offset", sheet.offset)
    if onset == 0 and present and present[0] > 0:
        onset = 1
    if not offset:
        offset = None
        if onset is not None and sheet.apex and sheet.apex >= onset:
            offset = min(2 * sheet.apex - onset, *present[-1:]) if present else 2 * sheet.apex - onset
    return onset, offset


def _stands_alone(onset: int | None, offset: int | None, present: Sequence[int]) -> bool:
    """Whether every frame from onset to offset is there, and neither the one before nor the one after."""
    if onset is None or offset is None or onset > offset:
        return False
    return _count(present, onset, offset) == _count(present, onset - 1, offset + 1) == offset - onset + 1


def _gap(onset: int | None, offset: int | None, present: Sequence[int], holds: str) -> bool:
    if not present or onset is None or offset is None or onset > offset:
        return False
    return offset - onset + 1 != (len(present) if holds in ("range", "clip") else _count(present, onset, offset))


def _ends(onset: int | None, offset: int | None, present: Sequence[int]) -> tuple[int, int]:
    """Finds the positions nearest to onset and offset; 0, -1 if no frame lies between them."""
    if onset is None or offset is None or _count(present, onset, offset) <= 0:
        return 0, -1
    return _nearest(present, onset), _nearest(present, offset)


def _count(present: Sequence[int], onset: int, offset: int) -> int:
    return bisect.bisect_right(present, offset) - bisect.bisect_left(present, onset)


def _nearest(present: Sequence[int], number: int) -> int:
    after = bisect.bisect_left(present, number)
    around = range(max(after - 1, 0), min(after + 1, len(present)))
    return min(around, key=lambda position: abs(present[position] - number))


def _within(apex: int, onset: int | None, offset: int | None) -> bool:
    return onset is not None and offset is not None and onset <= apex <= offset


def _apex(
    sheet: Numbers, onset: int | None, offset: int | None, now: Mapping[str, int], apex_given: bool
) -> tuple[int | None, str, list[str]]:
    if not apex_given:
        return None, "missing", []
    apex = onset if sheet.apex == sheet.onset == 0 else sheet.apex  # an onset of 0 may have become 1
    source, codes = "annotated", []
    if not apex:
        apex, source, codes = sheet.apex, "missing", ["apex_unknown"]
    elif sheet.apex in (sheet.onset, sheet.offset) or apex in (onset, offset):
        source, codes = "placeholder", ["apex_placeholder"]
    ordered = onset is not None and offset is not None and onset <= offset
    if apex and ordered and not _within(apex, onset, offset):
        source, codes = "missing", [*codes, "apex_outside"]
    if "apex" in now:
        return now["apex"], "repaired", [*codes, "known_repair:apex"]
    return apex, source, codes


def record(
    cells: Mapping[str, object],
    folder: Folder,
    *,
    dataset: str,
    release: str,
    subject: str,
    clip: str,
    fps: float,
    sample_id: str = "",
    numbers: Numbers | None = None,
    known: Known | None = None,
    holds: str = "recording",
    ends: Ends | None = None,
    apex_given: bool = True,
    policy: str = "flag",
    issues: Sequence[str] = (),
) -> Record:
    """Makes one record from a row's cells and its folder, by `repaired`.

    A row without a folder, or without a frame between its onset and offset, has no frames and the positions -1, None
    and -1: whoever loads frames leaves it out.

    Args:
      cells: by canonical name; emotion, au and objective are read, and the numbers unless `numbers` gives them.
      folder: of the clip.
      dataset: short name.
      release: name.
      subject: canonical.
      clip: as in the sheet.
      fps: frames a second.
      sample_id: dataset/subject/clip if empty.
      numbers: frame numbers, where the cells do not give them plainly.
      known: as in `repaired`.
      holds: as in `repaired`.
      ends: as in `repaired`.
      apex_given: as in `repaired`.
      policy: as in `repaired`.
      issues: codes that the reader itself has found.

    Raises:
      InputError: `holds` or `policy` is unknown.
    """
    numbers = numbers or Numbers(*(sheets.whole(cells.get(role)) for role in Numbers._fields))
    fit = repaired(numbers, folder.numbers, known=known, holds=holds, ends=ends, apex_given=apex_given, policy=policy)
    au_raw, emotion_raw = sheets.raw(cells.get("au")), sheets.raw(cells.get("emotion"))
    return Record(
        dataset=dataset,
        release=release,
        subject=subject,
        clip=clip,
        sample_id=sample_id or f"{dataset}/{subject}/{clip}",
        frames=folder.files[fit.start : fit.stop],
        frame_numbers=tuple(number + fit.shift for number in folder.numbers[fit.start : fit.stop]),
        **{field: getattr(fit, field) for field in Repaired._fields[3:-1]},
        emotion_raw=emotion_raw,
        emotion=schemes.emotion(emotion_raw),
        au_raw=au_raw,
        au=action_units.parse(au_raw),
        objective_class=sheets.objective(cells.get("objective")),
        fps=fps,
        issues=(*folder.issues, *fit.issues, *issues),
        strays=folder.strays,
    )


def finished(
    records: Sequence[Record],
    policy: str,
    rows: Accounted[sheets.Row] | None = None,
    folders: ClipFolders | None = None,
    others: Mapping[str, int] = {},
) -> Accounted[Record]:
    """Sorts the records of a data set by sample_id, clip 9 before clip 10; `strict` drops those with issues.

    Args:
      records: all micro-expressions of the data set.
      policy: as in `repaired`.
      rows: samples of the sheet; None where there is no sheet, but a folder for each record.
      folders: those of the clips, of which the rows have named some.
      others: rows among `rows` that are no micro-expressions, by kind.

    Raises:
      InputError: two records have one sample_id.
    """
    seen: set[str] = set()
    for each in records:
        if each.sample_id in seen:
            raise InputError(
                f"the sheet of {each.dataset} has {each.sample_id} twice: it should keep one row of the two."
            )
        seen.add(each.sample_id)
    account = Account("clip folder", len(records)) if rows is None else rows.account
    account = account._replace(
        others=dict(others),
        further=len(records) + sum(others.values()) + len(account.strange) - account.rows,
        unnamed=folders.unnamed() if folders else (),
    )
    kept = (each for each in records if policy != "strict" or not each.issues)
    return Accounted(sorted(kept, key=lambda each: frames.natural(each.sample_id)), account)


def without(one: Record, unreadable: Collection[str]) -> Record:
    """Takes files that can't be decoded out of a record; onset, apex and offset move to the nearest frames left."""
    left = [at for at, file in enumerate(one.frames) if file not in unreadable]
    if len(left) == len(one.frames):
        return one
    numbers = tuple(one.frame_numbers[at] for at in left)
    apex = None if one.apex_source == "missing" else one.apex_no
    fit = repaired(Numbers(one.onset_no, apex, one.offset_no), numbers, holds="whole")
    source = "missing" if fit.apex_idx is None else one.apex_source
    issues = (*one.issues, "unreadable", *(code for code in fit.issues if code.startswith("frame_")))
    return one._replace(
        frames=tuple(one.frames[at] for at in left) if fit.stop else (),
        frame_numbers=numbers if fit.stop else (),
        **{field: getattr(fit, field) for field in Repaired._fields[3:-2]},
        apex_source="repaired" if "frame_missing:apex" in fit.issues else source,
        issues=tuple(dict.fromkeys(issues)),
    )
