import contextlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import REPOSITORY

from merjax.data import DATASETS, frames
from merjax.data.built import packed, read, unpacked
from merjax.data.corpus import choose
from merjax.data.schemes import SCHEMES
from merjax.data.trees import TREES
from merjax.prepare import Recipe, prepare
from merjax.types import InputError

tfds = pytest.importorskip("tensorflow_datasets", reason="built data sets need the extra tfds")
pytest.importorskip("array_record", reason="built data sets need the extra tfds")

from merjax.data.tfds_builders import Config, MicroExpressions, build  # noqa: E402

# Where Apache Beam is installed, protobuf is older and finds fault with TensorFlow Datasets.
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")
CHOICE = {"scheme": "casme2_7", "exclude": ("casme2/sub05/EP09_05f",)}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """CASME II with every fault, a frame that is cut short among them."""
    return TREES["casme2"](tmp_path_factory.mktemp("data") / "casme2", size=32, releases=("cropped",))


@pytest.fixture(scope="module")
def folder(faulty, tmp_path_factory):
    """The same, built."""
    config = Config(name="casme2", dataset="casme2", choice=CHOICE)
    return build(str(faulty.root), str(tmp_path_factory.mktemp("built")), config)


@pytest.fixture(scope="module")
def both(faulty, folder):
    """The data set from its folder, and built."""
    options = {"size": 24, "crop": "haar", "apex": "framediff"}
    built = DATASETS["tfds"].read(str(folder), repair="flag", **options)
    return DATASETS["casme2"].read(str(faulty.root), **CHOICE, **options), built


def same(one, two):
    """Two data sets have the same clips, labels, names, frames and sentences."""
    assert (one.name, one.classes, one.left_out) == (two.name, two.classes, two.left_out)
    for first, second in zip(one.clips, two.clips, strict=True):
        assert first._replace(files=()) == second._replace(files=())
        clip, other = one.load(first), two.load(second)
        np.testing.assert_array_equal(clip.frames, other.frames, strict=True)
        assert clip.apex == other.apex
    assert one.notes() == two.notes()


def test_a_built_data_set_is_that_of_the_folder(both):
    same(*both)
    assert any("Frames that can't be decoded were passed over in 1 clip" in told for told in both[1].notes())
    assert any("is by framediff" in told for told in both[1].notes())


def test_samples_are_equal_to_the_bit(both):
    for one, two in zip(*(prepare(dataset, Recipe("dynamic_image"))[0] for dataset in both), strict=True):
        np.testing.assert_array_equal(one, two, strict=True)


def test_names_of_files_are_those_below_the_root(both, faulty, folder):
    for one, two in zip(*(dataset.clips for dataset in both), strict=True):
        assert one.files == tuple(str(faulty.root / name) for name in two.files)
    assert str(faulty.root) not in (folder / "metadata.json").read_text()


def test_examples_hold_what_the_reader_tells_of_each_clip(both, faulty, folder):
    records = both[0].load.records
    examples = tfds.builder_from_directory(folder).as_data_source("train")
    assert len(examples) == len(records)
    broken = next(f"casme2/{s.subject}/{s.clip}" for s in faulty.samples if s.fault == "truncated_jpeg")
    for place, annotation in enumerate(both[0].clips):
        if annotation.sample_id == broken:
            continue  # which TensorFlow Datasets can't decode
        example, record = examples[place], records[annotation.sample_id]
        assert example["sample_id"].decode() == record.sample_id
        assert tuple(example["frame_number"]) == record.frame_numbers
        apex = -1 if record.apex_idx is None else record.apex_idx
        assert (example["onset"], example["apex"], example["offset"]) == (0, apex, len(record.frames) - 1)
        assert (example["label"], example["objective_class"]) == (annotation.label, record.objective_class or 0)
        assert example["fps"] == record.fps
        for name, text in (("emotion", record.emotion_raw), ("au", record.au_raw), ("issues", ";".join(record.issues))):
            assert example[name].decode() == text
        for path, frame in zip(record.frames, example["frames"], strict=True):
            np.testing.assert_array_equal(frame, frames.image(path), strict=True)


