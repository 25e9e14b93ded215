"""Weights trained elsewhere, under the names of timm or torchvision, put into networks of merjax.

The path of a variable gives its name in timm (`timm_name`); the names in a torchvision file are brought to timm's
first (`in_timm`). What does not fit is an error that names it; nothing is skipped in silence.
"""

import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from merjax.models.vit import resample
from merjax.models.weight_files import read_weights
from merjax.types import InputError

__all__ = ["Report", "given", "load", "read_weights", "start"]

WHOLE: Mapping[str, str] = MappingProxyType({"": ""})
FIRST = ("conv1.weight", "features.0.weight", "conv_stem.weight", "patch_embed.proj.weight")
LAST = ("fc", "head", "head.fc", "classifier")
NAMES = (  # pattern in one of our paths, the same in timm
    (r"\.BatchNorm_0\b", ""),
    (r"^patch_embed\.", "patch_embed.proj."),
    (r"^(fc[12])\.", r"pre_logits.\1."),  # VGG19
    (r"^fc3\.", "head.fc."),
    (r"_(\d+)", r".\1"),
    (r"\b(kernel|scale)$", "weight"),
    (r"\bmean$", "running_mean"),
    (r"\bvar$", "running_var"),
)
TORCHVISION = {  # a name that tells the network: pattern in torchvision's names, the same in timm
    "classifier.6.weight": (  # VGG19
        (r"^classifier\.0\.", "pre_logits.fc1."),
        (r"^classifier\.3\.", "pre_logits.fc2."),
        (r"^classifier\.6\.", "head.fc."),
    ),
    "features.0.0.weight": (  # EfficientNet-B0
        (r"^features\.0\.0\.", "conv_stem."),
        (r"^features\.8\.0\.", "conv_head."),
        (r"^features\.0\.1\.", "bn1."),
        (r"^features\.8\.1\.", "bn2."),
        (r"^classifier\.1\.", "classifier."),
        (r"\.block\.\d\.fc1\.", ".block.se.conv_reduce."),
        (r"\.block\.\d\.fc2\.", ".block.se.conv_expand."),
        (r"^features\.1\.(\d)\.block\.0\.0\.", r"blocks.0.\1.conv_dw."),
        (r"^features\.1\.(\d)\.block\.2\.0\.", r"blocks.0.\1.conv_pw."),
        (r"^features\.1\.(\d)\.block\.0\.1\.", r"blocks.0.\1.bn1."),
        (r"^features\.1\.(\d)\.block\.2\.1\.", r"blocks.0.\1.bn2."),
        (r"\.block\.0\.0\.", ".block.conv_pw."),
        (r"\.block\.1\.0\.", ".block.conv_dw."),
        (r"\.block\.3\.0\.", ".block.conv_pwl."),
        (r"\.block\.0\.1\.", ".block.bn1."),
        (r"\.block\.1\.1\.", ".block.bn2."),
        (r"\.block\.3\.1\.", ".block.bn3."),
        (r"^features\.(\d)\.(\d)\.block\.", lambda found: f"blocks.{int(found[1]) - 1}.{found[2]}."),
    ),
    "conv_proj.weight": (  # ViT-B/16
        (r"^class_token$", "cls_token"),
        (r"^conv_proj\.", "patch_embed.proj."),
        (r"^encoder\.pos_embedding$", "pos_embed"),
        (r"^encoder\.ln\.", "norm."),
        (r"^heads\.head\.", "head."),
        (r"^encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
        (r"\.ln_([12])\.", r".norm\1."),
        (r"\.self_attention\.in_proj_", ".attn.qkv."),
        (r"\.self_attention\.out_proj\.", ".attn.proj."),
        (r"\.mlp\.(0|linear_1)\.", ".mlp.fc1."),
        (r"\.mlp\.(3|linear_2)\.", ".mlp.fc2."),
    ),
}


class Report(NamedTuple):
    """What became of a file of weights."""

    loaded: tuple[str, ...]  # names in the file, as they are
    adapted: tuple[str, ...]  # the same with what was changed
    left_out: tuple[str, ...]  # names in the file of layers that the network lacks, after its trunk
    kept: tuple[str, ...]  # paths in the network that stay as initialised


def load(
    variables: PyTree, weights: Mapping[str, np.ndarray], *, at: Mapping[str, str] = WHOLE
) -> tuple[PyTree, Report]:
    """Puts weights into a network's variables.

    The first layer takes any number of input channels: the mean over the file's channels, repeated and scaled such
    that the sum over channels stays. An embedding of positions is resampled to the network's grid. A last layer with
    another number of classes stays as initialised. All three are OUR CHOICE, the second as in timm.

    Args:
        variables: of `net.init`, or their shapes: {"params", "batch_stats"}.
        weights: by name, see `read_weights`.
        at: where in the network the weights belong: path of a module (parts joined by "/") -> its place in a network
            of this library that the weights fit whole or as a trunk. {"Trunk_0": "", "Trunk_1": ""} fills both trunks
            of AFN, {"Stage_4": "Stage_2"} makes FMANet's fifth stage the third of a ResNet.

    Returns:
        The variables, float32, and what became of every weight and variable.

    Raises:
        InputError: a path that the network lacks, a weight that it needs and the file lacks, a weight without a place,
            or a shape that does not fit.
    """
    names = in_timm(weights)
    loaded: dict[str, str] = {}
    adapted: dict[str, str] = {}
    kept: list[str] = []
    met = set()
    places = {split(place): split(role) for place, role in at.items()}

    def fill(path: tuple, leaf: Array | jax.ShapeDtypeStruct) -> Array | jax.ShapeDtypeStruct:
        parts = tuple(str(key.key) for key in path)[1:]
        place = next((place for place in places if parts[: len(place)] == place), None)
        if place is None:
            kept.append("/".join(parts))
            return leaf
        met.add(place)
        role = places[place] + parts[len(place) :]
        try:
            name = timm_name(role, module(variables["params"], parts[: len(parts) - len(role) + 1]))
        except (KeyError, IndexError, ValueError) as error:
            raise InputError(f"'{'/'.join(parts)}' of the network is no '{'/'.join(role)}' of a backbone") from error
        is_last = name.rpartition(".")[0] in LAST
        if name not in names and not is_last:
            raise InputError(f"the weights lack '{name}', which '{'/'.join(parts)}' of the network needs")
        if is_last and (name not in names or weights[names[name]].shape[0] != leaf.shape[-1]):
            kept.append("/".join(parts))
            return leaf
        value, change = fit(names[name], name, np.asarray(weights[names[name]]), leaf.shape)
        (adapted if change else loaded)[names[name]] = change
        return jnp.asarray(value, jnp.float32)

    filled = jax.tree_util.tree_map_with_path(fill, variables)
    if absent := ["/".join(place) for place in places if place not in met]:
        raise InputError(f"the network has no module '{absent[0]}'; it has {', '.join(variables['params'])}")
    left_out = {name: file for name, file in names.items() if file not in loaded and file not in adapted}
    for name, file in left_out.items():
        if not name.startswith("pre_logits.") and name.rpartition(".")[0] not in LAST:
            raise InputError(f"'{file}' of the weights has no place in the network")
    changes = tuple(f"{file}: {change}" for file, change in adapted.items())
    return filled, Report(tuple(loaded), changes, tuple(left_out.values()), tuple(kept))


def split(path: str) -> tuple[str, ...]:
    """The parts of a path; none of an empty one."""
    return tuple(path.split("/")) if path else ()


def in_timm(weights: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Names in timm -> names in the file. Counters of batches are no weights."""
    rules = next((rules for sign, rules in TORCHVISION.items() if sign in weights), ())
    return {rename(name, rules): name for name in weights if not name.endswith("num_batches_tracked")}


def rename(name: str, rules: tuple[tuple[str, str | Callable[[re.Match], str]], ...]) -> str:
    """A name after all rules, one after the other."""
    for pattern, new in rules:
        name = re.sub(pattern, new, name)
    return name


def timm_name(role: tuple[str, ...], node: PyTree) -> str:
    """The name in timm of a variable.

    Args:
        role: path in one of the networks here, or in its trunk.
        node: parameters of the module that the path begins with; they tell the blocks of a residual stage.
    """
    if role[0] == "trunk":
        return timm_name(role[1:], node[role[1]])
    stage = re.fullmatch(r"Stage_(\d+)", role[0])
    if stage:
        kind, place = role[1].split("_")
        return rename(f"layer{int(stage[1]) + 1}.{block_name(node, kind, int(place))}." + ".".join(role[2:]), NAMES)
    if role[0] == "Stem_0":
        return rename({"Conv_0": "conv1", "Norm_0": "bn1"}[role[1]] + "." + ".".join(role[2:]), NAMES)
    return rename(".".join(role), NAMES)


def block_name(stage: PyTree, kind: str, place: int) -> str:
    """The name, within its stage, of the convolution or norm (kind "Conv", "Norm") that a residual stage made there."""
    each = 3 if stage["Conv_0"]["kernel"].shape[0] == 1 else 2  # a bottleneck begins with 1 x 1
    blocks, shortcut = divmod(sum(name.startswith("Conv_") for name in stage), each)
    torch = {"Conv": "conv", "Norm": "bn"}[kind]
    made = [f"{block}.{torch}{i + 1}" for block in range(blocks) for i in range(each)]
    if shortcut:
        made.insert(each, "0.downsample." + {"Conv": "0", "Norm": "1"}[kind])
    return made[place]


def module(params: PyTree, path: tuple[str, ...]) -> PyTree:
    """The parameters of the module at a path."""
    for part in path:
        params = params.get(part, {})
    return params


def fit(file_name: str, name: str, value: np.ndarray, shape: tuple[int, ...]) -> tuple[Float[np.ndarray, "..."], str]:
    """A weight in the network's layout, and what had to change besides.

    Args:
        file_name: its name in the file.
        name: its name in timm.
        value: as in the file, output channels first.
        shape: what the network needs, output channels last.

    Raises:
        InputError: it does not fit.
    """
    given, change = value.shape, ""
    value = value.astype(np.float32)
    if value.ndim == 2 and len(shape) == 4 and value.size == math.prod(shape):  # dense over a flattened map c h w
        value = value.reshape(shape[3], shape[2], shape[0], shape[1])
    value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T if value.ndim == 2 else value
    if name in FIRST and value.ndim == len(shape) == 4 and value.shape[2] != shape[2]:
        change = f"{value.shape[2]} input channels to {shape[2]}"
        value = np.repeat(value.mean(2, keepdims=True), shape[2], axis=2) * (value.shape[2] / shape[2])
    if name == "pos_embed" and value.ndim == len(shape) == 3 and value.shape[1] != shape[1]:
        change, side = f"{value.shape[1]} positions to {shape[1]}", math.isqrt(shape[1] - 1)
        value = np.asarray(resample(jnp.asarray(value), (side, side)))
    if [size for size in value.shape if size > 1] != [size for size in shape if size > 1]:
        raise InputError(f"'{file_name}' of the weights is {given}; the network needs {shape} (output channels last)")
    return value.reshape(shape), change


def start(net: nn.Module, shape: tuple[int, ...], source: str) -> tuple[PyTree, list[str]]:
    """The variables that a network begins from.

    Args:
        net: the network; its property `weights_at` says where a backbone's weights belong, else every module named
            Trunk takes them, else the whole network.
        shape: [p h w c] of its input.
        source: see `read_weights`.

    Returns:
        {"params", "batch_stats"}, arrays where a weight was given and shapes elsewhere; and sentences that tell what
        became of the weights.

    Raises:
        InputError: a source that can't be read or weights that don't fit.
    """
    variables = jax.eval_shape(lambda key, x: net.init(key, x, train=False), jax.random.key(0), jnp.zeros((1, *shape)))
    trunks = {name: "" for name in variables["params"] if name.startswith("Trunk_")}
    at = getattr(net, "weights_at", trunks or dict(WHOLE))
    filled, told = load(variables, read_weights(source), at=at)
    lines = [f"{source}: {len(told.loaded)} tensors loaded as they are"]
    for what, names in (("adapted", told.adapted), ("left out", told.left_out), ("not in the file", told.kept)):
        if names:
            lines.append(f"{what}: {', '.join(names)}")
    return filled, lines


def given(variables: PyTree) -> frozenset[tuple[str, ...]]:
    """The paths of the parameters that `start` gave weights to."""
    leaves = jax.tree.leaves_with_path(variables["params"])
    return frozenset(
        tuple(key.key for key in path) for path, leaf in leaves if not isinstance(leaf, jax.ShapeDtypeStruct)
    )
