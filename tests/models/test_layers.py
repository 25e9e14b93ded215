import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from merjax.models import layers, norms


@pytest.mark.parametrize(("size", "stride", "channels"), [(1, 1, 4), (1, 2, 4), (3, 1, 3), (3, 2, 5), (7, 2, 3)])
@pytest.mark.parametrize("how", [layers.conv_patches, layers.conv_blocks, layers.conv_planes])
def test_convolutions_agree_with_the_native_one_and_so_do_their_gradients(
    rng, monkeypatch, how, size, stride, channels
):
    monkeypatch.setattr(layers, "PATCH_BYTES", 20_000)  # several blocks
    x = jnp.asarray(rng.normal(size=(6, 12, 11, channels)).astype(np.float32))
    kernel = jnp.asarray(rng.normal(size=(size, size, channels, 4)).astype(np.float32))

    def run(convolve):
        def total(x, kernel):
            y = convolve(x, kernel, stride)
            return jnp.sin(y).sum(), y

        (_, y), gradients = jax.value_and_grad(total, (0, 1), has_aux=True)(x, kernel)
        return y, *gradients

    for ours, native in zip(run(how), run(layers.conv_native), strict=True):
        np.testing.assert_allclose(ours, native, atol=2e-4)


@pytest.mark.parametrize("shape", [(28, 28), (9, 12)])
def test_max_pool_agrees_with_flax_and_so_does_its_gradient(rng, shape):
    x = jnp.asarray(rng.normal(size=(2, *shape, 3)).astype(np.float32))
    for size, stride, padding in ((3, 3, 1), (3, 2, 1), (2, 2, 0)):
        pad = ((padding, padding),) * 2

        def flax(x, size=size, stride=stride, pad=pad):
            return jnp.sin(nn.max_pool(x, (size, size), (stride, stride), pad)).sum()

        def ours(x, size=size, stride=stride, padding=padding):
            return jnp.sin(layers.max_pool(x, size, stride, padding)).sum()

        for a, b in zip(jax.value_and_grad(ours)(x), jax.value_and_grad(flax)(x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_averages(rng):
    x = jnp.asarray(rng.normal(size=(2, 28, 28, 3)).astype(np.float32))
    blocks = x.reshape(2, 14, 2, 14, 2, 3).mean((2, 4))
    np.testing.assert_allclose(layers.average_to(x, 14), blocks, atol=1e-6)
    np.testing.assert_allclose(layers.halve(x), blocks, atol=1e-6)
    np.testing.assert_allclose(layers.average_to(x, 1)[:, 0, 0], x.mean((1, 2)), atol=1e-6)
    assert layers.average_to(x[:, :5, :7], 14).shape == (2, 5, 7, 3)


def test_dropout_keeps_the_mean_and_drops_at_its_rate():
    x = jnp.ones((100, 100))
    for rate in (0.25, 0.5):
        y = layers.Dropout(rate).apply({}, x, train=True, rngs={"dropout": jax.random.key(0)})
        assert float((y == 0).mean()) == pytest.approx(rate, abs=0.02)
        assert float(y.mean()) == pytest.approx(1, abs=0.03)
    np.testing.assert_array_equal(layers.Dropout(0.5).apply({}, x, train=False), x)


def test_a_resnet18_trunk_has_the_parameters_of_resnet18():
    """11,176,512 without head: torchvision's ResNet-18 has 11,689,512, of which 513,000 in its last layer."""
    trunk = layers.Trunk()
    shapes = jax.eval_shape(lambda k: trunk.init(k, jnp.zeros((1, 224, 224, 3)), train=False), jax.random.key(0))
    assert sum(p.size for p in jax.tree.leaves(shapes["params"])) == 11_176_512
    assert jax.eval_shape(lambda v: trunk.apply(v, jnp.zeros((1, 224, 224, 3)), train=False), shapes).shape == (
        *(1, 7, 7),
        512,
    )


def test_a_block_of_images_has_as_many_patches_as_fit_the_cache_or_weigh_as_much_as_the_kernel():
    assert layers.images_at_once((16, 56, 56, 64), (3, 3, 64, 64), 1) == 1  # 7.2 MB of patches an image
    assert layers.images_at_once((16, 8, 8, 16), (3, 3, 16, 16), 1) == 16  # 37 kB
    assert layers.images_at_once((15, 16, 16, 256), (3, 3, 256, 512), 2) == 5  # 590 kB, and a kernel of 4.7 MB


def test_a_way_is_chosen_by_shape():
    assert layers.by_shape((64, 28, 28, 3), (3, 3, 3, 16), 1, 1) == "planes"
    assert layers.by_shape((16, 224, 224, 3), (7, 7, 3, 64), 2, 3) == "blocks"  # one image's patches are 8 MB
    assert layers.by_shape((16, 28, 28, 64), (3, 3, 64, 64), 1, 1) == "direct"
    assert layers.by_shape((16, 112, 112, 32), (3, 3, 32, 64), 1, 1) == "direct"
    assert layers.by_shape((16, 56, 56, 64), (3, 3, 64, 64), 1, 1) == "winograd"
    assert layers.by_shape((16, 7, 7, 512), (3, 3, 512, 512), 1, 1) == "winograd"
    assert layers.by_shape((16, 4, 4, 128), (3, 3, 128, 128), 1, 1) == "direct"
    assert layers.by_shape((16, 2, 2, 512), (3, 3, 512, 512), 1, 1) == "blocks"  # the library refuses such small maps
    assert layers.by_shape((16, 28, 28, 128), (5, 5, 128, 128), 1, 2) == "direct"
    assert layers.by_shape((16, 56, 56, 64), (1, 1, 64, 128), 2, 0) == "patches"
    assert layers.by_shape((16, 7, 7, 512), (7, 7, 512, 4096), 1, 0) == "patches"  # a dense layer


@pytest.mark.parametrize(("size", "padding"), [(3, 1), (3, 0), (5, 2), (4, 1), (1, 0)])
@pytest.mark.parametrize("folds", [0, 3])
def test_the_direct_convolution_agrees_with_the_native_one_and_so_do_its_gradients(rng, size, padding, folds):
    lead = (folds,) if folds else ()
    x = jnp.asarray(rng.normal(size=(*lead, 2, 6, 7, 3)).astype(np.float32))
    kernel = jnp.asarray(rng.normal(size=(*lead, size, size, 3, 4)).astype(np.float32))

    def run(how):
        def total(x, kernel):
            y = layers.convolve(x, kernel, 1, padding, how)
            return jnp.sin(y).sum(), y

        one = jax.value_and_grad(total, (0, 1), has_aux=True)
        return jax.tree.leaves((jax.vmap(one) if folds else one)(x, kernel))

    for ours, native in zip(run("direct"), run("native"), strict=True):
        np.testing.assert_allclose(ours, native, rtol=1e-4, atol=2e-5 * float(jnp.abs(native).max()))


def test_the_direct_convolution_and_its_gradients_are_plain_convolutions():
    """No side turned round, no other order of axes, no groups: what a library takes."""

    def total(x, kernel):
        return jnp.sin(layers.conv_direct(x, kernel, 1)).sum()

    x, kernel = jnp.zeros((2, 3, 8, 8, 4)), jnp.zeros((2, 3, 3, 4, 4))
    program = jax.jit(jax.vmap(jax.grad(total, (0, 1)))).lower(x, kernel).compile().as_text()
    convolutions = [line.split("metadata")[0] for line in program.splitlines() if " convolution(" in line]
    assert len(convolutions) == 3
    for line in convolutions:
        assert "dim_labels=b01f_01io->b01f" in line
        assert not any(word in line for word in ("lhs_", "rhs_", "group_count"))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("kind", ["batch", "group"])
def test_norms_are_those_of_flax_with_gradients_and_running_statistics(kind, dtype):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(1.0, 2.0, (6, 5, 4, 8)), dtype)
    params = {"scale": jnp.asarray(rng.normal(size=8), dtype), "bias": jnp.asarray(rng.normal(size=8), dtype)}
    stats = {"mean": jnp.asarray(rng.normal(size=8), jnp.float32), "var": jnp.asarray(rng.random(8), jnp.float32)}
    if kind == "batch":
        variables = {"params": params, "batch_stats": stats}
        mine, right = norms.BatchNorm(), nn.BatchNorm(momentum=0.9, epsilon=1e-5)
        ways = [
            (
                lambda v, x, t=t: mine.apply(v, x, train=t, mutable=["batch_stats"]),
                lambda v, x, t=t: right.apply(v, x, use_running_average=not t, mutable=["batch_stats"]),
            )
            for t in (True, False)
        ]
    else:
        variables = {"params": params}
        mine, right = norms.GroupNorm(2), nn.GroupNorm(2, epsilon=1e-5)
        ways = [(lambda v, x: (mine.apply(v, x), {}), lambda v, x: (right.apply(v, x), {}))]
    near = 1e-4 if dtype == jnp.float32 else 0.1
    for pair in ways:
        (y, changed), (expected, right_changed) = (way(variables, x) for way in pair)
        assert y.dtype == expected.dtype == dtype
        gradients = [
            jax.grad(
                lambda p, x, way=way: (way(variables | {"params": p}, x)[0].astype(jnp.float32) ** 3).mean(), (0, 1)
            )(params, x)
            for way in pair
        ]
        found, wanted = (y, changed, gradients[0]), (expected, right_changed, gradients[1])
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(np.float32(a), np.float32(b), atol=near, rtol=near)
