import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merjax.models.afn import AFN
from merjax.models.efficientnet import EfficientNetB0
from merjax.models.fmanet import FMANet
from merjax.models.pretrained import fit, load
from merjax.models.resnet import ResNet18, ResNet50
from merjax.models.vgg import VGG19
from merjax.models.vit import ViTB16
from merjax.types import InputError

GOLDEN = Path(__file__).parents[1] / "golden" / "timm_backbones.npz"


def made(net, channels=3, side=32):
    """Variables, all 0.5: to draw them would only cost time."""
    x = jnp.zeros((1, net.streams, side, side, channels))
    shapes = jax.eval_shape(lambda key: net.init(key, x, train=False), jax.random.key(0))
    return jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.5), shapes)


def resnet_state(rng, width, blocks, expansion=1, classes=3):
    """A state dict with the names and shapes of timm and torchvision, numbers at random."""
    state = {}

    def conv(name, out, channels, size):
        state[f"{name}.weight"] = rng.normal(size=(out, channels, size, size)).astype(np.float32)

    def norm(name, features):
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.{leaf}"] = rng.uniform(1, 2, size=features).astype(np.float32)
        state[f"{name}.num_batches_tracked"] = np.array(9)

    conv("conv1", width, 3, 7)
    norm("bn1", width)
    channels = width
    for stage, count in enumerate(blocks):
        middle, out = width * 2**stage, width * 2**stage * expansion
        for block in range(count):
            at = f"layer{stage + 1}.{block}"
            sizes = ((channels, middle, 3), (middle, out, 3))
            if expansion > 1:
                sizes = ((channels, middle, 1), (middle, middle, 3), (middle, out, 1))
            for i, (before, after, size) in enumerate(sizes):
                conv(f"{at}.conv{i + 1}", after, before, size)
                norm(f"{at}.bn{i + 1}", after)
            if block == 0 and (stage > 0 or channels != out):
                conv(f"{at}.downsample.0", out, channels, 1)
                norm(f"{at}.downsample.1", out)
            channels = out
    state["fc.weight"] = rng.normal(size=(classes, channels)).astype(np.float32)
    state["fc.bias"] = rng.normal(size=classes).astype(np.float32)
    return state