def test_clips_survive_the_way_through_json(faulty):
    chosen = choose(("casme2",), str(faulty.root), **CHOICE)
    back = unpacked(json.loads(json.dumps(packed(chosen, faulty.root))))
    whole = (r._replace(frames=tuple(str(faulty.root / name) for name in r.frames)) for r in back.records)
    assert back._replace(records=tuple(whole)) == chosen


def test_a_named_config_builds_in_the_way_of_tensorflow_datasets(faulty, tmp_path):
    builder = MicroExpressions(data_dir=tmp_path, config="casme2-casme2_3", file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=faulty.root, try_download_gcs=False),
        file_format="array_record",
    )
    same(DATASETS["casme2"].read(str(faulty.root), scheme="casme2_3", size=8), read(str(builder.data_path), size=8))


def test_there_is_a_config_for_every_data_set_under_each_of_its_schemes():
    configs = MicroExpressions.builder_configs
    assert {name.partition("-")[2] for name in configs} == set(SCHEMES)
    assert configs["megc2019-megc2019"].classes == ["negative", "positive", "surprise"]
    assert configs["megc2018-megc2018"].classes == ["I", "II", "III", "IV", "V"]
    assert configs["samm-samm_5"].classes == list(SCHEMES["samm_5"].classes)


@pytest.mark.parametrize(
    ("name", "choice"), [("megc2019", {}), ("composite", {"parts": ("casme2", "samm"), "scheme": "megc2018"})]
)
def test_a_composite_is_built_of_its_data_sets(tmp_path, name, choice):
    for each in ("casme2", "samm", "smic"):
        TREES[each](tmp_path / "data" / each, faults=(), size=16, subjects=2, clips=10)
    root = str(tmp_path / "data")
    folder = build(root, str(tmp_path / "out"), Config(name="together", dataset=name, choice=choice))
    same(DATASETS[name].read(root, size=8, crop="none", **choice), read(str(folder), size=8, crop="none"))


def test_a_pipeline_of_apache_beam_builds_the_same(faulty, both, tmp_path):
    pytest.importorskip("apache_beam", reason="pipelines need apache-beam")
    config = Config(name="casme2", dataset="casme2", choice=CHOICE, beam=True)
    folder = build(str(faulty.root), str(tmp_path), config, runner="DirectRunner")
    same(both[0], read(str(folder), size=24, crop="haar", apex="framediff"))


def merjax_build(*arguments):
    program = "import sys; from merjax import cli; cli.program(); assert 'tensorflow' not in sys.modules"
    command = [sys.executable, "-c", program, "build", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)


