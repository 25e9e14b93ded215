"""Reading a data set that `merjax build` wrote with TensorFlow Datasets: the same clips as from the folder itself.

Its examples hold the frames' files as they were, in array_record files; its metadata holds everything else of the
clips, so that a run knows them all before it reads a frame. Frames then go through the same `Loader`: Samples are equal
to the bit. No TensorFlow is needed.

A folder may come from anyone, and `tensorflow_datasets.builder_from_directory` imports the Python modules that a
folder's features.json names. So that function is not used: features.json must say what merjax writes, and only files of
fixed names are opened, as JSON and as records.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_origin, get_type_hints

from merjax.data import corpus, frames
from merjax.data.known import KNOWN
from merjax.data.record import Record
from merjax.data.selection import Chosen
from merjax.types import Dataset, InputError, pick

NAME = "micro_expressions"  # how its array_record files begin
SPLIT = "train"  # the only one; folds are made from the subjects
KEPT = "merjax"  # field of the metadata
MOST = {"features.json": 2**20, "metadata.json": 2**29}  # bytes; far above what any licensed data set needs
JSON = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def read(
    root: str,
    *,
    apex: str = "midpoint",
    crop: str = "auto",
    size: int = 128,
    phases: tuple[str, ...] = (),
    repair: str = "",
) -> Dataset:
    """Reads a built data set.

    Scheme, clips to exclude, frames a second and the policy for faults were settled when it was built.

    Args:
        root: the folder that `merjax build` named: the one with dataset_info.json.
        apex: as `corpus.read`.
        crop: as `corpus.read`.
        size: as `corpus.read`.
        phases: without influence, for frames can give every phase.
        repair: as it was built; empty for that.

    Raises:
        InputError: the folder holds no such data set, an argument has a fault, or tensorflow-datasets is missing.
    """
    corpus.check(apex, crop, size, "flag")
    folder = frames.absolute(root)
    if not (folder / "dataset_info.json").is_file():
        found = sorted(str(path.parent) for path in folder.glob("*/*/*/dataset_info.json"))
        raise InputError(f"{folder} has no dataset_info.json; built data sets in it are {', '.join(found) or 'none'}")
    metadata = parsed(folder / "metadata.json")
    if not isinstance(metadata, dict) or not isinstance(metadata.get(KEPT), dict):
        raise InputError(f"{folder} was not written by merjax build, which keeps the clips in its metadata.json")
    try:
        before = typed(metadata[KEPT].pop("repair", None), str, f"{KEPT}.repair")
        chosen = unpacked(metadata[KEPT])
    except InputError as error:
        raise InputError(f"{folder / 'metadata.json'}: {error}; build it again") from error
    if repair and repair != before:
        raise InputError(f"data.repair is '{repair}', but {folder} was built by '{before}': build it again")
    library()
    from merjax.data import tfds_builders  # needs the library

    wanted = tfds_builders.written(chosen.classes)
    if differs := difference(parsed(folder / "features.json"), wanted):
        raise InputError(f"{folder / 'features.json'} is not as merjax build writes it: {differs}; build it again")
    return corpus.loading(chosen, apex=apex, crop=crop, size=size, held=Content(folder, chosen))


class Content:
    """Gives the content of a clip's files by their names, from the array_record files of a built data set.

    Raises:
        InputError: a file is missing or damaged, or holds other clips than the metadata says.
    """

    def __init__(self, folder: Path, chosen: Chosen) -> None:
        from array_record.python.array_record_data_source import ArrayRecordDataSource
        from tensorflow_datasets.proto import tf_example_pb2

        self.folder, self.parse = folder, tf_example_pb2.Example.FromString
        self.place = {record.sample_id: at for at, record in enumerate(chosen.records)}
        try:
            self.examples = ArrayRecordDataSource([str(path) for path in shards(folder)])
        except (OSError, ValueError, RuntimeError, IndexError) as error:
            raise InputError(f"{folder} has a damaged array_record file ({one_line(error)}): build it again") from error
        if len(self.examples) != len(self.place):
            raise InputError(
                f"{folder} holds {len(self.examples)} examples and its metadata.json {len(self.place)} clips; "
                "build it again"
            )

    def __call__(self, record: Record) -> Mapping[str, bytes]:
        """The content of a clip's files."""
        try:
            example = self.parse(self.examples[self.place[record.sample_id]]).features.feature
        except Exception as error:  # the two libraries raise what they like on a damaged file
            raise InputError(
                f"{self.folder} has a damaged example of clip {record.sample_id} ({one_line(error)}): build it again"
            ) from error
        found = list(example["frames"].bytes_list.value)
        name = list(example["sample_id"].bytes_list.value)
        if name != [record.sample_id.encode()] or len(found) != len(record.frames):
            raise InputError(
                f"{self.folder} has clip {record.sample_id} in another place than it was built: build it again"
            )
        return dict(zip(record.frames, found, strict=True))


def shards(folder: Path) -> list[Path]:
    """The array_record files of a built data set, in their order.

    Raises:
        InputError: there is none, or one is missing.
    """
    begins = f"{NAME}-{SPLIT}.array_record-"
    found = sorted(path for path in folder.iterdir() if path.name.startswith(begins) and path.is_file())
    wanted = [f"{begins}{k:05}-of-{len(found):05}" for k in range(len(found))]
    if not found or [path.name for path in found] != wanted:
        raise InputError(
            f"{folder} should hold all files {begins}00000-of-N to N-1 and has "
            f"{', '.join(path.name for path in found) or 'none'}: build it again"
        )
    return found


