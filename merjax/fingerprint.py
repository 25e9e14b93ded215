"""The fingerprint of a run: its config, clips and splits, and how two of them differ.

A network that was trained on other clips, labels or splits than those it is tested on gives a score that means nothing.
So the fingerprint is kept in the run's folder and in every save, and compared before a run goes on or is scored again.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from merjax.files import write_json
from merjax.folder import Folder
from merjax.types import Dataset, InputError, Rows

CONFIG, DATA = "config.json", "data.json"
FREE = ("train.save_seconds", "train.chunk", "report.gallery")  # fields that change no number of a run
EXAMPLES = 3  # differences that a sentence names
WAY_ON = "give another --workdir, or --resume=false to begin anew there"


def fingerprint(
    config: dict, dataset: Dataset, digests: Sequence[str], steps: str, rows: Rows, names: Sequence[str]
) -> dict:
    """Collects what a run is made of, as JSON has it.

    Args:
        config: from `config.relevant`.
        dataset: its clips.
        digests: of what each clip's input is made from, see `prepare`.
        steps: digest of the code that makes inputs.
        rows: all trainings with their folds.
        names: of what each fold tests.

    Returns:
        The config, and as data: the classes, [database, subject, clip, class, digest] of each clip, the steps, and a
        digest of the clips that each training is trained and tested on.
    """
    clips = [
        [clip.database, clip.subject, clip.clip, dataset.classes[clip.label], digest]
        for clip, digest in zip(dataset.clips, digests, strict=True)
    ]
    splits = {}
    for i, (seed, inner) in enumerate(zip(rows.seed.tolist(), rows.inner.tolist(), strict=True)):
        digest = hashlib.blake2b(digest_size=8)
        for numbers, mask in ((rows.fold.train, rows.fold.train_mask), (rows.fold.test, rows.fold.test_mask)):
            digest.update(np.asarray(numbers[i][mask[i]], np.int64).tobytes() + b"|")
        splits[f"{names[i % len(names)]} under seed {seed}{' to choose its epoch' * inner}"] = digest.hexdigest()
    data = {"classes": list(dataset.classes), "clips": clips, "steps": steps, "splits": splits}
    return json.loads(json.dumps({"config": config, "data": data}))


def earlier(folder: Folder, *, resume: bool, saved: Iterable[dict | None] = ()) -> dict | None:
    """The fingerprint of the run that a folder holds and that is to be gone on with; None if there is none.

    Args:
        folder: of the run.
        resume: False to begin anew, whatever it holds.
        saved: fingerprints in the saves of the folder, which count where the folder's own files are gone.

    Raises:
        InputError: the folder holds a run, and nothing says of what.
    """
    if not resume or not folder.files - {CONFIG, DATA}:
        return None
    before = next((one for one in (read(folder.path), *saved) if one), None)
    if before is None:
        raise InputError(
            f"{folder.path} holds a run whose {CONFIG} or {DATA} is gone or damaged, so that nothing says what it was "
            f"trained on; {WAY_ON}"
        )
    return before


def begin(folder: Folder, run: dict, before: dict | None) -> None:
    """Makes a folder that of a run: goes on with the same run in it, or removes what merjax left there.

    Args:
        folder: of the run, locked.
        run: from `fingerprint`.
        before: from `earlier`; None to begin anew.

    Raises:
        InputError: the folder holds a run that is made of something else; nothing in it is changed.
    """
    folder.run = run
    if before is not None:
        refuse(folder.path, before, run)
    if not folder.writes:
        return
    folder.clean()
    if before is None:
        folder.remove(folder.files)
    for name, content in ((CONFIG, run["config"]), (DATA, run["data"])):
        write_json(folder.own(name), content)


def refuse(path: Path, before: dict, now: dict) -> None:
    """Refuses to go on with a run that was made of something else.

    Args:
        path: of its folder.
        before: its fingerprint.
        now: the fingerprint that it should have, or the config alone.

    Raises:
        InputError: they differ; the sentence gives examples.
    """
    if changed := changes(before["config"], now["config"]):
        raise InputError(f"{path} holds a run of another config ({changed}); {WAY_ON}")
    if found := differences(before["data"], now.get("data", before["data"])):
        raise InputError(f"{path} holds a run of other data ({examples(found)}); {WAY_ON}")


def examples(found: Sequence[str]) -> str:
    """The first differences as text, and the number of the rest."""
    more = f"; and {len(found) - EXAMPLES} more" if len(found) > EXAMPLES else ""
    return f"{'; '.join(found[:EXAMPLES])}{more}"


def read(path: Path) -> dict | None:
    """The fingerprint of the run in a folder; None if it is not there whole."""
    try:
        config, data = (json.loads((path / name).read_text(encoding="utf-8")) for name in (CONFIG, DATA))
    except (OSError, ValueError):
        return None
    found = {"config": config, "data": data}
    return found if is_whole(found) else None


def is_whole(found: Any) -> bool:
    """Whether this is a fingerprint, as JSON has it."""
    if not isinstance(found, dict) or not all(isinstance(found.get(name), dict) for name in ("config", "data")):
        return False
    data = found["data"]
    clips = data.get("clips")
    return (
        data.keys() >= {"classes", "clips", "steps", "splits"}
        and isinstance(clips, list)
        and all(
            isinstance(clip, list) and len(clip) == 5 and all(isinstance(one, str) for one in clip) for clip in clips
        )
        and isinstance(data["splits"], dict)
        and isinstance(data["classes"], list)
    )


def same(before: Any, now: dict) -> bool:
    """Whether two fingerprints are of one run."""
    return is_whole(before) and not (
        changes(before["config"], now["config"]) or differences(before["data"], now["data"])
    )


def changes(before: dict, now: dict) -> str:
    """Describes how two configs differ, but for fields that change no number; "" if they do not."""
    one, other = flat(before), flat(json.loads(json.dumps(now)))
    names = [name for name in sorted(one | other) if one.get(name) != other.get(name) and name not in FREE]
    return "; ".join(f"{name} was {one.get(name)} and is {other.get(name)}" for name in names)


def differences(before: dict, now: dict) -> list[str]:
    """Lists how the data of two runs differ, a clause for each difference; none if they are the same."""
    if before == now:
        return []
    found = []
    if before["classes"] != now["classes"]:
        found.append(f"the classes were {', '.join(before['classes'])} and are {', '.join(now['classes'])}")
    one, other = ({tuple(clip[:3]): tuple(clip[3:]) for clip in data["clips"]} for data in (before, now))
    moved = {(key[0], key[2], *of): key for key, of in other.items() if key not in one}  # perhaps to another subject
    for key, (label, digest) in one.items():
        name = "/".join(key)
        if key in other:
            if other[key][0] != label:
                found.append(f"clip {name} was {label} and is {other[key][0]}")
            if other[key][1] != digest:
                found.append(f"the images of clip {name} are not those it had")
        elif new := moved.pop((key[0], key[2], label, digest), None):
            found.append(f"clip {name} is of subject {new[1]} now")
        else:
            found.append(f"clip {name} is gone")
    found += [f"clip {'/'.join(key)} is new" for key in moved.values()]
    if not found and before["clips"] != now["clips"]:
        found.append("the clips stand in another order")
    if before["steps"] != now["steps"]:
        found.append("this version of merjax makes inputs by other code")
    if not found:
        one, other = before["splits"], now["splits"]
        changed = [name for name in one | other if one.get(name) != other.get(name)]
        found = [f"the fold that tests {name} has other clips" for name in changed]
    return found


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """A nested dictionary as one with dotted names."""
    found: dict[str, object] = {}
    for name, value in tree.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found
