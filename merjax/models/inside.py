"""Looking inside a network: its attention and gate maps by name, and Grad-CAM at the last map of every stream.

Nothing is kept unless one asks: in training and in scoring the networks run as if this were not here.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from merjax.types import Host

LAST = "last_maps"  # collection of variables: what `keep` was given, by the name of the stream
NEAR = 1.4  # the sides of a map are in the same proportion as those of its image, up to this factor


class Look(NamedTuple):
    """What one clip does inside a network, small enough to be drawn."""

    cams: dict[str, Float[Host, "q y x"]]  # Grad-CAM of every stream, for each class asked for
    maps: dict[str, Float[Host, "..."]]  # attention and gates: [y, x] over the image, else a vector


def keep(net: nn.Module, x: Float[Array, "b h w c"], stream: str) -> Float[Array, "b h w c"]:
    """The last map of a stream on its way through a network: kept where one asks, replaced where one is given.

    Args:
        net: the module that calls.
        x: the map.
        stream: its name, another one for each call in a network.
    """
    if net.is_initializing():
        return x
    if net.is_mutable_collection(LAST):
        net.put_variable(LAST, stream, x)
    elif net.has_variable(LAST, stream):
        return net.get_variable(LAST, stream)
    return x


def maps(net: nn.Module, variables: PyTree, x: Float[Array, "b p h w c"]) -> dict[str, Float[Array, "b ..."]]:
    """Every attention and gate map of a network, by its path ("Fusion_0/gate"); docs/networks.md lists them.

    Args:
        net: the network.
        variables: {"params", "batch_stats"}.
        x: a batch of clips.
    """
    _, kept = net.apply(variables, x, train=False, mutable=["intermediates"])
    return _sown(kept)


def grad_cam(
    net: nn.Module, variables: PyTree, x: Float[Array, "b p h w c"], classes: Int[Array, "b q"]
) -> dict[str, Float[Array, "b q y x"]]:
    """Where each stream speaks for a class: the channels of its last map, weighed by their gradients, where positive.

    relu(sum_c w_c A_c), and w_c is the mean over places of d logit / d A_c. For ViT, A is the patches' tokens on
    their grid as they enter the last block: after it the class does not depend on them.

    A network that keeps no last map has gradient times input in its place, relu(sum_c x_c d logit / d x_c), at every
    pixel. For `Linear` the sum before the relu is what the pixel adds to the logit, so nothing is approximate there.

    Source: Selvaraju et al. 2017, STATED; which map of a network with several streams is OUR CHOICE: the last that
    belongs to one stream alone.

    Args:
        net: the network.
        variables: {"params", "batch_stats"}.
        x: a batch of clips.
        classes: those to explain, for every clip.

    Returns:
        A map for each stream at its own resolution: "stream_1", "stream_2" ("u", "v" for OFF-ApexNet), or "input_1",
        ... for gradient times input.
    """
    _, kept = net.apply(variables, x, train=False, mutable=[LAST])
    return _cams(net, variables, x, classes, kept.get(LAST))


def _cams(
    net: nn.Module, variables: PyTree, x: Float[Array, "b p h w c"], classes: Int[Array, "b q"], last: PyTree | None
) -> dict[str, Float[Array, "b q y x"]]:
    def logits(at: PyTree) -> Float[Array, "b k"]:
        if last is None:
            return jnp.asarray(net.apply(variables, at, train=False))
        return jnp.asarray(net.apply(variables | {LAST: at}, x, train=False))

    y, pull = jax.vjp(logits, x if last is None else last)
    asked = jax.nn.one_hot(classes, y.shape[-1])
    (gradient,) = jax.vmap(pull, in_axes=1)(asked)
    if last is None:
        speaks = nn.relu((gradient * x[None]).sum(-1))
        return {f"input_{i + 1}": speaks[:, :, i].swapaxes(0, 1) for i in range(x.shape[1])}

    def cam(a: Float[Array, "b y x c"], g: Float[Array, "q b y x c"]) -> Float[Array, "b q y x"]:
        return nn.relu(jnp.einsum("byxc,qbc->bqyx", a, g.mean((2, 3))))

    return {path.split("/")[-1]: m for path, m in named(jax.tree.map(cam, last, gradient)).items()}


def look(net: nn.Module, variables: PyTree, x: Float[Array, "p h w c"], classes: Int[Array, " q"]) -> Look:
    """Grad-CAM and all maps of one clip, the maps as they can be drawn; see `drawable`.

    Args:
        net: the network.
        variables: {"params", "batch_stats"}.
        x: the clip.
        classes: those to explain.
    """
    _, kept = net.apply(variables, x[None], train=False, mutable=["intermediates", LAST])
    cams, sides = _cams(net, variables, x[None], classes[None], kept.get(LAST)), (x.shape[1], x.shape[2])
    return Look(
        {name: m[0] for name, m in cams.items()},
        {name: drawable(name, m[0], sides) for name, m in _sown(kept).items()},
    )


def drawable(name: str, m: Float[Array, "..."], sides: tuple[int, int]) -> Float[Array, "..."]:
    """One clip's map as a picture over the image [y, x]; a vector stays one.

    A map of [y, x, c] is averaged over its channels. One between places [heads, n, m], whose name begins with
    "attention", becomes how much each place is looked at, the mean over heads and over the places that look; where a
    class token stands first, how much that token looks at each place.

    Args:
        name: path of the map.
        m: the map.
        sides: of the image in pixels.
    """
    if m.ndim < 3:
        return m
    if not name.split("/")[-1].startswith("attention"):
        return m.mean(-1)
    weights = m.mean(0)
    if (size := grid(m.shape[-1], sides)) is not None:
        return weights.mean(0).reshape(size)
    if (size := grid(m.shape[-1] - 1, sides)) is not None:
        return weights[0, 1:].reshape(size)
    return weights.mean(0)


def grid(count: int, sides: tuple[int, int]) -> tuple[int, int] | None:
    """Rows and columns of `count` places in about the proportion of an image's sides; None where none are."""

    def off(rows: int) -> float:
        return abs(math.log(rows * rows * sides[1] / (count * sides[0])))

    rows = min((n for n in range(1, count + 1) if count % n == 0), key=off, default=0)
    return (rows, count // rows) if rows and off(rows) < math.log(NEAR) else None


def _sown(kept: PyTree) -> dict[str, Array]:
    return {path.rpartition("/")[0]: m for path, m in named(kept.get("intermediates", {})).items()}


def named(tree: PyTree) -> dict[str, Array]:
    """The arrays of a tree by path; a place in a tuple counts as a name."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in jax.tree.leaves_with_path(tree)
    }
