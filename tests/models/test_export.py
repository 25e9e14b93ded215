"""Every network leaves merjax as one program for CPU, GPU and TPU, of any number of clips."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from test_models import build

from merjax.models import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_every_network_exports_with_an_open_batch_for_cpu_gpu_and_tpu_and_equals_itself(rng, name):
    net = build(name)
    streams, side = net.streams or 2, 28
    x = jnp.asarray(rng.normal(size=(3, streams, side, side, 3)).astype(np.float32))
    variables = jax.jit(lambda key: net.init(key, x, train=False))(jax.random.key(0))
    clips = jax.ShapeDtypeStruct(export.symbolic_shape(f"b, {streams}, {side}, {side}, 3"), jnp.float32)
    logits = jax.jit(lambda v, x: net.apply(v, x, train=False))
    program = export.export(logits, platforms=("cpu", "cuda", "tpu"))(variables, clips)
    for count in (1, 3):
        np.testing.assert_allclose(
            program.call(variables, x[:count]), logits(variables, x[:count]), rtol=1e-4, atol=1e-5
        )
