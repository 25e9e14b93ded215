import json
import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_network import check_sizes, untrained
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax.models import cpu
from merjax.models.conv import depthwise
from merjax.models.efficientnet import EfficientNetB0, InvertedResidual
from merjax.models.layers import standardise
from merjax.models.pretrained import load
from merjax.models.resnet import ResNet18, ResNet50
from merjax.models.vgg import VGG19, spread
from merjax.models.vit import ViTB16, resample
from merjax.types import InputError

GOLDEN = Path(__file__).parents[1] / "golden" / "timm_backbones.npz"
SALT = "merjax:"
NETS = {  # name in timm: the network, its parameters with 1000 classes
    "resnet18": (ResNet18, 11_689_512),
    "resnet50": (ResNet50, 25_557_032),
    "vgg19": (VGG19, 143_667_240),
    "efficientnet_b0": (EfficientNetB0, 5_288_548),
    "vit_base_patch16_224": (ViTB16, 86_567_656),
}
SMALL = {
    "resnet18": ResNet18(classes=3, width=4, blocks=(1, 2)),
    "resnet50": ResNet50(classes=3, width=4, blocks=(1, 2)),
    "vgg19": VGG19(classes=3, width=4, blocks=(1, 2), hidden=8),
    "efficientnet_b0": EfficientNetB0(classes=3, width=0.25, depth=0.1),
    "vit_base_patch16_224": ViTB16(classes=3, patch=8, width=16, depth=2, heads=2),
}


def shapes(net, x):
    return jax.eval_shape(lambda key: net.init(key, x, train=False), jax.random.key(0))


@pytest.fixture
def plain(monkeypatch):
    """As on a GPU or TPU: plain convolutions, which are compiled in the least time."""
    monkeypatch.setattr(cpu, "here", lambda _: False)


def formula(model, name, shape):
    """Weights that need no file; see tests/golden/README.md."""
    z = np.random.RandomState(zlib.crc32((SALT + model + ":" + name).encode())).standard_normal(shape)
    if len(shape) == 3:
        z = 0.02 * z
    elif len(shape) > 1:
        z = z * np.sqrt(2 / np.prod(shape[1:]))
    elif name.endswith("running_var"):
        z = 1 + 0.1 * np.abs(z)
    elif name.endswith("weight") and not name.endswith("running_mean"):
        z = 1 + 0.1 * z
    else:
        z = 0.1 * z
    return z.astype(np.float32)


@pytest.mark.parametrize("name", NETS)
def test_with_the_same_weights_a_backbone_gives_what_timm_gives(name, plain):
    golden = np.load(GOLDEN)
    state = json.loads(str(golden[f"{name}/state"]))
    weights = {key: formula(name, key, shape) for key, shape in state.items() if not key.endswith("tracked")}
    x = np.random.RandomState(zlib.crc32((SALT + "input").encode())).standard_normal((2, 3, 224, 224))
    x = jnp.asarray(x.astype(np.float32).transpose(0, 2, 3, 1)[:, None])
    net = NETS[name][0](classes=5)
    variables, report = load(shapes(net, x), weights)
    assert set(report.loaded) == set(weights)
    assert report[1:] == ((), (), ())
    del weights

    @jax.jit
    def run(variables, x):
        return net.apply(variables, x, train=False), net.apply(variables, x, train=False, method="features")

    logits, features = run(variables, x)
    mean = features.reshape(2, -1, features.shape[-1]).mean(1)
    for got, right in ((logits, golden[f"{name}/logits"]), (mean, golden[f"{name}/features_mean"])):
        assert np.abs(got - right).max() <= 1e-4 * np.abs(right).max()


