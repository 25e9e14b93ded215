from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from merjax.ops import tvl1
from merjax.types import InputError

CONSTANTS = {"tau": 0.25, "lam": 0.15, "theta": 0.3}
SIZE = (32, 36)
flow_of = jax.jit(tvl1.tvl1)
one_scale = jax.jit(partial(tvl1.tvl1, scales=1))  # enough for small motion, and compiled sooner
shapes = st.sampled_from([(3, 8), (7, 5)])


def waves(x, y, seed=0):
    """A smooth random texture at any point, grey levels about 60 to 190."""
    rng = np.random.default_rng(seed)
    angle, length, phase = rng.uniform(0, 2 * np.pi, (3, 40))
    length = 2 * np.pi / (5 + 4 * length)
    across, down = length * np.cos(angle), length * np.sin(angle)
    terms = np.sin(x[..., None] * across + y[..., None] * down + phase)
    return 125 + 30 * terms.sum(-1) / np.sqrt(20)


def moved(u, v, size=SIZE, seed=0):
    """Two images; what is at p in the first is at p + (u, v) in the second."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    return waves(x + u, y + v, seed).astype(np.float32), waves(x, y, seed).astype(np.float32)


def error(flow, true, border=6):
    """Mean endpoint error in pixels, the border left out."""
    distance = np.linalg.norm(np.asarray(flow) - true, axis=-1)
    return float(distance[border:-border, border:-border].mean())


def slow_forward(a):
    x, y = np.zeros_like(a), np.zeros_like(a)
    x[:, :-1], y[:-1] = np.diff(a, axis=1), np.diff(a, axis=0)
    return x, y


def slow_divergence(x, y):
    """The negative transpose of the forward differences, as a matrix."""
    h, w = x.shape
    across, down = (np.eye(n, k=1) - np.eye(n) for n in (w, h))
    across[-1], down[-1] = 0, 0
    return -(x @ across) - (down.T @ y)


def slow_warp(image, u, v, slope):
    def kernel(t):
        t = abs(t)
        if t <= 1:
            return (slope + 2) * t**3 - (slope + 3) * t**2 + 1
        return slope * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0

    h, w = image.shape
    out = np.zeros((h, w))
    for i in range(h):
        for j in range(w):
            x, y = np.clip(j + u[i, j], 0, w - 1), np.clip(i + v[i, j], 0, h - 1)
            for r in range(int(np.floor(y)) - 1, int(np.floor(y)) + 3):
                for c in range(int(np.floor(x)) - 1, int(np.floor(x)) + 3):
                    pixel = image[np.clip(r, 0, h - 1), np.clip(c, 0, w - 1)]
                    out[i, j] += kernel(y - r) * kernel(x - c) * pixel
    return out


def slow_tvl1(first, second, *, tau, lam, theta, warps, epsilon, inner, outer, median, slope):
    """The same iteration, one scale, in float64 and in the words of the papers: a threshold with three cases."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    u, v = np.zeros((2, *first.shape))
    px, py, qx, qy = np.zeros((4, *first.shape))
    steps = 0
    for _ in range(warps):
        warped = slow_warp(second, u, v, slope)
        wide = np.pad(warped, 1, mode="edge")
        ix, iy = (wide[1:-1, 2:] - wide[1:-1, :-2]) / 2, (wide[2:, 1:-1] - wide[:-2, 1:-1]) / 2
        u0, v0, square = u, v, ix**2 + iy**2
        change, rounds = np.inf, 0
        while rounds < outer and change > epsilon**2:
            count, change = 0, np.inf
            while count < inner and change > epsilon**2:
                rho = warped + ix * (u - u0) + iy * (v - v0) - first
                limit = lam * theta * square
                share = np.where(rho < -limit, lam * theta, np.where(rho > limit, -lam * theta, -rho / square))
                new_u = u + share * ix + theta * slow_divergence(px, py)
                new_v = v + share * iy + theta * slow_divergence(qx, qy)
                change = np.mean((new_u - u) ** 2 + (new_v - v) ** 2)
                u, v, count, steps = new_u, new_v, count + 1, steps + 1
                for x, y, plane in ((px, py, u), (qx, qy, v)):
                    dx, dy = slow_forward(plane)
                    scale = 1 + tau / theta * np.hypot(dx, dy)
                    x[:], y[:] = (x + tau / theta * dx) / scale, (y + tau / theta * dy) / scale
            u, v = (ndimage.median_filter(plane, median, mode="nearest") for plane in (u, v))
            rounds += 1
    return np.stack([u, v], -1), steps


