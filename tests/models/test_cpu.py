"""On a CPU an operation runs by another way: the same function, with the same gradients."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_network import quick

from merjax.models import cpu, pooling
from merjax.models.conv import convolve, depthwise, grouped
from merjax.models.cpu import conv as on_cpu
from merjax.models.layers import Conv
from merjax.models.norms import BatchNorm
from merjax.models.ststnet import FILTERS, STSTNet, pooled_conv


def value_and_gradients(operation, x, kernel, folds):
    def total(x, kernel):
        y = operation(x, kernel)
        return jnp.sin(y).sum(), y

    one = jax.value_and_grad(total, (0, 1), has_aux=True)
    return jax.tree.leaves((jax.vmap(one) if folds else one)(x, kernel))


def assert_alike(operation, monkeypatch, x, kernel, folds):
    found = []
    for here in (True, False):
        monkeypatch.setattr(cpu, "here", lambda _, here=here: here)
        found.append(value_and_gradients(operation, x, kernel, folds))
    for own, plain in zip(*found, strict=True):
        np.testing.assert_allclose(own, plain, rtol=1e-4, atol=2e-5 * float(jnp.abs(plain).max()))


SHAPES = [  # side of the kernel, stride, padding, [h w c]: those that go directly, in blocks, and as one product
    (3, 1, 1, (6, 7, 5)),
    (3, 1, 0, (6, 7, 5)),
    (5, 1, 2, (6, 7, 5)),
    (4, 1, 1, (6, 7, 5)),
    (3, 1, 1, (12, 11, 3)),
    (3, 2, 1, (12, 11, 5)),
    (7, 2, 3, (12, 11, 3)),
    (3, 1, 1, (3, 2, 8)),
    (1, 1, 0, (12, 11, 4)),
    (1, 2, 0, (12, 11, 4)),
    (6, 1, 0, (6, 6, 5)),
]


@pytest.mark.parametrize(("size", "stride", "padding", "shape"), SHAPES)
@pytest.mark.parametrize("folds", [0, 3])
def test_convolutions_are_the_plain_ones(rng, monkeypatch, size, stride, padding, shape, folds):
    monkeypatch.setattr(on_cpu, "PATCH_BYTES", 20_000)  # several blocks
    lead = (folds,) if folds else ()
    x = jnp.asarray(rng.normal(size=(*lead, 6, *shape)).astype(np.float32))
    kernel = jnp.asarray(rng.normal(size=(*lead, size, size, shape[-1], 4)).astype(np.float32))
    assert_alike(lambda x, kernel: convolve(x, kernel, stride, padding), monkeypatch, x, kernel, folds)


@pytest.mark.parametrize(("size", "stride", "shape"), [(3, 1, (5, 8)), (5, 1, (4, 3)), (3, 2, (7, 8)), (5, 2, (8, 5))])
def test_depthwise_convolutions_are_the_plain_ones(rng, monkeypatch, size, stride, shape):
    x = jnp.asarray(rng.normal(size=(2, 3, *shape, 6)), jnp.float32)  # two folds side by side
    kernel = jnp.asarray(rng.normal(size=(2, size, size, 1, 6)), jnp.float32)
    assert_alike(lambda x, kernel: depthwise(x, kernel, stride), monkeypatch, x, kernel, 2)
    _, back = jax.vjp(lambda x, k: depthwise(x, k, stride), x[0].astype(jnp.bfloat16), kernel[0].astype(jnp.bfloat16))
    y = jax.eval_shape(lambda: depthwise(x[0], kernel[0], stride))
    assert [one.dtype for one in back(jnp.ones(y.shape, jnp.bfloat16))] == [jnp.bfloat16] * 2


@pytest.mark.parametrize("shape", [(28, 28), (9, 12)])
def test_pooling_is_that_of_flax_and_so_are_its_gradients(rng, monkeypatch, shape):
    x = jnp.asarray(rng.normal(size=(2, *shape, 3)).astype(np.float32))
    for size, stride, padding in ((3, 3, 1), (3, 2, 1), (2, 2, 0)):
        assert_alike(
            lambda x, _, sizes=(size, stride, padding): pooling.max_pool(x, *sizes), monkeypatch, x, jnp.ones(1), 0
        )
    assert_alike(lambda x, _: pooling.halve(x), monkeypatch, x, jnp.ones(1), 0)
    monkeypatch.undo()
    hole = x.at[0, 3, 3, 0].set(jnp.nan)
    right = nn.max_pool(hole, (3, 3), (2, 2), ((1, 1),) * 2)
    np.testing.assert_array_equal(jnp.isnan(pooling.max_pool(hole, 3, 2, 1)), jnp.isnan(right))


def test_a_direct_convolution_and_its_gradients_are_in_the_form_that_a_library_takes():
    """No side turned round, no other order of axes, no groups."""

    def total(x, kernel):
        return jnp.sin(on_cpu.direct(x, kernel, 1)).sum()

    x, kernel = jnp.zeros((2, 3, 8, 8, 4)), jnp.zeros((2, 3, 3, 4, 4))
    program = jax.jit(jax.vmap(jax.grad(total, (0, 1)))).lower(x, kernel).compile().as_text()
    convolutions = [line.split("metadata")[0] for line in program.splitlines() if " convolution(" in line]
    assert len(convolutions) == 3
    for line in convolutions:
        assert "dim_labels=b01f_01io->b01f" in line
        assert not any(word in line for word in ("lhs_", "rhs_", "group_count"))


def test_a_block_of_images_has_as_many_patches_as_fit_the_cache_or_weigh_as_much_as_the_kernel():
    assert on_cpu.images_at_once((16, 56, 56, 64), (3, 3, 64, 64), 1) == 1  # 7.2 MB of patches an image
    assert on_cpu.images_at_once((16, 8, 8, 16), (3, 3, 16, 16), 1) == 16  # 37 kB
    assert on_cpu.images_at_once((15, 16, 16, 256), (3, 3, 256, 512), 2) == 5  # 590 kB, and a kernel of 4.7 MB
    assert on_cpu.images_at_once((16, 56, 56, 64), (1, 1, 64, 64), 1) == 16


# 28 + 2 is a multiple of 3: pooling leaves out a row that the statistics count; 29 and 30 are the other two cases.
@pytest.mark.parametrize("shape", [(6, 28, 28), (5, 29, 31), (4, 30, 33), (1, 7, 8)])
@pytest.mark.parametrize("train", [True, False])
def test_the_pooled_convolution_of_ststnet_is_its_operations_one_after_the_other(monkeypatch, shape, train):
    class Layer(nn.Module):
        @nn.compact
        def __call__(self, x):
            conv, norm = Conv(FILTERS, padding=2, bias=True, name="conv"), BatchNorm(FILTERS, name="norm")
            return pooled_conv(x, conv, norm, train=train)

    key_x, key_net, key_weight = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(key_x, (*shape, 3))
    net = Layer()
    variables = quick(lambda key: net.init(key, x))(key_net)
    variables["params"]["norm"]["scale"] = variables["params"]["norm"]["scale"].at[2].set(-0.7)  # a minimum there
    variables["params"]["conv"]["bias"] += 0.3
    variables["batch_stats"]["norm"]["mean"] += 0.2
    weight = jax.random.normal(
        key_weight, jax.eval_shape(partial(net.apply, mutable="batch_stats"), variables, x)[0].shape
    )
    found = []
    for here in (True, False):
        monkeypatch.setattr(cpu, "here", lambda _, here=here: here)

        def total(params, x):
            y, changed = net.apply(variables | {"params": params}, x, mutable="batch_stats")
            return (y * weight).sum(), (y, changed)

        found.append(quick(jax.value_and_grad(total, (0, 1), has_aux=True))(variables["params"], x))
    for (path, own), plain in zip(jax.tree.leaves_with_path(found[0]), jax.tree.leaves(found[1]), strict=True):
        assert jnp.abs(own - plain).max() <= 2e-5 * (1 + jnp.abs(plain).max()), path


def test_equally_large_places_share_the_gradient_of_the_pooled_convolution():
    x = jnp.ones((1, 1, 7, 7, 1))
    net = STSTNet(classes=1)
    variables = jax.tree.map(jnp.zeros_like, net.init(jax.random.key(0), x, train=False))
    variables["params"]["conv"]["kernel"] += jnp.zeros((3, 3, 1, 1)).at[1, 1].set(1.0)
    variables["params"]["norm"]["scale"] += 1.0
    variables["batch_stats"]["norm"]["var"] += 1.0
    variables["params"]["Dense_0"]["kernel"] += 1.0
    # The map is 9 x 9 with ones inside and zeros on its edge; every window of the pooling counts with a quarter.
    slope = jax.grad(lambda x: net.apply(variables, x, train=False)[0, 0])(x)[0, 0, :, :, 0]
    assert jnp.allclose(slope[1:4, 1:4], FILTERS / 4 / 9, atol=1e-3)


def test_a_program_of_an_open_batch_or_of_another_device_is_plain(monkeypatch):
    x = jax.ShapeDtypeStruct((2, 8, 8, 8), jnp.float32)
    assert cpu.here(x)
    open_batch = jax.ShapeDtypeStruct(jax.export.symbolic_shape("b, 8, 8, 8"), jnp.float32)
    assert not cpu.here(open_batch)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert not cpu.here(x)


@pytest.mark.parametrize("groups", [1, 3])
def test_the_plain_convolution_has_the_gradients_of_xla_alone_and_side_by_side(rng, groups):
    def native(x, kernel):
        zeros, numbers = [(1, 1)] * 2, ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x, kernel, (2, 2), zeros, dimension_numbers=numbers, feature_group_count=groups
        )

    x = jnp.asarray(rng.normal(size=(2, 3, 9, 8, 6)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(2, 3, 3, 6 // groups, 6)), jnp.float32)
    for folds in (0, 2):
        given = (x, kernel) if folds else (x[0], kernel[0])
        own = value_and_gradients(lambda x, k: grouped(x, k, 2, 1, groups), *given, folds)
        for one, other in zip(own, value_and_gradients(native, *given, folds), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5 * float(jnp.abs(other).max()))
