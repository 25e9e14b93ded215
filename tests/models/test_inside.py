"""Looking inside: Grad-CAM by hand, a map for every stream of every network, and asking that changes nothing."""

from functools import cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_network import quick
from test_models import build

from merjax.models import MODELS
from merjax.models.inside import LAST, drawable, grad_cam, grid, keep, look, maps

STREAMS = {"afn": 2, "fmanet": 2, "dianet": 2, "linear": 2}
ALL_CLASSES = jnp.tile(jnp.arange(3), (2, 1))


class Tiny(nn.Module):
    """A 1 x 1 convolution without bias, relu, then tanh of the mean: small enough to be done by hand."""

    classes: int = 2

    @nn.compact
    def __call__(self, x, *, train):
        a = keep(self, nn.relu(nn.Conv(3, (1, 1), use_bias=False, name="conv")(x[:, 0])), "stream_1")
        return jnp.tanh(a.mean((1, 2))) @ self.param("head", nn.initializers.normal(), (3, self.classes))


def drawn(name, size=28):
    """A network, weights of which none is zero, and two clips."""
    rng = np.random.default_rng(3)
    net = build(name)
    x = jnp.asarray(rng.normal(size=(2, STREAMS.get(name, 1), size, size, 3)).astype(np.float32))

    def draw(p):
        fans_in = np.prod(p.shape[:-1])
        values = rng.normal(size=p.shape) * np.sqrt(2 / fans_in) if p.ndim > 1 else rng.uniform(0.5, 1.5, p.shape)
        return jnp.asarray(values.astype(np.float32))

    shapes = jax.eval_shape(lambda x: net.init(jax.random.key(0), x, train=False), x)
    return net, jax.tree.map(draw, shapes), x


@cache
def asked(name):
    """Variables and clips of a network, its Grad-CAM for all classes and its maps, compiled once for all tests."""
    net, variables, x = drawn(name, 64 if name in ("learnet", "efficientnet_b0") else 28)
    ask = quick(lambda variables, x: (grad_cam(net, variables, x, ALL_CLASSES), maps(net, variables, x)))
    return variables, x, *ask(variables, x)


def test_grad_cam_by_hand(rng):
    """Logit k = sum_c H[c, k] tanh(mean A_c), so d / d A_c = H[c, k] (1 - tanh^2) / places, the same everywhere."""
    x = rng.normal(size=(2, 1, 2, 3, 2)).astype(np.float32)
    kernel, head = (rng.normal(size=s).astype(np.float32) for s in ((1, 1, 2, 3), (3, 2)))
    variables = {"params": {"conv": {"kernel": kernel}, "head": head}}
    found = grad_cam(Tiny(), variables, jnp.asarray(x), jnp.array([[0, 1], [1, 1]]))
    a = np.maximum(x[:, 0] @ kernel[0, 0], 0)
    for clip, classes in enumerate(((0, 1), (1, 1))):
        for place, k in enumerate(classes):
            weights = head[:, k] * (1 - np.tanh(a[clip].mean((0, 1))) ** 2) / 6
            expected = np.maximum(a[clip] @ weights, 0)
            np.testing.assert_allclose(found["stream_1"][clip, place], expected, rtol=1e-4, atol=1e-7)
    assert list(found) == ["stream_1"]


def test_of_a_linear_network_it_is_what_each_pixel_adds():
    """At 14 x 14 pixels every cell of `Linear` is one pixel, and a logit the sum of pixel times weight, and a bias."""
    net, variables, x = drawn("linear", 14)
    dense = jax.tree.map(np.asarray, variables["params"]["Dense_0"])
    adds = np.asarray(x).reshape(2, -1, 1) * dense["kernel"]
    logits = net.apply(variables, x, train=False)
    np.testing.assert_allclose(adds.sum(1) + dense["bias"], logits, rtol=1e-3, atol=1e-3)
    by_place = np.moveaxis(adds.reshape(2, 2, 14, 14, 3, 3).sum(-2), -1, 2)  # clip, stream, class, row, column
    found = grad_cam(net, variables, x, ALL_CLASSES)
    assert list(found) == ["input_1", "input_2"]
    for stream, m in enumerate(found.values()):
        np.testing.assert_allclose(m, np.maximum(by_place[:, stream], 0), atol=1e-4)


