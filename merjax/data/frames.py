"""Folders of frames: which release is there, which numbers its frames have, and one frame as an array."""

import os
import re
import struct
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

from merjax.types import InputError, pick

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
MAX_PIXELS = 50_000_000  # twenty times the largest camera of the data sets
_NAME = re.compile(r"^(.*?)([0-9]+)([^0-9]*)$", re.DOTALL)  # a name, around the last run of digits in it
DEPTH = 3  # folders below the root in which a release is looked for: the data set's own, its, and its repetition


class Folder(NamedTuple):
    """The frames of one clip's folder, in the order of their numbers.

    Attributes:
        files: absolute paths.
        numbers: of each file's name.
        issues: `folder_missing`, `unreadable`, `names_ambiguous` and `stray_images`, as far as they are there.
        strays: names of images that are no frames of the clip.
    """

    files: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    issues: tuple[str, ...] = ("folder_missing",)
    strays: tuple[str, ...] = ()


class Release(NamedTuple):
    """One of a data set's archives as it was found.

    Attributes:
        name: of the release.
        folders: those of the subjects (or whatever the release holds), by name in lower case.
    """

    name: str
    folders: dict[str, str]


def natural(text: str) -> tuple[list[str | int], str]:
    """A key that sorts names as people number them: clip 9 before clip 10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text)], text


def absolute(root: str | Path) -> Path:
    """The data set's folder as an absolute path.

    Raises:
      InputError: none is given, or it is missing, no folder or can't be listed.
    """
    if not str(root).strip():
        raise InputError("No folder of a data set was given: name it with --config.data.root=FOLDER.")
    folder = Path(os.path.abspath(os.path.expanduser(root)))
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise InputError(
            f"{folder} can't be read, data.root should name a data set's folder: {error.strerror}."
        ) from error
    return folder


def names(folder: str | Path) -> list[str]:
    """Names of all that lies in a folder; none if it can't be listed."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def subfolders(folder: str | Path) -> dict[str, str]:
    """Paths of the folders in a folder, links to folders too, by name in lower case and in natural order."""
    try:
        with os.scandir(folder) as entries:
            found = {
                entry.name: entry.path for entry in entries if not entry.name.startswith(".") and _is_folder(entry)
            }
    except OSError:
        return {}
    folders: dict[str, str] = {}
    for name in sorted(found, key=natural):
        folders.setdefault(name.casefold(), found[name])  # of `J` and `j` the first stays
    return folders


def by_number(folders: Mapping[str, str]) -> dict[int, str]:
    """The same folders by the number that ends their names, so that `s1` and `s01` are one; the first stays."""
    numbered: dict[int, str] = {}
    for name, path in folders.items():
        digits = number(name)
        if digits is not None:
            numbered.setdefault(digits, path)
    return numbered


def clips(folders: Mapping[str, str]) -> dict[tuple[int, str], str]:
    """Paths of the clips' folders in the subjects' folders, by the subject's number and the clip in lower case."""
    found: dict[tuple[int, str], str] = {}
    for name, at in folders.items():
        if (subject := number(name)) is not None:
            for clip, path in subfolders(at).items():
                found.setdefault((subject, clip), path)  # as by_number, but the subjects' folders are put together
    return found


def release(root: Path, releases: Mapping[str, Sequence[str]], holds: str, asked: str = "") -> Release:
    """Finds a release: a folder with one of its names that holds the right kind of folders.

    It may be the root, lie in it, or lie one level deeper in a folder with one of its names or with the root's name,
    as unzipping leaves it. Letter case, blanks, hyphens and underscores of folder names don't count.

    Args:
      root: absolute path of the data set's folder.
      releases: folder names of each release, the preferred release first. An empty name stands for the root itself.
      holds: regular expression of the folder names in the release, in lower case.
      asked: the release to take; then the root itself will do too, whatever its name. Empty takes the first found.

    Raises:
      InputError: no such release; the sentence lists what was looked for and what was found.
    """
    wanted = {asked: pick(releases, "data.release", asked)} if asked else releases
    for name, folder_names in wanted.items():
        known = {_fold(folder) for folder in folder_names} - {""}
        places = _places(str(root), known, known | {_fold(root.name)}, DEPTH)
        for place in places + [str(root)] * (bool(asked) or "" in folder_names):
            if folders := {key: path for key, path in subfolders(place).items() if re.fullmatch(holds, key)}:
                return Release(name, folders)
    expected = ", ".join(folder or "the folder itself" for folder_names in wanted.values() for folder in folder_names)
    there = sorted(names(root), key=natural)
    more = f" and {len(there) - 8} more" if len(there) > 8 else ""
    raise InputError(
        f"{root} holds no frames of this data set: expected folders like {holds} in {expected}; "
        f"found {', '.join(there[:8]) or 'nothing'}{more}."
    )


def _places(folder: str, known: set[str], passable: set[str], depth: int) -> list[str]:
    """Lists the folders with known names, outer ones first, that are reached through folders with passable names."""
    places = [folder] if _fold(os.path.basename(folder)) in known else []
    if depth:
        for path in subfolders(folder).values():
            if _fold(os.path.basename(path)) in passable:
                places += _places(path, known, passable, depth - 1)
    return places


def _fold(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.casefold())


def number(name: str) -> int | None:
    """The last run of digits of a file's name without suffix, or of a folder's name; None if it has none."""
    match = _NAME.search(name)
    return int(match[2]) if match else None


