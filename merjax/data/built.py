"""Reading a data set that `merjax build` wrote with TensorFlow Datasets: the same clips as from the folder itself.

Its examples hold the frames' files as they were, in array_record files; its metadata holds everything else of the
clips, so that a run knows them all before it reads a frame. Frames then go through the same `Loader`: Samples are equal
to the bit. No TensorFlow is needed.
"""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from merjax.data import corpus, frames
from merjax.data.record import ActionUnit, Record
from merjax.data.selection import Chosen
from merjax.types import Dataset, InputError

SPLIT = "train"  # the only one; folds are made from the subjects
KEPT = "merjax"  # field of the metadata


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
    tfds = library()
    builder = tfds.builder_from_directory(folder)
    kept = (builder.info.metadata or {}).get(KEPT)
    if kept is None:
        raise InputError(f"{folder} was not written by merjax build, which keeps the clips in its metadata.json")
    if repair and repair != kept["repair"]:
        raise InputError(f"data.repair is '{repair}', but {folder} was built by '{kept['repair']}': build it again")
    chosen = unpacked(kept)
    raw = tfds.decode.DeserializeMethod.RAW_BYTES  # others decode the frames, or need TensorFlow
    examples = builder.as_data_source(SPLIT, deserialize_method=raw)
    parser = tfds.core.example_parser.ExampleParserNp(builder.info.features.get_serialized_info())
    place = {record.sample_id: at for at, record in enumerate(chosen.records)}

    def held(record: Record) -> Mapping[str, bytes]:
        example = parser.parse_example(examples[place[record.sample_id]])
        if example["sample_id"] != record.sample_id.encode():
            raise InputError(f"{folder} has clip {record.sample_id} in another place than it was built: build it again")
        return dict(zip(record.frames, example["frames"], strict=True))

    return corpus.loading(chosen, apex=apex, crop=crop, size=size, held=held)


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


def unpacked(kept: Mapping[str, Any]) -> Chosen:
    """The clips that `packed` gave, after JSON has made lists of all tuples."""
    records = []
    for fields in kept["records"]:
        values: dict[str, Any] = {n: tuple(field) if isinstance(field, list) else field for n, field in fields.items()}
        records.append(Record(**values)._replace(au=tuple(ActionUnit(*unit) for unit in values["au"])))
    texts = {name: tuple(kept[name]) for name in ("classes", "labels", "told", "left_out")}
    return Chosen(name=kept["name"], records=tuple(records), **texts)