def parsed(path: Path) -> Any:
    """Reads a JSON file of a built data set.

    Raises:
        InputError: it is missing, too large or no JSON.
    """
    if not path.is_file():
        raise InputError(f"{path.parent} was not written by merjax build, which keeps the clips in its {path.name}")
    try:
        with path.open("rb") as file:
            content = file.read(MOST[path.name] + 1)
        if len(content) > MOST[path.name]:
            raise InputError(f"{path} is larger than {MOST[path.name]} bytes, which merjax build never writes")
        return json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} can't be read as JSON ({one_line(error)}): build it again") from error


def difference(found: Any, wanted: Any, field: str = "") -> str:
    """The first field in which a JSON value differs from the wanted one, in words; "" if they are equal."""
    if not isinstance(found, dict) or not isinstance(wanted, dict):
        same = type(found) is type(wanted) and found == wanted
        return "" if same else f"{field} is {brief(found)} and should be {brief(wanted)}"
    if lacking := [name for name in wanted if name not in found]:
        return f"{field or 'it'} lacks {lacking[0]}"
    if foreign := [name for name in found if name not in wanted]:
        return f"{field or 'it'} has {brief(foreign[0])}, which should not be there"
    inside = (difference(found[name], wanted[name], f"{field}.{name}".lstrip(".")) for name in wanted)
    return next(filter(None, inside), "")


def brief(value: Any) -> str:
    """A JSON value in a sentence."""
    return repr(value)[:100] if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"


def one_line(error: BaseException) -> str:
    """Shortens the message of an exception to one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def library() -> ModuleType:
    """The module tensorflow_datasets.

    Raises:
        InputError: it is not installed.
    """
    try:
        import array_record  # noqa: F401
        import tensorflow_datasets
    except ImportError as error:
        raise InputError(
            f"built data sets need tensorflow-datasets, and {error.name} is missing: pip install 'merjax[tfds]'"
        ) from error
    return tensorflow_datasets


def packed(chosen: Chosen, root: Path) -> dict[str, Any]:
    """Clips as JSON can write them; the names of their files are those below the data set's folder."""
    records = [record._asdict() | {"frames": below(record, root)} for record in chosen.records]
    return chosen._asdict() | {"records": records}


def below(record: Record, root: Path) -> tuple[str, ...]:
    """The names of a clip's files below a folder, so that no name of this machine is kept."""
    return tuple(Path(path).relative_to(root).as_posix() for path in record.frames)


def unpacked(kept: object) -> Chosen:
    """The clips that `packed` gave, after they were written and read as JSON.

    Raises:
        InputError: a field is missing, or isn't what `packed` writes; the sentence names it.
    """
    chosen = typed(kept, Chosen, KEPT)
    if len(chosen.labels) != len(chosen.records):
        raise InputError(f"{KEPT} has {len(chosen.records)} records and {len(chosen.labels)} labels; each needs one")
    if not chosen.classes or len(set(chosen.classes)) < len(chosen.classes):
        raise InputError(f"{KEPT}.classes is {chosen.classes}; it should hold at least one name, and each once")
    if not all(0 <= label < len(chosen.classes) for label in chosen.labels):
        raise InputError(f"{KEPT}.labels should be places in {KEPT}.classes, 0 to {len(chosen.classes) - 1}")
    if len({record.sample_id for record in chosen.records}) < len(chosen.records):
        raise InputError(f"{KEPT}.records has one sample_id twice; each should be there once")
    for k, record in enumerate(chosen.records):
        pick(KNOWN, f"{KEPT}.records[{k}].dataset", record.dataset)
        last = len(record.frames) - 1
        places = (record.onset_idx, record.offset_idx, last if record.apex_idx is None else record.apex_idx)
        if places[:2] != (0, last) or not 0 <= places[2] <= last or len(record.frame_numbers) != last + 1:
            raise InputError(
                f"{KEPT}.records[{k}] has {last + 1} frames and {len(record.frame_numbers)} frame_numbers, with onset, "
                f"offset and apex at {', '.join(map(str, places))}; onset should be the first, offset the last frame"
            )
    return chosen


def typed(value: Any, kind: Any, field: str) -> Any:
    """A JSON value as the type that an annotation asks for.

    Args:
        value: from `json.loads`.
        kind: a class of named tuples (an object, or a list in the order of its fields), `tuple[X, ...]` (a list),
            `X | None`, or one of str, int, float and bool.
        field: its dotted name, for the sentence.

    Raises:
        InputError: it is something else.
    """
    if hints := get_type_hints(kind) if hasattr(kind, "_fields") else {}:
        if isinstance(value, list) and len(value) == len(hints):
            value = dict(zip(hints, value, strict=True))
        if not isinstance(value, dict) or value.keys() != hints.keys():
            raise InputError(f"{field} should have the fields {', '.join(hints)}, and no others")
        return kind(**{name: typed(value[name], hint, f"{field}.{name}") for name, hint in hints.items()})
    if get_origin(kind) is tuple and isinstance(value, list):
        return tuple(typed(one, get_args(kind)[0], f"{field}[{k}]") for k, one in enumerate(value))
    if type(None) in get_args(kind):
        return None if value is None else typed(value, get_args(kind)[0], field)
    accepted = (int, float) if kind is float else kind
    if kind not in JSON or not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{field} is {brief(value)}; it should be {JSON.get(kind, 'a list')}")
    if kind in (int, float) and not abs(value) < 2**53:  # NaN is no number either
        raise InputError(f"{field} is {value}; it should be a number of a clip")
    return float(value) if kind is float else value
