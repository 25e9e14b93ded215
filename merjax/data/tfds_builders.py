"""A builder of TensorFlow Datasets, thin, on the readers; it needs the extra `tfds`, no TensorFlow.

    builder = MicroExpressions(data_dir=OUT, config="casme2-casme2_5", file_format="array_record")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=ROOT))
    clips = builder.as_data_source("train")

`build` does the first two, for any release, scheme and sheet. Nothing is downloaded, nothing is written below ROOT.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf.json_format import MessageToDict

from merjax.data import corpus, frames
from merjax.data.built import KEPT, SPLIT, packed
from merjax.data.known import KNOWN
from merjax.data.record import Record
from merjax.data.schemes import SCHEMES
from merjax.data.selection import Chosen
from merjax.types import InputError, pick

FORMAT = "array_record"  # the default of TensorFlow Datasets needs TensorFlow


@dataclasses.dataclass(kw_only=True)
class Config(tfds.core.BuilderConfig):
    """Which clips are built, by which labels.

    Attributes:
        dataset: key in `KNOWN`, or in `corpus.COMPOSITES`.
        choice: keyword arguments of `corpus.choose`, of a composite those of `corpus.choose_composite`.
        beam: the examples are made by an Apache Beam pipeline.
    """

    dataset: str
    choice: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    beam: bool = False

    @property
    def classes(self) -> list[str]:
        """Names by label."""
        if self.choice.get("own"):
            return list(self.choice["own"])
        usual = {**{name: known.scheme for name, known in KNOWN.items()}, **corpus.COMPOSITES}
        return list(pick(SCHEMES, "scheme", self.choice.get("scheme") or pick(usual, "part", self.dataset)).classes)

    def choose(self, root: str) -> Chosen:
        """The clips of a data set's folder."""
        if self.dataset in corpus.COMPOSITES:
            return corpus.choose_composite(root, **{"scheme": corpus.COMPOSITES[self.dataset], **self.choice})
        return corpus.choose((self.dataset,), root, **self.choice)


def usual() -> list[Config]:
    """A config for each data set under each of its schemes, and for the composites."""
    names = [(dataset, scheme) for dataset in KNOWN for scheme in SCHEMES if dataset in SCHEMES[scheme].groups]
    names += [(dataset, scheme) for dataset, scheme in corpus.COMPOSITES.items() if scheme]
    return [Config(name=f"{one}-{scheme}", dataset=one, choice={"scheme": scheme}) for one, scheme in names]


class MicroExpressions(tfds.core.GeneratorBasedBuilder):
    """Micro-expression clips from onset to offset, their frames as the files they were."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = usual()
    MANUAL_DOWNLOAD_INSTRUCTIONS = "manual_dir is the folder of your licensed copy: see docs/bring-your-data.md."

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=features(self.builder_config.classes),
            supervised_keys=None,
            disable_shuffling=True,  # the place of an example is that of its clip
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        root = frames.absolute(str(dl_manager.manual_dir))
        chosen = self.builder_config.choose(str(root))
        self.info.metadata[KEPT] = packed(chosen, root) | {"repair": self.builder_config.choice.get("repair", "flag")}
        return {SPLIT: self._generate_examples(chosen)}

    def _generate_examples(self, chosen: Chosen) -> Any:
        if not self.builder_config.beam:
            return examples(chosen)
        beam = pipelines()
        places = beam.Create(range(len(chosen.records)), reshuffle=True)
        return places | beam.Map(partial(keyed, chosen))


def features(classes: Sequence[str]) -> tfds.features.FeaturesDict:
    """The features of an example."""
    of = tfds.features
    return of.FeaturesDict(
        {
            "frames": of.Sequence(of.Image(shape=(None, None, 3))),
            "frame_number": of.Sequence(np.int32),
            **dict.fromkeys(("onset", "apex", "offset", "objective_class"), np.int32),
            "fps": np.float32,
            "label": of.ClassLabel(names=classes),
            **{name: of.Text() for name in ("dataset", "release", "subject", "clip", "sample_id")},
            **{name: of.Text() for name in ("emotion", "au", "apex_source", "issues")},
        }
    )


def written(classes: Sequence[str]) -> dict[str, Any]:
    """The content of features.json that TensorFlow Datasets writes for these features."""
    return MessageToDict(features(classes).to_proto())


def examples(chosen: Chosen) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every clip with its place."""
    return map(partial(keyed, chosen), range(len(chosen.records)))


def keyed(chosen: Chosen, place: int) -> tuple[int, dict[str, Any]]:
    """The clip of a place, as the features have it, and that place: whole numbers keep their order under Beam too."""
    return place, example(chosen.records[place], chosen.labels[place])


def example(record: Record, label: int) -> dict[str, Any]:
    """A clip as the features have it; positions count from 0 in `frames`, an unknown apex is -1."""
    return {
        "frames": [content(path) for path in record.frames],
        "frame_number": record.frame_numbers,
        "onset": record.onset_idx,
        "apex": -1 if record.apex_idx is None else record.apex_idx,
        "offset": record.offset_idx,
        "objective_class": record.objective_class or 0,
        "fps": record.fps,
        "label": label,
        "dataset": record.dataset,
        "release": record.release,
        "subject": record.subject,
        "clip": record.clip,
        "sample_id": record.sample_id,
        "emotion": record.emotion_raw,
        "au": record.au_raw,
        "apex_source": record.apex_source,
        "issues": ";".join(record.issues),
    }


def content(path: str) -> bytes:
    """A file as it is; one that can't be read is empty, and so a frame that can't be decoded."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def pipelines() -> ModuleType:
    """The module apache_beam.

    Raises:
        InputError: it is not installed.
    """
    try:
        import apache_beam
    except ImportError as error:
        raise InputError(
            f"a pipeline needs Apache Beam, and {error.name} is missing: pip install 'merjax[beam]'"
        ) from error
    return apache_beam


def build(root: str, out: str, config: Config, *, runner: str = "", options: Any = None) -> Path:
    """Builds a data set from the folder of a licensed copy.

    Args:
        root: the folder; nothing is written there.
        out: where data sets are built; a folder of its own is made in it.
        config: which clips; with `beam`, by the next two.
        runner: of Apache Beam; empty for its own default.
        options: its `PipelineOptions`; None for none, whatever the command line holds.

    Returns:
        The folder of the data set, what `data.root` takes.

    Raises:
        InputError: as `corpus.read`; or the folder can't be written, lies in the data set's, or holds one already.
    """
    place = frames.absolute(root)
    if Path(out).expanduser().resolve().is_relative_to(place.resolve()):
        raise InputError(f"--out={out} lies in the data set's folder {place}, where nothing is written; name another")
    if not any(place.iterdir()):  # where TensorFlow Datasets asks for a download
        raise InputError(f"{place} is empty; it should hold the files of a data set")
    if config.beam and options is None:
        options = pipelines().options.pipeline_options.PipelineOptions([])
    try:
        builder = MicroExpressions(data_dir=Path(out).expanduser(), config=config, file_format=FORMAT)
        if Path(str(builder.data_path)).exists():
            raise InputError(f"--out={out} holds a data set already, {builder.data_path}; remove it or name another")
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=place, try_download_gcs=False, beam_runner=runner or None, beam_options=options
            ),
            file_format=FORMAT,
        )
    except OSError as error:
        raise InputError(f"--out={out} can't be written: {error.strerror}") from error
    return Path(str(builder.data_path))