class ClipFolders(Mapping[Hashable, str]):
    """The folders of a release's clips; it remembers which of them a row has named.

    Args:
      root: of the data set.
      folders: their paths by what a row says of a clip.
    """

    def __init__(self, root: Path, folders: Mapping[Any, str]) -> None:
        self.root, self.folders, self.named = root, folders, set[str]()

    def __getitem__(self, key: Hashable) -> str:
        """The path of a folder, which is named by this."""
        self.named.add(self.folders[key])
        return self.folders[key]

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self.folders)

    def __len__(self) -> int:
        return len(self.folders)

    def unnamed(self) -> tuple[str, ...]:
        """Folders that no row has named, relative to the root."""
        rest = {os.path.relpath(path, self.root) for path in set(self.folders.values()) - self.named}
        return tuple(sorted(rest, key=natural))


def read(folder: str | None) -> Folder:
    """Lists the frames of one clip; opens none of them. None, or a folder without frames, is `folder_missing`.

    The frames of one clip are named alike but for their numbers; images with other names are `stray_images`. Names that
    say frame, img, image, or the folder's own name or that of the folder around it come before others, `flow_u_1` for
    one, and of several kinds the one with the most files is taken. Where two have as many, or others are more than
    twice as many, nothing is taken: `names_ambiguous` (all this is OUR CHOICE). Of two files with one number the
    shorter name stays, then the first in the alphabet.
    """
    if folder is None:
        return Folder()
    try:
        with os.scandir(folder) as entries:
            files = [entry.name for entry in entries if _is_frame(entry)]
    except FileNotFoundError:
        return Folder()
    except OSError:
        return Folder(issues=("unreadable",))
    kinds: dict[tuple[str, str], dict[int, str]] = {}
    for name in sorted(files, key=lambda name: (len(name), name)):
        if match := _NAME.match(os.path.splitext(name)[0]):
            kinds.setdefault((match[1].casefold(), match[3].casefold()), {}).setdefault(int(match[2]), name)
    found = _frames_among(kinds, folder)
    numbers = sorted(found)
    strays = tuple(sorted(set(files) - set(found.values()), key=natural))
    issues = () if found else ("names_ambiguous",) if kinds else ("folder_missing",)
    paths = tuple(os.path.join(folder, found[digits]) for digits in numbers)
    return Folder(paths, tuple(numbers), (*issues, *["stray_images"] * bool(strays)), strays)


def _frames_among(kinds: Mapping[tuple[str, str], dict[int, str]], folder: str) -> dict[int, str]:
    """Chooses the clip's frames among files by number, one mapping for each kind of name; none if unsure."""
    if len(kinds) < 2:
        return next(iter(kinds.values()), {})
    inner, outer = os.path.basename(folder).casefold(), os.path.basename(os.path.dirname(folder)).casefold()
    usual = {"", "img", "image", "frame", inner, outer}

    def rank(kind: tuple[str, str]) -> tuple[bool, int]:
        before, after = kind
        return not after and before.removeprefix("reg_").rstrip(" _-.") in usual, len(kinds[kind])

    best, *others = sorted(kinds, key=rank, reverse=True)
    most = 2 * len(kinds[best])
    return {} if any(rank(kind) == rank(best) or len(kinds[kind]) > most for kind in others) else kinds[best]


def _is_frame(entry: os.DirEntry[str]) -> bool:
    if not entry.name.lower().endswith(SUFFIXES) or entry.name.startswith("."):
        return False
    return os.path.isfile(entry.path) if entry.is_symlink() else entry.is_file()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # A link that leads in a circle is an error to the entry, but nothing to os.path.
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def image(path: str, content: bytes | None = None) -> UInt8[np.ndarray, "h w 3"]:
    """Decodes one frame as red, green, blue; a grey frame has three equal channels.

    The size is read from the file's header first, so that a small file that claims a huge image costs no memory.

    Args:
      path: of the file.
      content: of the file, if it does not lie on this disk.

    Raises:
      InputError: the file is missing, cut short, damaged, above 50 million pixels, or no JPEG, PNG or BMP image.
    """
    try:
        content = Path(path).read_bytes() if content is None else content
    except OSError as error:
        raise InputError(f"frame {path} can't be read: {error.strerror}.") from error
    try:
        height, width, complete = _header(content)
    except (struct.error, IndexError) as error:
        raise InputError(f"frame {path} can't be read: its header is cut short.") from error
    if height * width > MAX_PIXELS:
        raise InputError(f"frame {path} claims {height} x {width} pixels; at most {MAX_PIXELS} in all are read.")
    if not height * width:
        raise InputError(f"frame {path} is no JPEG, PNG or BMP image, which frames should be.")
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if complete else None
    if decoded is None:
        raise InputError(f"frame {path} can't be read: it is damaged or cut short.")
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def _header(content: bytes) -> tuple[int, int, bool]:
    """Reads height and width, and whether the end is there, which OpenCV does not insist on; 0, 0 of other formats."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack_from(">II", content, 16)
        return height, width, b"IEND" in content[-64:]
    if content.startswith(b"\xff\xd8"):
        return _jpeg_header(content)
    if content.startswith(b"BM"):
        start, _, width, height, _, depth, packing = struct.unpack_from("<IIiiHHI", content, 10)
        height = abs(height)  # negative where the first row is the upper one
        rows = (width * depth + 31) // 32 * 4 * height
        return height, width, packing != 0 or len(content) >= start + rows
    return 0, 0, False


def _jpeg_header(content: bytes) -> tuple[int, int, bool]:
    at, height, width = 2, 0, 0
    while True:
        while content[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker, length = struct.unpack_from(">xBH", content, at)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a start of frame, not a table
            height, width = struct.unpack_from(">HH", content, at + 5)
        if marker == 0xDA:  # the picture follows; within it the end marker can't occur
            return height, width, content.rfind(b"\xff\xd9", at + 2 + length) >= 0
        at += 2 + length