@pytest.mark.parametrize("epsilon", [0.0, 0.03])
def test_one_scale_equals_the_slow_version(epsilon):
    first, second = moved(0.7, -0.4, (16, 16))
    constants = dict(CONSTANTS, warps=2, epsilon=epsilon, inner=6, outer=3, median=3, slope=-0.6)
    slow, steps = slow_tvl1(first, second, **constants)
    assert steps == 36 if epsilon == 0 else 2 < steps < 36  # stops early for its own reason
    fast = jax.jit(partial(tvl1.tvl1, scales=1, **constants))(first, second)
    np.testing.assert_allclose(fast, slow, atol=2e-4)
    assert np.abs(slow).max() > 0.3


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6), shapes, st.sampled_from([-0.5, -0.75]))
def test_warp_equals_the_slow_version_plain_jit_vmap(seed, shape, slope):
    rng = np.random.default_rng(seed)
    image, u, v = (jnp.asarray(scale * rng.normal(size=shape), jnp.float32) for scale in (50, 3, 3))
    slow = slow_warp(*(np.asarray(plane, np.float64) for plane in (image, u, v)), slope)
    one = partial(tvl1.warp, slope=slope)
    for warped in (one(image, u, v), jax.jit(one)(image, u, v), jax.vmap(one)(image[None], u[None], v[None])[0]):
        np.testing.assert_allclose(warped, slow, atol=1e-2)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6), shapes, st.sampled_from([-0.5, -0.75]))
def test_warp_by_products_equals_warp_by_fetching(seed, shape, slope):
    rng = np.random.default_rng(seed)
    wide = jnp.asarray(rng.uniform(0, 255, (shape[0] + 3, shape[1] + 3)), jnp.float32)
    y, x = (jnp.asarray(rng.uniform(0, side - 1, shape), jnp.float32) for side in shape)
    fetched, multiplied = (way(wide, x, y, slope=slope) for way in (tvl1._fetch, tvl1._multiply))
    np.testing.assert_allclose(multiplied, fetched, atol=1e-3)


def test_a_tpu_warps_by_float32_products_and_a_gpu_by_fetching():
    plane = jax.ShapeDtypeStruct((24, 20), jnp.float32)
    traced = jax.jit(tvl1.tvl1).trace(plane, plane)
    tpu, gpu = (traced.lower(lowering_platforms=(name,)).as_text() for name in ("tpu", "cuda"))
    assert "gather" not in tpu
    assert "gather" in gpu
    products = [line for line in tpu.splitlines() if "dot_general" in line]
    assert not [line for line in products if "precision = [HIGHEST, HIGHEST]" not in line]
    assert products


def test_warp_by_whole_pixels_moves_and_by_parts_keeps_a_parabola():
    y, x = np.mgrid[:8, :9].astype(np.float32)
    image = jnp.asarray(x**2 + 3 * y)
    two, third = jnp.full((8, 9), 2.0), jnp.full((8, 9), 1 / 3)
    np.testing.assert_array_equal(tvl1.warp(image, two, 0 * two)[:, :-2], image[:, 2:])
    inside = tvl1.warp(image, third, third)[1:-2, 1:-2]
    np.testing.assert_allclose(inside, ((x + 1 / 3) ** 2 + 3 * (y + 1 / 3))[1:-2, 1:-2], atol=1e-4)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6), shapes, st.sampled_from([1, 3, 5]))
def test_median_filter_equals_scipy_plain_jit_vmap(seed, shape, size):
    image = np.random.default_rng(seed).integers(0, 20, shape).astype(np.float32)  # with ties
    slow = ndimage.median_filter(image, size, mode="nearest")
    one = partial(tvl1.median_filter, size=size)
    for filtered in (one(jnp.asarray(image)), jax.jit(one)(image), jax.vmap(one)(jnp.asarray(image)[None])[0]):
        np.testing.assert_array_equal(filtered, slow)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6), shapes)
def test_forward_and_divergence_equal_the_slow_versions(seed, shape):
    image, x, y = np.random.default_rng(seed).normal(size=(3, *shape)).astype(np.float32)
    x[:, -1], y[-1] = 0, 0
    for fast, slow in zip(tvl1.forward(jnp.asarray(image)), slow_forward(image), strict=True):
        np.testing.assert_allclose(fast, slow, atol=1e-6)
    np.testing.assert_allclose(tvl1.divergence(jnp.asarray(x), jnp.asarray(y)), slow_divergence(x, y), atol=1e-5)


def test_flatten_light_takes_away_a_normalised_blur(rng):
    planes = rng.uniform(0, 255, (2, 20, 23)).astype(np.float32)
    blur = partial(ndimage.gaussian_filter, sigma=(0, 3, 3), mode="constant", truncate=12.0)
    expected = planes - blur(planes.astype(np.float64)) / blur(np.ones((2, 20, 23)))
    np.testing.assert_allclose(tvl1.flatten_light(jnp.asarray(planes), 3.0), expected, atol=1e-2)
    assert float(jnp.abs(tvl1.flatten_light(jnp.full((1, 20, 23), 90.0), 3.0)).max()) < 1e-3


def test_small_sizes_have_fewer_scales():
    def sizes(h, w):
        return [planes.shape for planes in tvl1.pyramid(jnp.zeros((1, h, w)), 5, 0.8)]

    assert sizes(28, 30) == [(1, 28, 30), (1, 22, 24), (1, 18, 19)]
    assert sizes(9, 12) == [(1, 9, 12)]
    assert len(sizes(64, 64)) == 5


