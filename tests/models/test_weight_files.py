import builtins
import contextlib
import io
import json
import pickle
import sys
import types
import zipfile
from collections import OrderedDict

import jax.numpy as jnp
import numpy as np
import pytest

from merjax.models.weight_files import MAGIC, PROTOCOL, read_weights
from merjax.types import InputError


def safetensors(path, entries, header=None):
    """Writes a .safetensors file of (name, type's name, array)."""
    described, data = {"__metadata__": {"format": "pt"}}, b""
    for name, kind, array in entries:
        begin = len(data)
        data += array.tobytes()
        described[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [begin, len(data)]}
    header = json.dumps(described if header is None else header).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


def test_safetensors_of_every_type(rng, tmp_path):
    a = rng.normal(size=(2, 3)).astype(np.float32)
    path = safetensors(
        tmp_path / "w.safetensors",
        [
            ("a", "F32", a),
            ("half", "F16", a.astype(np.float16)),
            ("brain", "BF16", a.astype(jnp.bfloat16)),
            ("one", "I64", np.array(7, np.int64)),
        ],
    )
    weights = read_weights(path)
    assert list(weights) == ["a", "half", "brain", "one"]
    np.testing.assert_array_equal(weights["a"], a)
    np.testing.assert_array_equal(weights["half"], a.astype(np.float16))
    np.testing.assert_array_equal(weights["brain"].astype(np.float32), a.astype(jnp.bfloat16).astype(np.float32))
    assert weights["one"] == 7


def test_a_damaged_file_is_one_sentence(tmp_path):
    a = np.zeros((2, 3), np.float32)
    whole = safetensors(tmp_path / "w.safetensors", [("a", "F32", a)]).read_bytes()
    short = tmp_path / "short.safetensors"
    short.write_bytes(whole[:-1])
    with pytest.raises(InputError, match="'a' does not lie within the file"):
        read_weights(short)
    short.write_bytes(whole[:20])
    with pytest.raises(InputError, match="is damaged or of another format"):
        read_weights(short)
    odd = safetensors(tmp_path / "odd.safetensors", [("a", "F8", a)])
    with pytest.raises(InputError, match="type 'F8' are not known; those known are F64, F32"):
        read_weights(odd)
    with pytest.raises(InputError, match="is no file"):
        read_weights(tmp_path / "none.pth")
    (tmp_path / "w.h5").write_bytes(b"x")
    with pytest.raises(InputError, match=r"must end in \.safetensors, \.pth, \.pt or \.bin"):
        read_weights(tmp_path / "w.h5")
    (tmp_path / "w.pth").write_bytes(b"no pickle")
    with pytest.raises(InputError, match=r"w\.pth"):
        read_weights(tmp_path / "w.pth")


class Storage:
    """Stands for a storage of PyTorch while a test writes a pickle."""

    def __init__(self, kind, key, array):
        self.kind, self.key, self.array = kind, key, array


class Stub:
    """Pickles as a call of a function by name."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@contextlib.contextmanager
def stub_torch():
    """Stands in for PyTorch's names, which must be importable for Python to write them into a pickle."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind in ("FloatStorage", "LongStorage", "BFloat16Storage"):
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))
    for name in ("_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_qtensor"):
        function = types.FunctionType((lambda *_: None).__code__, {}, name)
        function.__module__, function.__qualname__ = "torch._utils", name
        setattr(utils, name, function)
    torch._utils = utils
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        yield torch
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def pickled(content, torch, legacy=False):
    extra = (None,) if legacy else ()

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            if isinstance(thing, Storage):
                return "storage", getattr(torch, thing.kind), thing.key, "cpu", thing.array.size, *extra
            return None

    file = io.BytesIO()
    Pickler(file, 2).dump(content)
    return file.getvalue()


def tensor(torch, storage, offset, shape, strides, build="_rebuild_tensor_v2"):
    return Stub(getattr(torch._utils, build), storage, offset, shape, strides, False, OrderedDict())