@pytest.mark.parametrize("name", NETS)
def test_stock_backbones_have_the_published_number_of_parameters(name):
    net, count = NETS[name]
    params = shapes(net(classes=1000), jnp.zeros((1, 1, 224, 224, 3)))["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


@pytest.mark.parametrize("name", NETS)
def test_training_reaches_every_parameter(rng, plain, name):
    x = jnp.asarray(rng.normal(size=(4, 1, 28, 28, 3)).astype(np.float32))
    assert untrained(SMALL[name].clone(dropout=0.0), x) == set()


@pytest.mark.parametrize("name", NETS)
def test_backbones_take_every_size(name):
    check_sizes(SMALL[name], 28, 96)


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (5, 2)])
def test_depthwise_convolution_in_numpy_and_for_several_folds_at_once(rng, monkeypatch, size, stride):
    x = rng.normal(size=(2, 2, 9, 8, 3)).astype(np.float32)  # folds first
    kernel = rng.normal(size=(2, size, size, 1, 3)).astype(np.float32)
    padded = np.pad(x, ((0, 0), (0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)))
    right = np.zeros((2, 2, -(-9 // stride), -(-8 // stride), 3))
    for fold, y, x_ in np.ndindex(2, *right.shape[2:4]):
        window = padded[fold, :, y * stride : y * stride + size, x_ * stride : x_ * stride + size]
        right[fold, :, y, x_] = (window * kernel[fold, :, :, 0]).sum((1, 2))
    for on_cpu in (True, False):
        monkeypatch.setattr(cpu, "here", lambda _, on_cpu=on_cpu: on_cpu)
        got = jax.jit(jax.vmap(lambda x, k: depthwise(x, k, stride)))(x, kernel)
        np.testing.assert_allclose(got, right, atol=1e-5)


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9))
def test_a_small_map_is_spread_to_means_of_the_cells_that_overlap(height, width):
    x = np.random.default_rng(0).normal(size=(1, height, width, 2)).astype(np.float32)
    rows, columns = max(7, height), max(7, width)
    right = np.zeros((1, rows, columns, 2))
    for i, j in np.ndindex(rows, columns):
        overlaps = [
            (a, b)
            for a in range(height)
            for b in range(width)
            if a * rows < (i + 1) * height
            and (a + 1) * rows > i * height
            and b * columns < (j + 1) * width
            and (b + 1) * columns > j * width
        ]
        right[0, i, j] = np.mean([x[0, a, b] for a, b in overlaps], axis=0)
    np.testing.assert_allclose(spread(jnp.asarray(x)), right, atol=1e-5)


def cubic(distance):
    """Keys' kernel with a = -1/2."""
    d = abs(distance)
    return 1.5 * d**3 - 2.5 * d**2 + 1 if d < 1 else -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


def cubic_matrix(new, old):
    scale = max(old / new, 1.0)
    weights = np.array([[cubic(((i + 0.5) * old / new - 0.5 - j) / scale) for j in range(old)] for i in range(new)])
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("grid", [(10, 10), (15, 4), (14, 14)])
def test_positions_are_resampled_bicubically_and_the_class_token_stays(rng, grid):
    positions = rng.normal(size=(1, 197, 3)).astype(np.float32)
    square = positions[0, 1:].reshape(14, 14, 3)
    right = np.einsum("yi,xj,ijd->yxd", cubic_matrix(grid[0], 14), cubic_matrix(grid[1], 14), square)
    got = jax.jit(lambda p: resample(p, grid))(jnp.asarray(positions))
    np.testing.assert_allclose(got[0, 1:], right.reshape(-1, 3), atol=1e-5)
    np.testing.assert_array_equal(got[0, 0], positions[0, 0])


def test_positions_of_no_square_are_refused():
    with pytest.raises(InputError, match="embedding of 6 positions"):
        resample(jnp.zeros((1, 7, 3)), (4, 4))


def test_vit_made_for_one_size_takes_others_and_fills_the_last_patch_with_zeros(rng):
    net = SMALL["vit_base_patch16_224"]
    x = jnp.asarray(rng.normal(size=(1, 1, 30, 45, 3)).astype(np.float32))
    variables = jax.jit(lambda key: net.init(key, x[:, :, :32, :32], train=False))(jax.random.key(0))
    filled = jnp.pad(x, ((0, 0), (0, 0), (0, 2), (0, 3), (0, 0)))
    apply = jax.jit(lambda x: net.apply(variables, x, train=False, method="features"))
    features = apply(x), apply(filled)
    assert features[0].shape == (1, 1 + 4 * 6, 16)
    np.testing.assert_allclose(features[0], features[1], atol=1e-6)


def test_stochastic_depth_leaves_out_blocks_of_samples_and_keeps_the_mean(rng):
    x = jnp.broadcast_to(jnp.asarray(rng.normal(size=(1, 5, 5, 8)).astype(np.float32)), (64, 5, 5, 8))
    block = InvertedResidual(8, 3, 1, 1, skip=0.25)
    variables = block.init(jax.random.key(0), x, train=False)

    def apply(skip, key):
        rngs = {"dropout": jax.random.key(key)}
        return block.clone(skip=skip).apply(variables, x, train=True, rngs=rngs, mutable=["batch_stats"])[0] - x

    change, whole = apply(0.25, 1), apply(0.0, 1)
    left_out = jnp.abs(change).max((1, 2, 3)) == 0
    assert 4 <= int(left_out.sum()) <= 28
    np.testing.assert_allclose(change[~left_out], whole[~left_out] / 0.75, atol=1e-5)
    calm = block.apply(variables, x, train=False)
    np.testing.assert_array_equal(calm, block.clone(skip=0.0).apply(variables, x, train=False))


def test_standardise_takes_the_mean_colour_to_zero():
    mean = jnp.broadcast_to(jnp.asarray([0.485, 0.456, 0.406]), (1, 2, 2, 3))
    np.testing.assert_allclose(standardise(mean, "imagenet"), jnp.zeros((1, 2, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(standardise(jnp.ones((1, 2, 2, 3)), "half"), jnp.ones((1, 2, 2, 3)), atol=1e-6)
    flow = jnp.ones((1, 2, 2, 2))
    assert standardise(flow, "none") is flow
    with pytest.raises(InputError, match="needs 3 channels, the input has 2"):
        standardise(flow, "imagenet")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ResNet18(classes=3, stem="tiny"), r"model\.resnet18\.stem is 'tiny'; it can be imagenet, small"),
        (lambda: ResNet50(classes=3, standard="cifar"), r"model\.resnet50\.standard is 'cifar'"),
        (lambda: VGG19(classes=3, standard="cifar"), r"model\.vgg19\.standard is 'cifar'"),
        (lambda: EfficientNetB0(classes=3, standard="cifar"), r"model\.efficientnet_b0\.standard is 'cifar'"),
        (lambda: ViTB16(classes=3, heads=5), r"model\.vit_b16\.heads is 5; it must divide the width 768"),
    ],
)
def test_impossible_arguments_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()
