"""Looking inside after a run: every clip is looked at by the network that was tested on it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from merjax import look, loso, optim, parallel, train
from merjax.models import MODELS, inside
from merjax.types import Samples


@pytest.mark.parametrize(("how", "averaged"), [("map", False), ("map", True), ("shard_map", False)])
def test_a_clip_is_looked_at_by_the_network_that_was_tested_on_it(rng, how, averaged):
    """Against each fold's own state by hand; of two seeds the first counts."""
    subject = np.array([3, 3, 5, 5, 8, 8, 8, 9, 9, 11], np.int32)
    label = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1], np.int32)
    x = jnp.asarray(rng.normal(size=(10, 1, 28, 28, 3)).astype(np.float32))
    samples = Samples(x, jnp.asarray(label), jnp.asarray(subject))
    folds = loso.folds(label, subject)
    net = MODELS["ststnet"](classes=2)
    tx = optim.optimizer(name="adam", schedule="constant", lr=1.0, weight_decay=0.0, steps=1)
    mesh = parallel.fold_mesh(how)
    table = parallel.table((0, 1), folds)
    keys, rows = parallel.place_rows(parallel.part(table, 0, 12 if how == "shard_map" else 10), mesh)
    init = parallel.over_folds(partial(train.init, net=net, tx=tx), how, mesh)
    states = jax.jit(init)(keys, rows, parallel.place(samples, mesh, split=False))
    if averaged:  # then the average is what was tested
        half = jax.tree.map(lambda a: a / 2, {"params": states.params, "batch_stats": states.batch_stats})
        states = states._replace(average=half)
    clips, classes = np.array([9, 2, 6]), np.array([[0, 1], [1, 1], [0, 0]])
    by_hand = jax.jit(partial(inside.grad_cam, net))
    network = partial(parallel.row_of, train.tested(states))
    looks = look.look(network, folds, samples, clips, classes, net=net)
    for clip, asked, seen in zip(clips, classes, looks, strict=True):
        fold = sorted(set(subject.tolist())).index(subject[clip])
        own = jax.tree.map(lambda a: np.asarray(a)[fold], states)  # noqa: B023
        variables = own.average or {"params": own.params, "batch_stats": own.batch_stats}
        right = by_hand(variables, x[clip : clip + 1], asked[None])["stream_1"][0]
        np.testing.assert_allclose(seen.cams["stream_1"], right, rtol=1e-3, atol=1e-6)
        assert right.max() > 0
    assert not np.allclose(looks[1].cams["stream_1"][0], looks[2].cams["stream_1"][0])
