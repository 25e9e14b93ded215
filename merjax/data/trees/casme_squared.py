"""CAS(ME)^2 in miniature: long videos as frames, and three sheets without headers that must be read together."""

from typing import Any

from merjax.data.trees.recipe import Book, Cell, Layout, Recipe, Sample, Slot, codes, row

SHEET = "CAS(ME)^2code_final.xlsx"
PEOPLE = (15, 16, *range(19, 28), *range(29, 39), 40)  # folder numbers, in the order of the participants' numbers
VIDEOS = {  # name in the sheet -> code, a number there, and the title that follows it in the folder's name
    "disgust1": (101, "disgustingteeth"),
    "happy2": (502, "funnyerrors"),
    "anger1": (301, "inventedscene"),
}


def _row(person: int, video: str, number: int, first: int, peak: int, last: int, emotion: str, **fields: Any) -> Sample:
    code, title = VIDEOS[video]
    disk = {"home": f"s{person}", "film": f"{person}_{code:04d}{title}"} | fields.pop("disk", {})
    known: dict[str, Any] = {"dataset": "casme_sq", "fps": 30.0, "au": "4+7", "disk": disk}
    return row(f"s{person}", f"{video}_{number}", first, peak, last, emotion, **known | fields)


def _sound(slot: Slot, emotion: str) -> list[Sample]:
    within, turn = divmod(slot.rank, len(VIDEOS))  # a video holds several samples
    first = {0: 5, 1: 104}.get(slot.turn, slot.start) + within * (2 * slot.length + 6)
    person, video, last = int(slot.subject[1:]), tuple(VIDEOS)[turn], first + slot.length - 1
    units = codes(emotion, slot.turn)["au"]
    sample = _row(person, video, 1 + 2 * within, first, first + slot.rise, last, emotion, au=units)
    if slot.rank % 2:
        return [sample]
    begin, end = last + 2, last + slot.length + 3  # of a slower movement
    macro = _row(person, video, 2 + 2 * within, begin, begin + slot.rise, end, emotion, au=units, kind="macro")
    return [sample, macro]


FAULTS = {
    "offset_zero": (_row(15, "anger1", 91, 201, 205, 209, "negative", offset=0),),
    "apex_zero": (_row(16, "anger1", 92, 201, 205, 209, "positive", apex=0),),
    "misplaced_folder": (_row(23, "happy2", 93, 11, 15, 19, "positive", disk={"home": "s19"}),),
    "folder_missing": (_row(40, "anger1", 94, 11, 15, 19, "others", on_disk=False),),
    "stray_files": (_row(19, "anger1", 95, 201, 205, 209, "surprise"),),
    "truncated_jpeg": (_row(20, "anger1", 96, 201, 205, 209, "negative"),),
    "doubled_folder": (),
}


def _sheets(samples: list[Sample], planted: tuple[str, ...]) -> dict[str, Book]:
    rows: list[list[Cell]] = []
    for s in samples:
        participant = 1 + PEOPLE.index(int(s.subject[1:]))
        numbers: list[Cell] = [participant, s.clip, s.onset, s.apex, s.offset]
        rows.append([*numbers, s.au, s.emotion, f"{s.kind}-expression", "invented"])
    people: list[list[Cell]] = [[number, f"s{number}", n] for n, number in enumerate(PEOPLE, start=1)]
    videos: list[list[Cell]] = [[code, name] for name, (code, _) in VIDEOS.items()]
    return {SHEET: {"CASFEcode_final": rows, "naming rule1": people, "naming rule2": videos}}


RECIPE = Recipe(
    subjects=tuple(f"s{n}" for n in PEOPLE),
    emotions=("negative", "positive", "surprise", "others"),
    layouts=(
        Layout("raw_full", "rawpic/{home}/{film}", "img{n:03d}.jpg", head=12),
        Layout("raw", "selectedpic/{subject}/{clip}", "img{n}.jpg"),
        Layout("cropped", "cropped/{subject}/{clip}", "img{n}.jpg", aspect=1.0, vary=True),
    ),
    make=_sound,
    faults=FAULTS,
    sheets=_sheets,
)
