"""Reads files of weights, `.safetensors` and PyTorch's `.pth`, in NumPy alone.

A `.pth` file is a pickle, and a pickle can call any function. Here it can only describe tensors: every other name in
it is an error, so nothing in a file is ever run.
"""

import importlib
import io
import json
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from merjax.types import InputError

SAFE = {  # names of safetensors
    **{"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": jnp.bfloat16, "BOOL": np.bool_},
    **{"I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8},
}
TORCH = {  # names of PyTorch's storages
    **{"DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16"},
    **{"LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8"},
    **{"ByteStorage": "U8", "BoolStorage": "BOOL"},
}
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # in front of the format before PyTorch 1.6
WRAPPERS = ("state_dict", "model")  # where training programs keep the weights among other things


class Tensor(NamedTuple):
    """What a pickle says of a tensor: a view into a storage, counted in entries."""

    storage: tuple[str, str]  # kind and key
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_weights(source: str | Path) -> dict[str, np.ndarray]:
    """The weights in a file, by the names that they have there.

    Args:
        source: path of a `.safetensors`, `.pth`, `.pt` or `.bin` file, or "hub:owner/model", see `resolve`.

    Raises:
        InputError: no such file, a damaged one, or one that holds anything but tensors.
    """
    path = resolve(source)
    if not path.is_file():
        raise InputError(f"weights '{path}' is no file")
    try:
        if path.suffix == ".safetensors":
            return read_safetensors(path)
        if path.suffix in (".pth", ".pt", ".bin"):
            return read_zip(path) if zipfile.is_zipfile(path) else read_legacy(path)
    except InputError as error:
        raise InputError(f"weights '{path}': {error}") from error
    except Exception as error:  # whatever a damaged file makes of the readers
        raise InputError(f"weights '{path}' is damaged or of another format ({error})") from error
    raise InputError(f"weights '{path}' must end in .safetensors, .pth, .pt or .bin")


def resolve(source: str | Path) -> Path:
    """The path of a file of weights, fetched from the Hugging Face hub where the source says so.

    Args:
        source: a path, or "hub:owner/model" for its `model.safetensors`, or "hub:owner/model/file".

    Raises:
        InputError: a hub source without `huggingface_hub` installed, of another form, or that can't be fetched.
    """
    if not str(source).startswith("hub:"):
        return Path(source).expanduser()
    parts = str(source).removeprefix("hub:").split("/", 2)
    if len(parts) < 2 or not all(parts):
        raise InputError(f"weights '{source}' must be hub:owner/model or hub:owner/model/file")
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError as error:
        message = f"weights '{source}' come from the hub; install huggingface_hub or give the path of a file"
        raise InputError(message) from error
    try:
        file = parts[2] if len(parts) == 3 else "model.safetensors"
        return Path(hub.hf_hub_download(repo_id=f"{parts[0]}/{parts[1]}", filename=file))
    except Exception as error:  # no network, no such model, no leave: its errors share no type over versions
        raise InputError(f"weights '{source}' can't be fetched ({error})") from error


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Length of the header in 8 bytes, the header in JSON, then the raw numbers, little-endian."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    weights = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        dtype = little(entry["dtype"])
        if not 0 <= begin <= end <= len(data) - start or end - begin != math.prod(entry["shape"]) * dtype.itemsize:
            raise InputError(f"'{name}' does not lie within the file")
        raw = np.frombuffer(data, np.uint8, end - begin, start + begin)
        weights[name] = raw.view(dtype).reshape(entry["shape"])
    return weights


def little(name: str) -> np.dtype:
    """The little-endian type of numbers that a name of `SAFE` stands for."""
    if name not in SAFE:
        raise InputError(f"numbers of type '{name}' are not known; those known are {', '.join(SAFE)}")
    return np.dtype(SAFE[name]).newbyteorder("<") if name != "BF16" else np.dtype(SAFE[name])


def read_zip(path: Path) -> dict[str, np.ndarray]:
    """The format of PyTorch 1.6 and later: a pickle of the tensors' places, one member a storage."""
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if len(pickles) != 1:
            raise InputError("the archive holds no tensors of torch.save")
        root = pickles[0].removesuffix("data.pkl")
        if root + "byteorder" in archive.namelist() and archive.read(root + "byteorder") != b"little":
            raise InputError("the numbers are big-endian; save the file again on a little-endian machine")
        tensors = named_tensors(restricted(io.BytesIO(archive.read(pickles[0]))).load())
        storages = {
            key: archive.read(f"{root}data/{key[1]}") for key in {tensor.storage for tensor in tensors.values()}
        }
    return {name: view(tensor, storages) for name, tensor in tensors.items()}


def read_legacy(path: Path) -> dict[str, np.ndarray]:
    """The format before PyTorch 1.6, still that of torchvision's VGG19: pickles in a row, then the storages."""
    with path.open("rb") as file:
        if restricted(file).load() != MAGIC or restricted(file).load() != PROTOCOL:
            raise InputError("no tensors of torch.save")
        if not restricted(file).load()["little_endian"]:
            raise InputError("the numbers are big-endian; save the file again on a little-endian machine")
        tensors = named_tensors(restricted(file).load())
        kinds = {key: kind for kind, key in {tensor.storage for tensor in tensors.values()}}
        storages = {}
        for key in restricted(file).load():
            size = int.from_bytes(file.read(8), "little")
            if key not in kinds:
                raise InputError(f"storage '{key}' belongs to no tensor of the weights")
            storages[kinds[key], key] = file.read(size * little(TORCH[kinds[key]]).itemsize)
    return {name: view(tensor, storages) for name, tensor in tensors.items()}


def restricted(file: Any) -> pickle.Unpickler:
    """An unpickler that makes descriptions of tensors in dictionaries, and refuses every other name."""

    # Made anew for every file: a pickle may set attributes of what it is given.
    def rebuild(storage: tuple[str, str], offset: int, shape: tuple, strides: tuple, *_: object) -> Tensor:
        return Tensor(storage, offset, tuple(shape), tuple(strides))

    def parameter(data: Tensor, *_: object) -> Tensor:
        return data

    known: dict[tuple[str, str], str | Callable] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): rebuild,
        ("torch._utils", "_rebuild_parameter"): parameter,
        **{("torch", kind): kind for kind in TORCH},
    }

    class Restricted(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) not in known:
                raise InputError(f"it holds '{module}.{name}', which is no tensor, and was not run")
            return known[module, name]

        def persistent_load(self, pid: Any) -> tuple[str, str]:
            _, kind, key, *_ = pid
            return kind, key

    return Restricted(file)


def named_tensors(content: Any) -> dict[str, Tensor]:
    """The tensors of a state dict, or of the state dict that a training program saved with other things."""
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise InputError("it holds no state dict of tensors")
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def view(tensor: Tensor, storages: Mapping[tuple[str, str], bytes]) -> np.ndarray:
    """The numbers of a tensor; NumPy refuses a view that leaves its storage."""
    dtype, buffer = little(TORCH[tensor.storage[0]]), storages[tensor.storage]
    if math.prod(tensor.shape) * dtype.itemsize > len(buffer):
        raise InputError("a tensor is larger than its storage")
    strides = tuple(step * dtype.itemsize for step in tensor.strides)
    return np.ndarray(tensor.shape, dtype, buffer, tensor.offset * dtype.itemsize, strides)