def test_equal_images_have_no_flow(rng):
    image = rng.integers(0, 256, SIZE, dtype=np.uint8).astype(np.float32)
    np.testing.assert_allclose(one_scale(image, image), np.zeros((*SIZE, 2)), atol=1e-5)
    flat = np.full((9, 13), 7, np.uint8)
    assert not np.asarray(flow_of(flat, flat)).any()


def test_bytes_and_floats_give_one_flow(rng):
    first, second = rng.integers(0, 256, (2, 9, 13), dtype=np.uint8)
    as_floats = flow_of(first.astype(np.float32), second.astype(np.float32))
    np.testing.assert_allclose(flow_of(first, second), as_floats, atol=1e-4)


@pytest.mark.parametrize(("u", "v"), [(0.4, -0.25), (-0.1, 0.05), (1.3, 0.8)])
def test_a_translation_is_found(u, v):
    assert error(one_scale(*moved(u, v)), [u, v]) < 0.03


def test_the_mirrored_pair_has_the_mirrored_flow_with_u_negated():
    first, second = moved(0.6, 0.3)
    flow, mirrored = (np.asarray(one_scale(*pair)) for pair in ((first, second), (first[:, ::-1], second[:, ::-1])))
    # Not to the last digit: forward differences are not symmetric.
    np.testing.assert_allclose((mirrored[:, ::-1] * [-1, 1])[6:-6, 6:-6], flow[6:-6, 6:-6], atol=0.03)


@pytest.mark.parametrize(("chunk", "most"), [(1, 1e-5), (3, 1e-3)])
def test_a_pair_does_not_depend_on_its_batch(chunk, most, rng):
    """Pairs stop at different steps, mapped (chunk 1) or under vmap; a noisy one that goes on changes no other."""
    pairs = [moved(0.3, 0.2), moved(0.0, 0.0), tuple(rng.uniform(0, 255, (2, *SIZE)).astype(np.float32))]
    first, second = (np.stack(images) for images in zip(*pairs, strict=True))
    alone = np.stack([one_scale(*pair) for pair in pairs])
    together = jax.jit(partial(tvl1.tvl1_pairs, chunk=chunk, scales=1))(first, second)
    np.testing.assert_allclose(together[:2], alone[:2], atol=most)
    assert float(jnp.abs(together[1]).max()) < 1e-4
    assert float(jnp.abs(together[2]).max()) > 0.5


@pytest.mark.parametrize("inner", [30, 7])
def test_looking_at_convergence_less_often_changes_nothing(monkeypatch, rng, inner):
    pairs = [moved(0.3, 0.2), moved(0.0, 0.0), tuple(rng.uniform(0, 255, (2, *SIZE)).astype(np.float32))]
    first, second = (jnp.asarray(np.stack(images)) for images in zip(*pairs, strict=True))
    flows = []
    for steps in (1, 10):
        monkeypatch.setattr(tvl1, "steps_between_looks", lambda steps=steps: steps)
        one = partial(tvl1.tvl1, scales=2, inner=inner)
        flows.append((jax.jit(lambda *pair, one=one: one(*pair))(*pairs[0]), jax.jit(jax.vmap(one))(first, second)))
    for often, seldom in zip(*flows, strict=True):
        np.testing.assert_allclose(seldom, often, atol=1e-3)


def test_pairs_can_be_spread_over_devices():
    pair = moved(0.3, 0.2)
    first, second = (np.stack([image] * 2) for image in pair)
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:2]), ("device",))
    share = jax.P("device")
    pairs = jax.shard_map(partial(tvl1.tvl1_pairs, scales=1), mesh=mesh, in_specs=(share, share), out_specs=share)
    np.testing.assert_allclose(jax.jit(pairs)(first, second), np.stack([one_scale(*pair)] * 2), atol=1e-5)


def test_more_light_disturbs_little_and_less_after_flattening():
    true = [0.3, -0.2]
    first, second = moved(*true)
    plain = error(one_scale(first, 1.02 * second), true)
    flattened = error(jax.jit(partial(tvl1.tvl1, scales=1, flatten=16.0))(first, 1.02 * second), true)
    assert flattened < 0.05 < plain < 0.3


def test_no_golden_pair_is_worse_than_opencv():
    with np.load(REPOSITORY / "tests" / "golden" / "opencv_flow.npz") as golden:
        for i in range(3):
            true = golden[f"{i}/true"]
            ours = error(flow_of(golden[f"{i}/first"], golden[f"{i}/second"]), true, border=8)
            assert ours <= error(golden[f"{i}/tvl1"], true, border=8)


def test_an_even_median_is_refused():
    with pytest.raises(InputError, match="median is 4; it must be odd"):
        tvl1.tvl1(jnp.zeros((8, 8)), jnp.zeros((8, 8)), median=4)