def save(path, make, legacy=False, byteorder=b"little"):
    """Writes what make(torch) returns, (content, storages), as torch.save does."""
    with stub_torch() as torch:
        content, storages = make(torch)
        head = pickled(content, torch, legacy)
    if legacy:
        parts = [pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, {"little_endian": byteorder == b"little"})]
        parts += [head, pickle.dumps([storage.key for storage in storages], 2)]
        parts += [storage.array.size.to_bytes(8, "little") + storage.array.tobytes() for storage in storages]
        path.write_bytes(b"".join(parts))
        return path
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", head)
        archive.writestr("w/byteorder", byteorder)
        for storage in storages:
            archive.writestr(f"w/data/{storage.key}", storage.array.tobytes())
    return path


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_tensors_of_torch_save(rng, tmp_path, legacy, wrapped):
    numbers = rng.normal(size=24).astype(np.float32)

    def make(torch):
        shared, count = Storage("FloatStorage", "0", numbers), Storage("LongStorage", "1", np.array([5]))
        brain = Storage("BFloat16Storage", "2", numbers.astype(jnp.bfloat16))
        part = tensor(torch, shared, 4, (2, 3), (1, 2))  # a transposed view from the middle of its storage
        state = OrderedDict(
            whole=tensor(torch, shared, 0, (4, 6), (6, 1)),
            part=Stub(torch._utils._rebuild_parameter, part, True, OrderedDict()),
            count=tensor(torch, count, 0, (), ()),
            brain=tensor(torch, brain, 0, (24,), (1,)),
        )
        state._metadata = OrderedDict({"": {"version": 1}})  # as modules leave it
        return ({"epoch": 3, "state_dict": state} if wrapped else state), [shared, count, brain]

    weights = read_weights(save(tmp_path / "w.pth", make, legacy))
    assert list(weights) == ["whole", "part", "count", "brain"]
    np.testing.assert_array_equal(weights["whole"], numbers.reshape(4, 6))
    np.testing.assert_array_equal(weights["part"], numbers[4:10].reshape(3, 2).T)
    assert weights["count"] == 5
    np.testing.assert_array_equal(weights["brain"].astype(np.float32), numbers.astype(jnp.bfloat16).astype(np.float32))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_calls_anything_is_refused_and_calls_nothing(tmp_path, legacy):
    def make(torch):
        shared = Storage("FloatStorage", "0", np.zeros(1, np.float32))
        touch = Stub(builtins.exec, f"open({str(tmp_path / 'touched')!r}, 'w').close()")
        return {"weight": tensor(torch, shared, 0, (1,), (1,)), "more": touch}, [shared]

    path = save(tmp_path / "w.pth", make, legacy)
    with pytest.raises(InputError, match=r"it holds '(__builtin__|builtins)\.exec', which is no tensor"):
        read_weights(path)
    assert not (tmp_path / "touched").exists()


def test_other_things_of_torch_are_refused_by_name(tmp_path):
    def make(torch):
        shared = Storage("FloatStorage", "0", np.zeros(1, np.float32))
        return {"weight": tensor(torch, shared, 0, (1,), (1,), "_rebuild_qtensor")}, [shared]

    with pytest.raises(InputError, match=r"it holds 'torch\._utils\._rebuild_qtensor'"):
        read_weights(save(tmp_path / "w.pth", make))


@pytest.mark.parametrize(("offset", "shape", "strides"), [(1, (4,), (1,)), (0, (2,), (9,)), (3, (2,), (-4,))])
def test_a_view_never_leaves_its_storage(tmp_path, offset, shape, strides):
    def make(torch):
        shared = Storage("FloatStorage", "0", np.zeros(4, np.float32))
        return {"weight": tensor(torch, shared, offset, shape, strides)}, [shared]

    with pytest.raises(InputError, match="damaged"):
        read_weights(save(tmp_path / "w.pth", make))


def test_other_contents_of_torch_files_are_refused(tmp_path):
    def lone(torch):
        shared = Storage("FloatStorage", "0", np.zeros(4, np.float32))
        return tensor(torch, shared, 0, (4,), (1,)), [shared]

    def repeated(torch):
        shared = Storage("FloatStorage", "0", np.zeros(4, np.float32))
        return {"weight": tensor(torch, shared, 0, (10**6, 4), (0, 1))}, [shared]

    with pytest.raises(InputError, match="holds no state dict of tensors"):
        read_weights(save(tmp_path / "w.pth", lone))
    with pytest.raises(InputError, match="larger than its storage"):
        read_weights(save(tmp_path / "w.pth", repeated))
    for legacy in (False, True):
        with pytest.raises(InputError, match="big-endian"):
            read_weights(save(tmp_path / "w.pth", lone, legacy, byteorder=b"big"))


def test_weights_from_the_hub(monkeypatch, tmp_path, rng):
    a = rng.normal(size=3).astype(np.float32)
    path, asked = safetensors(tmp_path / "model.safetensors", [("a", "F32", a)]), []

    def download(repo_id, filename):
        asked.append((repo_id, filename))
        if repo_id == "timm/none":
            raise OSError("404")
        return str(path)

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(hf_hub_download=download))
    np.testing.assert_array_equal(read_weights("hub:timm/resnet18.a1_in1k")["a"], a)
    read_weights("hub:timm/resnet18.a1_in1k/fp16/other.safetensors")
    assert asked == [
        ("timm/resnet18.a1_in1k", "model.safetensors"),
        ("timm/resnet18.a1_in1k", "fp16/other.safetensors"),
    ]
    with pytest.raises(InputError, match=r"'hub:timm/none' can't be fetched \(404\)"):
        read_weights("hub:timm/none")
    with pytest.raises(InputError, match="must be hub:owner/model"):
        read_weights("hub:resnet18")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match="install huggingface_hub"):
        read_weights("hub:timm/resnet18.a1_in1k")
