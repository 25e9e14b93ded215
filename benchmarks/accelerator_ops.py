"""What `accelerator.py` measures beside fold-steps: ceilings, one convolution, optical flow, inputs, augmentation."""

import functools
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from accelerator_lines import CLASSES, SUBJECTS
from accelerator_tasks import Plain

from merjax import loso, parallel, train
from merjax.models import layers
from merjax.ops import augment, rank_pool, tvl1

LAYERS = ((64, 28, 3, 16, 1), (32, 28, 16, 32, 2), (16, 56, 64, 64, 1))  # batch, side, channels, features, stride
TINY_LAYERS = ((2, 8, 3, 4, 1), (2, 8, 4, 4, 2), (2, 4, 8, 8, 1))


@functools.lru_cache(2)
def noise(shape: tuple[int, ...]) -> np.ndarray:
    """Random numbers, and not ones, with which a card would take less power and be faster."""
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def ceilings(*, tiny: bool) -> list[Plain]:
    """How fast the device multiplies matrices and copies memory."""
    side, length = (128, 2**16) if tiny else (8192, 2**28)
    if jax.default_backend() == "cpu" and not tiny:
        side, length = 2048, 2**24
    kinds = {
        "bfloat16": (jnp.bfloat16, "default"),
        "float32, default precision": (jnp.float32, "default"),
        "float32, highest precision": (jnp.float32, "highest"),
    }

    def square(kind: Any) -> tuple:
        return (jnp.asarray(noise((side, side)), kind),)

    tasks = [
        Plain(
            "ceiling",
            {"what": f"matrix product in {name}"},
            partial(lambda a, precision: jnp.matmul(a, a, precision=precision), precision=precision),
            partial(square, kind),
            lambda s: {"multiply_adds_a_second": side**3 / s},
        )
        for name, (kind, precision) in kinds.items()
    ]
    copy = Plain(
        "ceiling",
        {"what": "copy, read and written"},
        lambda a: a + 1.0,
        lambda: (jnp.ones(length),),
        lambda s: {"bytes_a_second": 8.0 * length / s},
    )
    return [*tasks, copy]


def convolutions(*, tiny: bool) -> list[Plain]:
    """One layer's value and gradient over folds, by every way to have it."""
    folds = 2 if tiny else 8
    tasks = []
    for batch, side, channels, features, stride in TINY_LAYERS if tiny else LAYERS:
        shapes = ((folds, 3, 3, channels, features), (folds, batch, side, side, channels))
        products = 3.0 * 9 * channels * features * batch * (side // stride) ** 2

        def made(shapes: tuple = shapes) -> tuple:
            return tuple(0.1 * jnp.asarray(noise(shape)) for shape in shapes)

        for way, function in ways_of(stride).items():
            tasks.append(
                Plain(
                    "convolution",
                    {
                        "layer": f"{batch} x {side} x {side} x {channels} to {features}, stride {stride}",
                        "way": way,
                        "folds": folds,
                    },
                    function,
                    made,
                    lambda s, products=products: {
                        "us_a_fold": 1e6 * s / folds,
                        "multiply_adds_a_second": products * folds / s,
                    },
                )
            )
    return tasks


def ways_of(stride: int) -> dict[str, Callable]:
    """Functions of stacked kernels and images: the value of a 3 x 3 layer's sum of squares, and both gradients."""

    def ours(kernel: jax.Array, x: jax.Array) -> jax.Array:
        return layers.convolve(x, kernel, stride, 1)

    def own(kernel: jax.Array, x: jax.Array) -> jax.Array:
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, (stride, stride), [(1, 1)] * 2, dimension_numbers=numbers)

    def with_gradient(convolve: Callable) -> Callable:
        def function(kernel: jax.Array, x: jax.Array) -> tuple:
            y, back = jax.vjp(convolve, kernel, x)
            return (y * y).sum(), back(2.0 * y)

        return function

    one = with_gradient(own)
    return {
        "merjax's, vmap": jax.vmap(with_gradient(ours)),
        "XLA's, vmap of the gradient": jax.vmap(one),
        "XLA's, gradient of the vmap": with_gradient(jax.vmap(own)),
        "XLA's, map": lambda kernel, x: jax.lax.map(lambda pair: one(*pair), (kernel, x)),
    }