def test_keeping_a_map_changes_nothing_and_one_that_is_given_stands_in_its_place(rng):
    x = jnp.asarray(rng.normal(size=(2, 1, 2, 3, 2)).astype(np.float32))
    logits, variables = Tiny().init_with_output(jax.random.key(0), x, train=False)
    assert set(variables) == {"params"}
    again, kept = Tiny().apply(variables, x, train=False, mutable=[LAST])
    np.testing.assert_array_equal(again, logits)
    head = variables["params"]["head"]
    np.testing.assert_allclose(np.tanh(kept[LAST]["stream_1"].mean((1, 2))) @ head, logits, rtol=1e-5)
    given = Tiny().apply(variables | {LAST: {"stream_1": jnp.ones((2, 2, 3, 3))}}, x, train=False)
    np.testing.assert_allclose(given, np.tanh(np.ones((2, 3))) @ head, rtol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_every_stream_of_every_network_has_a_map(name):
    variables, x, cams, _ = asked(name)
    assert set(variables) <= {"params", "batch_stats"}  # nothing is kept unasked
    streams = {"off_apexnet": ["u", "v"], "linear": ["input_1", "input_2"], "plain": ["stream_1"]}
    assert list(cams) == streams.get(name, [f"stream_{i + 1}" for i in range(x.shape[1])])
    for m in cams.values():
        assert m.shape[:2] == (2, 3)
        assert m.shape[2] * m.shape[3] > 1
        assert (np.isfinite(m) & (m >= 0)).all()
        assert m.max() > 0
    if name == "vit_b16":
        assert m.shape[2:] == (4, 4)  # 28 pixels are four patches of 8, the last of them padded


@pytest.mark.parametrize(
    "name", ["afn", "fmanet", "dianet", "meganet", "micro_attention", "efficientnet_b0", "vit_b16"]
)
def test_attention_sums_to_one_and_gates_are_shares(name):
    found = asked(name)[3]
    assert found
    for path, m in found.items():
        assert len(m) == 2
        assert ((m >= 0) & (m <= 1)).all()
        if path.split("/")[-1].startswith("attention"):
            np.testing.assert_allclose(m.sum(-1 if m.ndim == 4 else (1, 2)), 1, rtol=1e-4)
    if name == "vit_b16":
        shapes = {path: m.shape[1:] for path, m in found.items()}
        assert shapes == {f"trunk/blocks_{i}/attn/attention": (2, 17, 17) for i in (0, 1)}


@pytest.mark.parametrize("name", ["fmanet", "linear"])
def test_a_clip_is_looked_at_by_itself(name):
    variables, x, cams, found = asked(name)
    seen = quick(partial(look, build(name)))(variables, x[1], jnp.array([2, 0]))
    assert set(seen.cams) == set(cams)
    for stream, m in seen.cams.items():
        np.testing.assert_allclose(m, cams[stream][1, jnp.array([2, 0])], rtol=1e-3, atol=1e-6)
    assert set(seen.maps) == set(found) == ({"gate", "motion_attention"} if name == "fmanet" else set())
    for path, m in seen.maps.items():
        np.testing.assert_allclose(m, found[path][1].mean(-1), rtol=1e-3)


def test_maps_between_places_become_how_much_each_is_looked_at(rng):
    weights = rng.random((2, 6, 6)).astype(np.float32)
    np.testing.assert_allclose(
        drawable("a/attention_12", jnp.asarray(weights), (20, 30)), weights.mean((0, 1)).reshape(2, 3), rtol=1e-5
    )
    tokens = rng.random((2, 7, 7)).astype(np.float32)
    np.testing.assert_allclose(
        drawable("attention", jnp.asarray(tokens), (20, 30)), tokens[:, 0, 1:].mean(0).reshape(2, 3), rtol=1e-5
    )
    gate = rng.random((4, 5, 3)).astype(np.float32)
    np.testing.assert_allclose(drawable("gate", jnp.asarray(gate), (8, 10)), gate.mean(-1), rtol=1e-5)


@pytest.mark.parametrize(
    ("count", "sides", "size"),
    [
        (49, (224, 224), (7, 7)),
        (12, (28, 40), (3, 4)),
        (1, (28, 28), (1, 1)),
        (50, (224, 224), None),
        (7, (9, 9), None),
    ],
)
def test_places_lie_on_a_grid_like_the_image(count, sides, size):
    assert grid(count, sides) == size


def test_no_square_grid_and_a_class_token_are_taken_for_a_grid():
    assert all(grid(n * n + 1, (224, 224)) is None for n in range(2, 30))
    assert all(grid(n * n, (224, 224)) == (n, n) for n in range(1, 30))
