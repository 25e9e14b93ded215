"""SMIC: clips of spontaneous micro-expressions by a fast (HS), a normal (VIS) and an infrared (NIR) camera.

It has no sheet: a clip's folder is its annotation, `HS/s1/micro/negative/s1_ne_01`. Nobody marked an apex.
"""

import re
from pathlib import Path

from merjax.data import frames
from merjax.data.record import Accounted, Record
from merjax.data.repair import Numbers, finished, record
from merjax.types import InputError, pick

FPS = {"smic_hs": 100.0, "smic_vis": 25.0, "smic_nir": 25.0}  # by the camera, one data set each
RELEASES = {"cropped": ("SMIC_all_cropped",), "raw": ("SMIC_all_raw",)}


def records(
    root: Path, *, dataset: str = "smic_hs", release: str = "", sheet: str = "", repair: str = "flag"
) -> Accounted[Record]:
    """Reads every micro-expression of one camera; the clips of `non_micro` are left out.

    Onset and offset are the first and the last frame of the clip's folder. A folder whose numbers have a hole has the
    code `frame_gap`. Where releases lie side by side, cropped faces are taken before recorded frames (OUR CHOICE).

    Args:
      root: folder that holds the releases.
      dataset: `smic_hs`, `smic_vis` or `smic_nir`.
      release: `cropped`, `raw` (onset to offset), or empty for the first there is.
      sheet: stays empty.
      repair: `flag` keeps every clip, `strict` drops every clip with an issue, `none` is the same as `flag` here.

    Returns:
      Clips by subject and clip; their emotion is the name of the folder that they lie in.

    Raises:
      InputError: no such data set or release, no clip in it, one clip in two folders, or a sheet is named.
    """
    fps = pick(FPS, "data.name", dataset)
    if sheet:
        raise InputError(f"data.sheet is '{sheet}', but {dataset} has no sheet: leave it empty.")
    root = frames.absolute(root)
    camera = dataset.removeprefix("smic_")
    found = frames.release(root, RELEASES, camera, release)
    place = found.folders[camera]
    place = frames.subfolders(place).get(camera, place)  # unzipping may have doubled it
    clips = []
    for subject, emotion, clip, path in _clips(place):
        folder = frames.read(path)
        ends = (folder.numbers[0], folder.numbers[-1]) if folder.numbers else (None, None)
        clips.append(
            record(
                {"emotion": emotion},
                folder,
                dataset=dataset,
                release=found.name,
                subject=subject,
                clip=clip,
                fps=fps,
                numbers=Numbers(ends[0], None, ends[1]),
                holds="clip",
                apex_given=False,
                policy=repair,
            )
        )
    return finished(clips, repair)


def subject_name(number: int) -> str:
    """The canonical name of a subject: `s01`, which SMIC writes `s1`, and SMIC-E and MEGC write `s01`."""
    return f"s{number:02}"


def clip_name(text: str) -> str:
    """The canonical name of a clip: `s1_ne_01`, as SMIC and SMIC-E write it; the list of MEGC 2019 has `s01_ne_01`.

    Any other name stays as it is.
    """
    match = re.fullmatch(r"s(\d+)_([a-z]+)_(\d+)", text.casefold())
    return f"s{int(match[1])}_{match[2]}_{int(match[3]):02}" if match else text


def _clips(place: str) -> list[tuple[str, str, str, str]]:
    """Lists subject, emotion, clip and path of every clip below the camera's folder.

    Raises:
      InputError: there is none, or two folders are one clip.
    """
    people = {name: path for name, path in frames.subfolders(place).items() if re.fullmatch(r"s\d+", name)}
    seen: dict[tuple[int, str], str] = {}
    found = []
    for name, person in people.items():
        number = int(name[1:])
        for emotion, folder in frames.subfolders(frames.subfolders(person).get("micro", "")).items():
            for path in frames.subfolders(folder).values():
                key = number, clip_name(Path(path).name)
                if key in seen:
                    raise InputError(f"{path} and {seen[key]} are one clip of one subject: remove one of the two.")
                seen[key] = path
                found.append((subject_name(number), emotion, key[1], path))
    if not found:
        raise InputError(f"{place} holds no clips: it should hold folders like s1/micro/negative/s1_ne_01.")
    return found