def inputs(*, tiny: bool) -> list[Plain]:
    """TV-L1 flow, rank pooling, augmentation, the order of the batches."""
    return [*flow(tiny=tiny), *pooling(tiny=tiny), *augmentation(tiny=tiny), order(tiny=tiny)]


def flow(*, tiny: bool) -> list[Plain]:
    """TV-L1 of pairs, some of them side by side."""
    side, most = (16, 2) if tiny else (224, 32)

    def pairs(count: int) -> tuple:
        # Waves in many directions, moved by half a pixel: a texture that can be followed everywhere.
        rng = np.random.default_rng(0)
        down, right = np.mgrid[:side, : side + 1].astype(np.float32)
        angles, lengths = rng.uniform(0, 2 * np.pi, 24), rng.uniform(1.5, 12.0, 24)
        waves = [np.sin((right * np.cos(a) + down * np.sin(a)) / size) for a, size in zip(angles, lengths, strict=True)]
        image = 128.0 + 10.0 * np.sum(waves, 0)
        first = np.stack([np.roll(image, i, 0) for i in range(count)]).astype(np.float32)
        return jnp.asarray(first[..., :-1]), jnp.asarray((first[..., :-1] + first[..., 1:]) / 2)

    return [
        Plain(
            "tvl1",
            {"side": side, "chunk": chunk, "pairs": count},
            partial(tvl1.tvl1_pairs, chunk=chunk),
            partial(pairs, count),
            lambda s, count=count: {"ms_a_pair": 1e3 * s / count},
        )
        for chunk, count in (((1, 2), (2, 2)) if tiny else ((1, 4), (8, most), (32, most)))
    ]


def pooling(*, tiny: bool) -> list[Plain]:
    """The dynamic image of one clip, and of several under vmap."""
    frames, side, clips = (6, 16, 2) if tiny else (67, 224, 16)

    def made(count: int) -> tuple:
        values = np.random.default_rng(0).integers(0, 256, (count, frames, side, side, 3), np.uint8)
        return jnp.asarray(values[0] if count == 1 else values), jnp.int32(frames)

    functions = {1: rank_pool.dynamic_image, clips: jax.vmap(rank_pool.dynamic_image, (0, None))}
    return [
        Plain(
            "rank_pooling",
            {"frames": frames, "side": side, "clips": count},
            function,
            partial(made, count),
            lambda s, count=count: {"us_a_clip": 1e6 * s / count},
        )
        for count, function in functions.items()
    ]


def augmentation(*, tiny: bool) -> list[Plain]:
    """Rotation and shift of a batch of two streams."""
    batch, side = (2, 8) if tiny else (32, 224)

    def made() -> tuple:
        keys = jax.random.split(jax.random.key(0), batch)
        return keys, jnp.ones((batch, 2, side, side, 3))

    changes = {"rotation": {"degrees": 10.0, "shifts": 0}, "shift": {"degrees": 0.0, "shifts": 2}}
    return [
        Plain(
            "augmentation",
            {"change": name, "batch": batch, "side": side},
            jax.vmap(partial(augment.random_augment, vector=False, flips=False, **change)),
            made,
            lambda s: {"us_a_batch": 1e6 * s},
        )
        for name, change in changes.items()
    ]


def order(*, tiny: bool) -> Plain:
    """The order of a step's batch, of many folds at once."""
    folds, batch = (2, 2) if tiny else (26, 64)

    def made() -> tuple:
        clips = np.arange(4 * SUBJECTS)
        table = parallel.table((0,), loso.folds(clips % CLASSES, clips % SUBJECTS))
        some = jax.tree.map(lambda a: a[:folds], table)
        return parallel.place_rows(some, parallel.fold_mesh("vmap"))

    return Plain(
        "batch_order",
        {"folds": folds, "batch": batch},
        jax.vmap(lambda key, fold: train.batch_rows(key, jnp.int32(3), fold, batch, 2)),
        made,
        lambda s: {"us_a_step": 1e6 * s},
    )
