"""TV-L1 optical flow: the motion that is smooth in total variation and keeps grey levels, robustly.

It minimises the sum over pixels of lam |second(x + u) - first(x)| + |grad u| + |grad v|, coarse to fine (Zach, Pock,
Bischof 2007; Sanchez, Meinhardt-Llopis, Facciolo, IPOL 2013). At each scale `second` is warped by the flow so far and
linearised; then a data step, which a threshold solves per pixel, takes turns with a smoothing step in dual variables.

Grey levels are 0..255. Planes are [h w], one for each unknown, so that every step is a few shifted sums: the only
gather is the warp, and a TPU warps without one. A pair stops by its own convergence, also under `vmap`, where a
finished pair is kept as it is.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from merjax.ops.batch import at_once
from merjax.types import Host, InputError

SMALLEST = 16  # pixels; a coarser scale would be shorter than this on one side and is left out
FLAT = 1e-10  # squared gradient below which a pixel says nothing about motion


def steps_between_looks() -> int:
    """Steps between two looks at convergence.

    The host reads a loop's condition back from an accelerator at every look. 10 is OUR CHOICE, not measured on a card.
    """
    return 1 if jax.default_backend() == "cpu" else 10


class Field(NamedTuple):
    """Unknowns of one scale: the flow and the dual variables of its two gradients."""

    u: Float[Array, "h w"]
    v: Float[Array, "h w"]
    u_x: Float[Array, "h w"]
    u_y: Float[Array, "h w"]
    v_x: Float[Array, "h w"]
    v_y: Float[Array, "h w"]


Progress = tuple[Array, Array, Field]  # steps or rounds taken, the change by the last step, the field


class Residual(NamedTuple):
    """Grey-level error of a flow, linear around the flow that warped: rest + x u + y v."""

    rest: Float[Array, "h w"]
    x: Float[Array, "h w"]
    y: Float[Array, "h w"]
    inverse: Float[Array, "h w"]  # 1 / (x^2 + y^2), zero where flat


def forward(image: Float[Array, "h w"]) -> tuple[Float[Array, "h w"], Float[Array, "h w"]]:
    """Right and lower neighbour minus pixel, zero in the last column and row."""
    x, y = image[:, 1:] - image[:, :-1], image[1:] - image[:-1]
    return jnp.pad(x, ((0, 0), (0, 1))), jnp.pad(y, ((0, 1), (0, 0)))


def divergence(x: Float[Array, "h w"], y: Float[Array, "h w"]) -> Float[Array, "h w"]:
    """Minus the adjoint of `forward`, for fields whose last column (of x) and row (of y) are zero."""
    return x - jnp.pad(x[:, :-1], ((0, 0), (1, 0))) + y - jnp.pad(y[:-1], ((1, 0), (0, 0)))


def gradient(image: Float[Array, "h w"]) -> tuple[Float[Array, "h w"], Float[Array, "h w"]]:
    """Central differences to the right and down, the border repeated."""
    wide = jnp.pad(image, 1, mode="edge")
    return (wide[1:-1, 2:] - wide[1:-1, :-2]) / 2, (wide[2:, 1:-1] - wide[:-2, 1:-1]) / 2


def cubic(t: Float[Array, "..."], slope: float) -> Float[Array, "..."]:
    """Kernel of cubic interpolation at a distance of t = -2..2 pixels (Keys 1981)."""
    t = jnp.abs(t)
    near = ((slope + 2) * t - (slope + 3)) * t * t + 1
    far = slope * (((t - 5) * t + 8) * t - 4)
    return jnp.where(t <= 1, near, far)


def warp(
    image: Float[Array, "h w"], u: Float[Array, "h w"], v: Float[Array, "h w"], *, slope: float = -0.5
) -> Float[Array, "h w"]:
    """The image seen at p + (u, v), by cubic interpolation; points outside take the nearest border point.

    Args:
        image: one plane.
        u: pixels to the right.
        v: pixels down.
        slope: of the kernel one pixel from its middle. -0.5 is exact for quadratic images, -0.75 is OpenCV's.

    Returns:
        A plane of the size of `image`.
    """
    h, w = image.shape
    x = jnp.clip(jnp.arange(w, dtype=u.dtype)[None, :] + u, 0, w - 1)
    y = jnp.clip(jnp.arange(h, dtype=v.dtype)[:, None] + v, 0, h - 1)
    wide = jnp.pad(image, ((1, 2), (1, 2)), mode="edge")
    fetch, multiply = (partial(way, slope=slope) for way in (_fetch, _multiply))
    return jax.lax.platform_dependent(wide, x, y, tpu=multiply, default=fetch)


def _fetch(
    wide: Float[Array, "_ _"], x: Float[Array, "h w"], y: Float[Array, "h w"], *, slope: float
) -> Float[Array, "h w"]:
    """Pixels at (x, y) by their 4 x 4 neighbours; `wide` begins one pixel before (0, 0)."""
    stride = wide.shape[1]
    pixels = wide.reshape(-1)
    left, top = jnp.floor(x), jnp.floor(y)
    corner = top.astype(jnp.int32) * stride + left.astype(jnp.int32)  # of the 4 x 4 pixels around the point

    def add_row(i: Int[Array, ""], total: Float[Array, "h w"]) -> Float[Array, "h w"]:
        row = jnp.zeros_like(total)
        for j in range(4):
            pixel = pixels.at[corner + (i * stride + j)].get(mode="promise_in_bounds")
            row = row + cubic(x - left + (1 - j), slope) * pixel
        return total + cubic(y - top + (1 - i), slope) * row

    # A loop, so that the compiler does not warp anew for each neighbour that the gradient reads.
    return jax.lax.fori_loop(0, 4, add_row, jnp.zeros_like(x))


def _multiply(
    wide: Float[Array, "_ _"], x: Float[Array, "h w"], y: Float[Array, "h w"], *, slope: float
) -> Float[Array, "h w"]:
    """The same as sums over whole columns, then over whole rows, most of whose weights are zero.

    A TPU multiplies matrices faster than it fetches single pixels.
    """

    def weights(at: Float[Array, "h w"], size: int) -> Float[Array, "h w {size}"]:
        t = at[..., None] + 1 - jnp.arange(size, dtype=at.dtype)[None, None, :]
        return jnp.where(jnp.abs(t) < 2, cubic(t, slope), 0.0)

    height, width = wide.shape
    columns = jnp.einsum("yxi,ij->yxj", weights(y, height), wide, precision="highest")
    return (columns * weights(x, width)).sum(-1)


def median_filter(image: Float[Array, "h w"], *, size: int) -> Float[Array, "h w"]:
    """Median of the size x size pixels around each, the border repeated.

    Whole planes are compared, without a sort: among any n / 2 + 2 of n values the least and the greatest cannot be the
    median, so both are dropped and the next value joins, until one is left.

    Args:
        image: one plane.
        size: odd.

    Returns:
        A plane of the size of `image`.
    """
    h, w = image.shape
    wide = jnp.pad(image, size // 2, mode="edge")
    waiting = [wide[i : i + h, j : j + w] for i in range(size) for j in range(size)]
    middle = len(waiting) // 2 + 2
    kept, waiting = waiting[:middle], waiting[middle:]
    while len(kept) > 1:
        last = len(kept) - 1
        pairs = [(i, last - i) for i in range(len(kept) // 2)]  # the lesser of each pair into the first half
        pairs += [(0, i) for i in range(1, last // 2 + 1)]  # the least to the front
        pairs += [(i, last) for i in range(len(kept) // 2, last)]  # the greatest to the back
        for i, j in pairs:
            kept[i], kept[j] = jnp.minimum(kept[i], kept[j]), jnp.maximum(kept[i], kept[j])
        kept = kept[1:-1] + waiting[:1]
        waiting = waiting[1:]
    return kept[0]


def flatten_light(planes: Float[Array, "p h w"], sigma: float) -> Float[Array, "p h w"]:
    """Images minus their blur by a Gaussian of `sigma` pixels: slow changes of light go, texture stays.

    Source: after the structure-texture split of Wedel et al. 2009; a Gaussian in place of their filter is OUR CHOICE.
    """

    def matrix(n: int) -> Float[np.ndarray, "n n"]:
        distance = np.subtract.outer(np.arange(n), np.arange(n))
        weights = np.exp(-((distance / sigma) ** 2) / 2)
        return (weights / weights.sum(1, keepdims=True)).astype(np.float32)

    _, h, w = planes.shape
    return planes - jnp.einsum("ij,pjk,lk->pil", matrix(h), planes, matrix(w), precision="highest")


def resize(planes: Float[Array, "p _ _"], size: tuple[int, int]) -> Float[Array, "p h w"]:
    """Planes in another size, by linear interpolation without smoothing."""
    return jax.image.resize(planes, (planes.shape[0], *size), method="linear", antialias=False)


def pyramid(planes: Float[Array, "p _ _"], scales: int, scale_step: float) -> list[Float[Array, "p _ _"]]:
    """The planes in several sizes, finest first; sizes below 16 pixels are left out, the finest never."""
    images = [planes]
    for scale in range(1, scales):
        height, width = (round(side * scale_step**scale) for side in planes.shape[1:])
        if min(height, width) >= SMALLEST:
            images.append(resize(images[-1], (height, width)))
    return images


def linearise(
    first: Float[Array, "h w"], second: Float[Array, "h w"], field: Field, *, slope: float = -0.5
) -> Residual:
    """Grey-level error around the flow of `field`; the gradient is that of the warped image."""
    warped = warp(second, field.u, field.v, slope=slope)
    x, y = gradient(warped)
    square = x * x + y * y
    inverse = jnp.where(square > FLAT, 1 / jnp.maximum(square, FLAT), 0.0)
    return Residual(warped - first - x * field.u - y * field.v, x, y, inverse)


def step(field: Field, residual: Residual, *, tau: float, lam: float, theta: float) -> Field:
    """One iteration: the data step, then primal and dual descent of the total variation. Arguments as `tvl1`.

    Source: Zach et al. 2007, Sanchez et al. 2013; STATED.
    """
    u, v, u_x, u_y, v_x, v_y = field
    error = residual.rest + residual.x * u + residual.y * v
    move = jnp.clip(error * residual.inverse, -lam * theta, lam * theta)
    u = u - move * residual.x + theta * divergence(u_x, u_y)
    v = v - move * residual.y + theta * divergence(v_x, v_y)

    def descend(
        x: Float[Array, "h w"], y: Float[Array, "h w"], plane: Float[Array, "h w"]
    ) -> tuple[Float[Array, "h w"], Float[Array, "h w"]]:
        dx, dy = forward(plane)
        ratio = tau / theta
        length = 1 + ratio * jnp.sqrt(dx * dx + dy * dy)
        return (x + ratio * dx) / length, (y + ratio * dy) / length

    return Field(u, v, *descend(u_x, u_y, u), *descend(v_x, v_y, v))


def settle(
    field: Field,
    one_step: Callable[[Field], Field],
    *,
    epsilon: float,
    inner: int,
    outer: int,
    median: int,
    every: int,
) -> Field:
    """Repeats a step until the flow rests: `outer` rounds of `inner` steps and one median filter, or fewer.

    Steps and rounds end when a step changes the flow by no more than `epsilon` pixels (root of the mean square).

    Args:
        field: where to start.
        one_step: gives the next field.
        epsilon: see `tvl1`, as `inner`, `outer` and `median`.
        inner: most steps of a round.
        outer: most rounds.
        median: side of the median filter.
        every: steps between two looks at convergence; those after it change nothing.
    """

    def moves(state: Progress, most: int) -> Bool[Array, ""]:
        count, change, _ = state
        return (count < most) & (change > epsilon**2)

    def again(state: Progress) -> Progress:
        count, _, old = state
        new = one_step(old)
        return count + 1, jnp.mean((new.u - old.u) ** 2 + (new.v - old.v) ** 2), new

    def again_if_it_moves(_: Array, state: Progress) -> Progress:
        moving = moves(state, inner)
        return jax.tree.map(lambda new, old: jnp.where(moving, new, old), again(state), state)

    def some(state: Progress) -> Progress:
        return jax.lax.fori_loop(1, every, again_if_it_moves, again(state))

    def one_round(state: Progress) -> Progress:
        count, _, field = state
        _, change, field = jax.lax.while_loop(partial(moves, most=inner), some, (no, infinite, field))
        u, v = median_filter(field.u, size=median), median_filter(field.v, size=median)
        return count + 1, change, field._replace(u=u, v=v)

    # Like the planes, so that they may differ between devices.
    no, infinite = jnp.zeros_like(field.u, jnp.int32, shape=()), jnp.full_like(field.u, jnp.inf, shape=())
    return jax.lax.while_loop(partial(moves, most=outer), one_round, (no, infinite, field))[2]


def tvl1(
    first: Num[Host, "h w"],
    second: Num[Host, "h w"],
    *,
    tau: float = 0.25,
    lam: float = 0.15,
    theta: float = 0.3,
    scales: int = 5,
    warps: int = 5,
    epsilon: float = 0.01,
    inner: int = 30,
    outer: int = 10,
    scale_step: float = 0.8,
    median: int = 5,
    slope: float = -0.6,
    flatten: float = 0.0,
) -> Float[Array, "h w 2"]:
    """TV-L1 flow of one pair of grey images.

    Args:
        first: grey levels 0..255, of any number type.
        second: as `first`, of the same size.
        tau: step of the dual descent, at most 0.25.
        lam: weight of the grey-level error; less is smoother.
        theta: how loosely the data step and the smooth flow are tied.
        scales: scales of the pyramid, the finest counted; those below 16 pixels are left out.
        warps: times that `second` is warped, per scale.
        epsilon: change of the flow, in pixels per step, at which a warp is done; 0 takes all steps.
        inner: most steps between two median filters.
        outer: most rounds of such steps, per warp.
        scale_step: size of a scale relative to the next finer one.
        median: side of the median filter of u and v, odd; 1 for none.
        slope: of the cubic kernel of the warp, see `warp`.
        flatten: pixels of the Gaussian blur that is taken away from both images first, against changes of light; 0 for
            none.

    Returns:
        (u right, v down) in pixels of the images: what is at p in `first` is at p + (u, v) in `second`.

    Raises:
        InputError: `median` is even.

    Source: energy and iteration STATED (Zach et al. 2007); the constants are the defaults of OpenCV's DualTVL1. Which
    flow the papers use is UNKNOWN (methods 1.4). OUR CHOICE: the gradient of the warped image, not the warped
    gradient; the median after the steps, not before; a slope between those of Catmull-Rom and OpenCV; `flatten`.
    """
    if median % 2 == 0:
        raise InputError(f"median is {median}; it must be odd")

    pair = jnp.stack([jnp.asarray(first, jnp.float32), jnp.asarray(second, jnp.float32)])
    if flatten > 0:
        pair = flatten_light(pair, flatten)

    def refine(_: Array, field: Field, *, first: Float[Array, "h w"], second: Float[Array, "h w"]) -> Field:
        residual = linearise(first, second, field, slope=slope)
        one_step = partial(step, residual=residual, tau=tau, lam=lam, theta=theta)
        limits = {"inner": inner, "outer": outer, "every": steps_between_looks()}
        return settle(field, one_step, epsilon=epsilon, median=median, **limits)

    coarse_to_fine = pyramid(pair, scales, scale_step)[::-1]
    flow = jnp.zeros_like(coarse_to_fine[0])
    for planes in coarse_to_fine:
        (h, w), (old_h, old_w) = planes.shape[1:], flow.shape[1:]
        u, v = resize(flow, (h, w))
        zero = jnp.zeros_like(u)
        start = Field(u * (w / old_w), v * (h / old_h), zero, zero, zero, zero)
        end = jax.lax.fori_loop(0, warps, partial(refine, first=planes[0], second=planes[1]), start)
        flow = jnp.stack([end.u, end.v])
    return jnp.moveaxis(flow, 0, -1)


def tvl1_pairs(
    first: Num[Host, "n h w"], second: Num[Host, "n h w"], *, chunk: int | None = None, **constants: Any
) -> Float[Array, "n h w 2"]:
    """TV-L1 flow of many pairs of one size; no pair's flow depends on the others.

    Args:
        first: grey levels 0..255.
        second: as `first`.
        chunk: pairs worked on side by side, under `vmap`; 1 takes them one after the other; by default `batch.at_once`.
        **constants: keyword arguments of `tvl1`.

    Returns:
        Flow as `tvl1` gives it.
    """
    return jax.lax.map(lambda pair: tvl1(*pair, **constants), (first, second), batch_size=chunk or at_once())