def test_the_program_builds_without_tensorflow_and_writes_nothing_below_the_root(faulty, tmp_path):
    before = sorted(faulty.root.rglob("*"))
    done = merjax_build(str(faulty.root), "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    place = tmp_path / "micro_expressions" / "casme2" / "1.0.0"
    assert f"casme2 is in {place}; use it as --config.data.name=tfds --config.data.root={place}" in done.stdout
    assert len(read(str(place)).clips) == len(DATASETS["casme2"].read(str(faulty.root)).clips)
    assert sorted(faulty.root.rglob("*")) == before


def test_a_folder_of_several_data_sets_needs_a_name(tmp_path):
    tree = TREES["smic"](tmp_path / "smic", faults=(), size=16, clips=6, subjects=3)
    done = merjax_build(str(tree.root), f"--out={tmp_path / 'out'}")
    assert done.returncode == 2
    assert "holds smic_hs, smic_vis, smic_nir; say which: --config.data.name, " in done.stderr
    part = ["--config.data.name=smic", "--config.data.smic.part=smic_vis"]
    done = merjax_build(str(tree.root), f"--out={tmp_path / 'out'}", *part)
    assert done.returncode == 0, done.stderr
    same(
        DATASETS["smic"].read(str(tree.root), part="smic_vis", size=8, crop="none"),
        read(str(tmp_path / "out/micro_expressions/smic_vis/1.0.0"), size=8, crop="none"),
    )


def test_what_cannot_work_is_one_sentence(faulty, folder, tmp_path):
    config = Config(name="casme2", dataset="casme2", choice=CHOICE)
    with pytest.raises(InputError, match=r"lies in the data set's folder .*, where nothing is written"):
        build(str(faulty.root), str(faulty.root / "out"), config)
    with pytest.raises(InputError, match="holds a data set already"):
        build(str(faulty.root), str(folder.parents[2]), config)
    with pytest.raises(InputError, match=f"has no dataset_info.json; built data sets in it are {folder}"):
        read(str(folder.parents[2]))
    with pytest.raises(InputError, match=r"data.repair is 'strict', but .* was built by 'flag': build it again"):
        read(str(folder), repair="strict")
    with pytest.raises(InputError, match="holds no frames of this data set"):
        build(str(folder), str(tmp_path / "out"), config)
    with pytest.raises(InputError, match="scheme is 'casme2_6'; it can be casme2_7, casme2_5"):
        build(
            str(faulty.root),
            str(tmp_path / "out"),
            Config(name="casme2", dataset="casme2", choice={"scheme": "casme2_6"}),
        )
    assert not list(tmp_path.glob("out/micro_expressions/casme2/*"))
    (tmp_path / "dataset_info.json").write_bytes((folder / "dataset_info.json").read_bytes())
    (tmp_path / "features.json").write_bytes((folder / "features.json").read_bytes())
    with pytest.raises(InputError, match=r"was not written by merjax build, which keeps the clips in its metadata"):
        read(str(tmp_path))


def test_clips_in_another_place_than_their_metadata_says_are_an_error(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    kept = json.loads((copy / "metadata.json").read_text())
    kept["merjax"]["records"].reverse()
    (copy / "metadata.json").write_text(json.dumps(kept))
    dataset = read(str(copy))
    with pytest.raises(InputError, match="in another place than it was built: build it again"):
        dataset.load(dataset.clips[0])


def test_a_missing_library_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "array_record", None)
    with pytest.raises(InputError, match=r"array_record is missing: pip install 'merjax\[tfds\]'"):
        read(str(folder))


def changed(folder, place, name, change):
    """A copy of a built data set in which one JSON file is changed."""
    copy = shutil.copytree(folder, place / "copy")
    content = json.loads((copy / name).read_text(encoding="utf-8"))
    change(content)
    (copy / name).write_text(json.dumps(content), encoding="utf-8")
    return copy


def feature(content, *path):
    """A feature of features.json."""
    found = content["featuresDict"]["features"][path[0]]
    return found["sequence"]["feature"] if path[1:] else found


@pytest.mark.parametrize("path", [(), ("label",), ("frames",), ("frames", "inside")], ids=" in ".join)
@pytest.mark.parametrize("old_form", [False, True])
def test_a_folder_that_names_a_class_of_its_own_is_refused_and_its_module_is_not_imported(
    folder, tmp_path, monkeypatch, path, old_form
):
    (tmp_path / "stranger.py").write_text("import os; os.environ['MERJAX_STRANGER'] = 'ran'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MERJAX_STRANGER", "")

    def change(content):
        found = feature(content, *path) if path else content
        if old_form:
            found.clear()
            found.update(type="stranger.Feature", content={})
        else:
            found["pythonClassName"] = "stranger.Feature"

    copy = changed(folder, tmp_path, "features.json", change)
    with pytest.raises(
        InputError, match=r"features\.json is not as merjax build writes it: .*; build it again"
    ) as told:
        read(str(copy))
    assert old_form or "pythonClassName is 'stranger.Feature' and should be 'tensorflow_datasets." in str(told.value)
    assert os.environ["MERJAX_STRANGER"] == ""
    assert "stranger" not in sys.modules


def test_other_features_than_those_of_merjax_are_refused_by_name(folder, tmp_path):
    def grown(content):
        content["featuresDict"]["features"]["video"] = feature(content, "frames")

    with pytest.raises(InputError, match=r"featuresDict\.features has 'video', which should not be there"):
        read(str(changed(folder, tmp_path / "a", "features.json", grown)))
    with pytest.raises(InputError, match=r"featuresDict\.features lacks fps"):
        read(str(changed(folder, tmp_path / "b", "features.json", lambda c: c["featuresDict"]["features"].pop("fps"))))
    wider = lambda c: feature(c, "fps")["tensor"].update(dtype="float64")  # noqa: E731
    with pytest.raises(InputError, match=r"features\.fps\.tensor\.dtype is 'float64' and should be 'float32'"):
        read(str(changed(folder, tmp_path / "c", "features.json", wider)))


@pytest.mark.parametrize(
    "change",
    [
        {"fileFormat": "riegeli", "moduleName": "stranger"},
        {"splits": [{"name": "train", "filepathTemplate": "../../{DATASET}", "shardLengths": ["9"]}]},
        {"name": "../../elsewhere", "version": "9.9.9"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_dataset_info_leads_nowhere_else(both, folder, tmp_path, change):
    copy = changed(folder, tmp_path, "dataset_info.json", lambda content: content.update(change))
    again = read(str(copy), size=24, crop="haar", apex="framediff")
    np.testing.assert_array_equal(again.load(again.clips[0]).frames, both[1].load(both[1].clips[0]).frames)
    assert "stranger" not in sys.modules


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda kept: kept.pop("classes"), "merjax should have the fields name, classes, records, labels, told"),
        (lambda kept: kept.update(classes="ab"), "merjax.classes is 'ab'; it should be a list"),
        (lambda kept: kept.pop("repair"), "merjax.repair is None; it should be a text"),
        (lambda kept: kept["labels"].pop(), "25 records and 24 labels; each needs one"),
        (lambda kept: kept["labels"].__setitem__(0, 7), "merjax.labels should be places in merjax.classes, 0 to 6"),
        (lambda kept: kept["labels"].__setitem__(0, True), r"merjax.labels[0] is True; it should be a whole number"),
        (lambda kept: kept["records"][3].update(fps=float("nan")), "records[3].fps is nan; it should be a number"),
        (lambda kept: kept["records"][3].update(fps="200"), "records[3].fps is '200'; it should be a number"),
        (lambda kept: kept["records"][3].update(frames=[]), "records[3] has 0 frames and "),
        (lambda kept: kept["records"][3].update(apex_idx=99), "records[3] has "),
        (lambda kept: kept["records"][3].update(dataset="mine"), "records[3].dataset is 'mine'; it can be casme2"),
        (lambda kept: kept["records"][3].update(au=[[12, "", ""]]), "records[3].au[0] should have the fields number"),
        (lambda kept: kept["records"].append(kept["records"][0]) or kept["labels"].append(0), "one sample_id twice"),
        (lambda kept: kept["records"].pop() and kept["labels"].pop(), "examples and its metadata.json "),
    ],
)
def test_metadata_that_merjax_did_not_write_is_one_sentence(folder, tmp_path, change, sentence):
    copy = changed(folder, tmp_path, "metadata.json", lambda content: change(content["merjax"]))
    with pytest.raises(InputError) as error:
        read(str(copy))
    assert sentence in str(error.value)
    assert "build it again" in str(error.value)


@pytest.mark.parametrize("name", ["features.json", "metadata.json"])
@pytest.mark.parametrize("content", ["", "[]", "null", '{"merjax": 3}', "[" * 100_000, '{"a": 1', "\ud800"])
def test_a_json_file_that_is_cut_or_foreign_is_one_sentence(folder, tmp_path, name, content):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / name).write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match="build"):
        read(str(copy))


def test_records_that_are_damaged_missing_or_renamed_are_one_sentence(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (shard,) = copy.glob("*array_record*")
    content = shard.read_bytes()
    generator = np.random.default_rng(0)
    for cut in (0, 100, len(content) // 2, len(content) - 100):
        shard.write_bytes(content[:cut])
        only_input_errors(copy)
    for place in generator.integers(0, len(content), 20):
        shard.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
        only_input_errors(copy)
    shard.rename(copy / shard.name.replace("-of-00001", "-of-00002"))
    with pytest.raises(InputError, match=r"should hold all files micro_expressions-train\.array_record-00000-of-N"):
        read(str(copy))


def only_input_errors(folder):
    """Every clip of a damaged folder is read, or is refused in one sentence."""
    with contextlib.suppress(InputError):
        dataset = read(str(folder), size=8, crop="none")
        for clip in dataset.clips:
            with contextlib.suppress(InputError):
                dataset.load(clip)
