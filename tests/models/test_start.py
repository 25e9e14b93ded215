"""Networks that begin from weights of a file: what is put where, in every fold, and how fast it learns."""

import json
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from merjax import optim, train
from merjax.models import pretrained
from merjax.models.afn import AFN
from merjax.models.dianet import DIANet
from merjax.models.fmanet import FMANet
from merjax.models.resnet import ResNet18
from merjax.types import Fold, InputError, Samples

SMALL = {"width": 4, "blocks": (1, 1)}


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, value in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(value.shape),
            "data_offsets": [len(data), len(data) + value.nbytes],
        }
        data += value.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


@pytest.fixture
def weights(tmp_path, rng):
    """A small ResNet's weights under timm's names, for 3 channels and 7 classes."""
    shapes = {"conv1.weight": (4, 3, 7, 7), "fc.weight": (7, 8), "fc.bias": (7,)}
    norms = {"bn1": 4, "layer1.0.bn1": 4, "layer1.0.bn2": 4}
    norms |= {"layer2.0.bn1": 8, "layer2.0.bn2": 8, "layer2.0.downsample.1": 8}
    shapes |= {"layer1.0.conv1.weight": (4, 4, 3, 3), "layer1.0.conv2.weight": (4, 4, 3, 3)}
    shapes |= {"layer2.0.conv1.weight": (8, 4, 3, 3), "layer2.0.conv2.weight": (8, 8, 3, 3)}
    shapes |= {"layer2.0.downsample.0.weight": (8, 4, 1, 1)}
    for name, size in norms.items():
        shapes |= {f"{name}.{part}": (size,) for part in ("weight", "bias", "running_mean", "running_var")}
    tensors = {name: rng.random(shape, np.float32) + 0.1 for name, shape in shapes.items()}
    write_safetensors(tmp_path / "small.safetensors", tensors)
    return tmp_path / "small.safetensors", tensors


def fold_and_samples(rng, streams):
    x = jnp.asarray(rng.random((6, streams, 32, 32, 3), np.float32))
    label = jnp.arange(6, dtype=jnp.int32) % 3
    train_rows, test_rows = jnp.arange(4, dtype=jnp.int32), jnp.arange(4, 6, dtype=jnp.int32)
    fold = Fold(jnp.int32(2), train_rows, jnp.ones(4, bool), test_rows, jnp.ones(2, bool))
    return fold, Samples(x, label, jnp.arange(6, dtype=jnp.int32) // 2)


def test_all_folds_begin_from_the_file_and_only_heads_differ(rng, weights):
    path, tensors = weights
    net, tx = (
        ResNet18(classes=3, **SMALL),
        optim.optimizer(name="adam", schedule="constant", lr=0.1, weight_decay=0.0, steps=1),
    )
    fold, samples = fold_and_samples(rng, 1)
    start, told = pretrained.start(net, samples.x.shape[1:], str(path))
    keys = jax.random.split(jax.random.key(0), 2)
    states = jax.vmap(lambda key: train.init(key, fold, samples, net=net, tx=tx))(keys)
    states = train.begin_from(states, start)
    first = tensors["conv1.weight"].transpose(2, 3, 1, 0)
    stem = next(
        leaf for path, leaf in jax.tree.leaves_with_path(states.params) if leaf.shape == (2, *first.shape) and path
    )
    for own in stem:
        np.testing.assert_array_equal(own, first)
    head = states.params["fc"]["kernel"]
    assert not np.array_equal(head[0], head[1])
    assert any(line.startswith("not in the file: ") and "fc/kernel" in line for line in told), told
    means = jax.tree.leaves(states.batch_stats)
    assert any(np.array_equal(leaf[1], tensors["bn1.running_mean"]) for leaf in means if leaf.shape == (2, 4))


@pytest.mark.parametrize("factor", [0.0, 0.1])
def test_pretrained_weights_learn_more_slowly_or_not_at_all(rng, weights, factor):
    net = ResNet18(classes=3, **SMALL)
    fold, samples = fold_and_samples(rng, 1)
    start, _ = pretrained.start(net, samples.x.shape[1:], str(weights[0]))
    given = pretrained.given(start)

    def moved(slow_factor):
        tx = optim.optimizer(
            name="adam", schedule="constant", lr=0.1, weight_decay=0.0, steps=1,
            slow=lambda path: path in given, slow_factor=slow_factor,
        )  # fmt: skip
        state = train.begin_from(train.init(jax.random.key(0), fold, samples, net=net, tx=tx), start)
        slopes = jax.tree.map(jnp.ones_like, state.params)
        updates, _ = tx.update(slopes, state.opt, state.params)
        return updates

    whole, part = moved(1.0), moved(factor)
    for path, leaf in jax.tree.leaves_with_path(part):
        names = tuple(key.key for key in path)
        expected = jax.tree.leaves(whole)[
            [tuple(k.key for k in p) for p, _ in jax.tree.leaves_with_path(whole)].index(names)
        ]
        scale = factor if names in given else 1.0
        np.testing.assert_allclose(leaf, scale * expected, rtol=1e-6)
    assert ("fc", "kernel") not in given


@pytest.mark.parametrize("kind", [AFN, DIANet, FMANet])
def test_both_streams_take_the_file(weights, kind):
    path, tensors = weights
    net = kind(classes=3, **SMALL)
    start, _ = pretrained.start(net, (2, 32, 32, 3), str(path))
    first = tensors["conv1.weight"].transpose(2, 3, 1, 0)
    same = [leaf for leaf in jax.tree.leaves(start["params"]) if leaf.shape == first.shape]
    assert len(same) == 2
    for leaf in same:
        np.testing.assert_array_equal(leaf, first)


def test_a_network_that_the_file_does_not_fit_is_refused(weights):
    net = ResNet18(classes=3, width=8, blocks=(1, 1))
    with pytest.raises(InputError, match=r"of the weights is .*; the network needs"):
        pretrained.start(net, (1, 32, 32, 3), str(weights[0]))


def test_a_gradient_is_clipped():
    tx = optim.optimizer(name="adam", schedule="constant", lr=1.0, weight_decay=0.0, steps=1, clip=0.5)
    params = {"a": jnp.zeros(4)}
    state = tx.init(params)
    clipped = jax.tree.leaves(tx.update({"a": jnp.full(4, 100.0)}, state, params)[1])
    moment = next(leaf for leaf in clipped if leaf.shape == (4,))
    np.testing.assert_allclose(np.linalg.norm(moment), 0.1 * 0.5, rtol=1e-5)  # (1 - b1) of the clipped gradient