def test_every_weight_of_a_bottleneck_network_finds_its_place(rng):
    net = ResNet50(classes=3, width=2, blocks=(2, 2))
    state = resnet_state(rng, 2, (2, 2), expansion=4)
    variables, report = load(made(net), state)
    assert set(report.loaded) == {name for name in state if not name.endswith("tracked")}
    assert report[1:] == ((), (), ())
    stage = {kind: tree["trunk"]["Stage_1"] for kind, tree in variables.items()}
    right = state["layer2.0.conv2.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(stage["params"]["Conv_1"]["kernel"], right)
    right = state["layer2.0.downsample.0.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(stage["params"]["Conv_3"]["kernel"], right)
    second = stage["batch_stats"]["Norm_4"]["BatchNorm_0"]
    np.testing.assert_array_equal(second["var"], state["layer2.1.bn1.running_var"])
    np.testing.assert_array_equal(variables["params"]["fc"]["kernel"], state["fc.weight"].T)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_a_first_layer_of_other_channels_answers_grey_images_alike(channels, seed):
    """With equal channels, a convolution sees only the sum of its kernel over them."""
    weight = np.random.default_rng(seed).normal(size=(4, 3, 7, 7)).astype(np.float32)
    value, change = fit("conv1.weight", "conv1.weight", weight, (7, 7, channels, 4))
    np.testing.assert_allclose(value.sum(2), weight.sum(1).transpose(1, 2, 0), atol=1e-5)
    assert change == ("" if channels == 3 else f"3 input channels to {channels}")


def test_other_channels_and_classes_are_reported(rng):
    net = ResNet18(classes=7, width=2, blocks=(1,))
    before = made(net, channels=2)
    variables, report = load(before, resnet_state(rng, 2, (1,)))
    assert report.adapted == ("conv1.weight: 3 input channels to 2",)
    assert report.kept == ("fc/bias", "fc/kernel")
    assert report.left_out == ("fc.weight", "fc.bias")
    np.testing.assert_array_equal(variables["params"]["fc"]["kernel"], before["params"]["fc"]["kernel"])


def test_both_trunks_of_a_larger_network_take_the_same_weights(rng):
    net = AFN(classes=3, width=2, blocks=(1, 1))
    state = resnet_state(rng, 2, (1, 1), classes=1000)
    before = made(net)
    variables, report = load(before, state, at={"Trunk_0": "", "Trunk_1": ""})
    trunks = [jax.tree.leaves([tree[f"Trunk_{i}"] for tree in variables.values()]) for i in (0, 1)]
    for first, second in zip(*trunks, strict=True):
        np.testing.assert_array_equal(first, second)
    whole, _ = load(made(ResNet18(classes=1000, width=2, blocks=(1, 1))), state)
    for got, right in zip(trunks[0], jax.tree.leaves([tree["trunk"] for tree in whole.values()]), strict=True):
        np.testing.assert_array_equal(got, right)
    assert report.left_out == ("fc.weight", "fc.bias")
    assert all(path.startswith(("Fusion_0/", "Dense_0/")) for path in report.kept)
    np.testing.assert_array_equal(variables["params"]["Dense_0"]["kernel"], before["params"]["Dense_0"]["kernel"])


def test_stages_of_a_divided_trunk_take_the_stages_they_stand_for(rng):
    net = FMANet(classes=3, width=2, blocks=(1, 1))
    roles = {"Stem_0": "Stem_0", "Stem_1": "Stem_0", "Stage_0": "Stage_0", "Stage_1": "Stage_0", "Stage_2": "Stage_1"}
    state = resnet_state(rng, 2, (1, 1))
    params, _ = load(made(net), state, at=roles)
    params = params["params"]
    first = state["layer1.0.conv2.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(params["Stage_0"]["Conv_1"]["kernel"], first)
    np.testing.assert_array_equal(params["Stage_1"]["Conv_1"]["kernel"], first)
    last = state["layer2.0.conv2.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(params["Stage_2"]["Conv_1"]["kernel"], last)


def test_what_does_not_fit_is_named(rng):
    variables, state = made(ResNet18(classes=3, width=2, blocks=(1,))), resnet_state(rng, 2, (1,))
    lacking = {name: value for name, value in state.items() if name != "layer1.0.bn2.running_var"}
    with pytest.raises(
        InputError, match=r"lack 'layer1\.0\.bn2\.running_var', which 'trunk/Stage_0/Norm_1/BatchNorm_0"
    ):
        load(variables, lacking)
    with pytest.raises(InputError, match=r"'layer2\.0\.conv1\.weight' of the weights has no place"):
        load(variables, state | {"layer2.0.conv1.weight": np.zeros((4, 2, 3, 3), np.float32)})
    with pytest.raises(InputError, match=r"'layer1\.0\.conv1\.weight' of the weights is \(2, 2, 5, 5\); the network"):
        load(variables, state | {"layer1.0.conv1.weight": np.zeros((2, 2, 5, 5), np.float32)})
    with pytest.raises(InputError, match="no module 'Trunk_1'; it has fc, trunk"):
        load(variables, state, at={"": "", "Trunk_1": ""})
    with pytest.raises(InputError, match="'fc/bias' of the network is no 'Stage_0/bias' of a backbone"):
        load(variables, state, at={"fc": "Stage_0"})


def vit_state(rng, width, depth, positions):
    """Name in timm, name in torchvision, numbers."""
    shapes = [
        ("cls_token", "class_token", (1, 1, width)),
        ("pos_embed", "encoder.pos_embedding", (1, positions, width)),
        ("patch_embed.proj.weight", "conv_proj.weight", (width, 3, 8, 8)),
        ("patch_embed.proj.bias", "conv_proj.bias", (width,)),
        ("norm.weight", "encoder.ln.weight", (width,)),
        ("norm.bias", "encoder.ln.bias", (width,)),
        ("head.weight", "heads.head.weight", (3, width)),
        ("head.bias", "heads.head.bias", (3,)),
    ]
    for block in range(depth):
        timm, torchvision = f"blocks.{block}", f"encoder.layers.encoder_layer_{block}"
        layers = [
            ("norm1.", "ln_1.", (width,)),
            ("attn.qkv.", "self_attention.in_proj_", (3 * width, width)),
            ("attn.proj.", "self_attention.out_proj.", (width, width)),
            ("norm2.", "ln_2.", (width,)),
            ("mlp.fc1.", "mlp.0.", (4 * width, width)),
            ("mlp.fc2.", "mlp.3.", (width, 4 * width)),
        ]
        for ours, theirs, shape in layers:
            shapes.append((f"{timm}.{ours}weight", f"{torchvision}.{theirs}weight", shape))
            shapes.append((f"{timm}.{ours}bias", f"{torchvision}.{theirs}bias", shape[:1]))
    return [(ours, theirs, rng.normal(size=shape).astype(np.float32)) for ours, theirs, shape in shapes]


def vgg_state(rng):
    """The same of a VGG with three convolutions; torchvision's dense layers see a flattened map."""
    named = []
    for ours, theirs, shape, flat in (
        ("features.0", "features.0", (2, 3, 3, 3), (2, 3, 3, 3)),
        ("features.3", "features.3", (4, 2, 3, 3), (4, 2, 3, 3)),
        ("features.5", "features.5", (4, 4, 3, 3), (4, 4, 3, 3)),
        ("pre_logits.fc1", "classifier.0", (8, 4, 7, 7), (8, 196)),
        ("pre_logits.fc2", "classifier.3", (8, 8, 1, 1), (8, 8)),
        ("head.fc", "classifier.6", (3, 8), (3, 8)),
    ):
        weight, bias = rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[0]).astype(np.float32)
        named.append((f"{ours}.weight", f"{theirs}.weight", weight, weight.reshape(flat)))
        named.append((f"{ours}.bias", f"{theirs}.bias", bias, bias))
    return {ours: value for ours, _, value, _ in named}, {theirs: value for _, theirs, _, value in named}


def efficientnet_names():
    """torchvision's names of EfficientNet-B0, in the order of its state dict, which is that of timm's too."""

    def conv_norm(name):
        leaves = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        return [f"{name}.0.weight", *(f"{name}.1.{leaf}" for leaf in leaves)]

    names = conv_norm("features.0")
    for stage, blocks in enumerate((1, 2, 2, 3, 3, 4, 1), start=1):
        for block in range(blocks):
            at, first = f"features.{stage}.{block}.block", 1 if stage == 1 else 2
            for i in range(first):
                names += conv_norm(f"{at}.{i}")
            names += [f"{at}.{first}.{layer}.{leaf}" for layer in ("fc1", "fc2") for leaf in ("weight", "bias")]
            names += conv_norm(f"{at}.{first + 1}")
    return [*names, *conv_norm("features.8"), "classifier.1.weight", "classifier.1.bias"]


def same_by_both_names(variables, timm, torchvision):
    (ours, report), (theirs, other) = load(variables, timm), load(variables, torchvision)
    assert len(report.loaded) == len(other.loaded) == len([n for n in timm if not n.endswith("tracked")])
    assert set(other.loaded) <= set(torchvision)
    assert report[1:] == other[1:] == ((), (), ())
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_names_of_torchvision_mean_the_same_weights(rng):
    state = vit_state(rng, 8, 2, 17)
    vit = made(ViTB16(classes=3, patch=8, width=8, depth=2, heads=2))
    same_by_both_names(vit, {ours: value for ours, _, value in state}, {theirs: value for _, theirs, value in state})
    same_by_both_names(made(VGG19(classes=3, width=2, blocks=(1, 2), hidden=8)), *vgg_state(rng))
    golden = json.loads(str(np.load(GOLDEN)["efficientnet_b0/state"]))
    timm = {name: rng.normal(size=shape).astype(np.float32) for name, shape in golden.items()}
    net, x = EfficientNetB0(classes=5), jnp.zeros((1, 1, 32, 32, 3))
    variables = jax.eval_shape(lambda key: net.init(key, x, train=False), jax.random.key(0))
    same_by_both_names(variables, timm, dict(zip(efficientnet_names(), timm.values(), strict=True)))


def test_positions_of_another_size_are_resampled(rng):
    net = ViTB16(classes=3, patch=8, width=8, depth=1, heads=2)
    state = {name: value for name, _, value in vit_state(rng, 8, 1, 37)}
    there, here = (load(made(net, side=side), state) for side in (48, 32))
    assert there[1].adapted == ()
    assert here[1].adapted == ("pos_embed: 37 positions to 17",)
    x = jnp.asarray(rng.normal(size=(2, 1, 32, 32, 3)).astype(np.float32))
    in_network, before = (jax.jit(net.apply, static_argnames="train")(v, x, train=False) for v in (there[0], here[0]))
    np.testing.assert_allclose(in_network, before, atol=1e-4)
