"""What accelerators are given to run, read off programs that are lowered for them; no accelerator is needed."""

import re

import jax
import jax.numpy as jnp
import pytest

from merjax.ops import INPUTS

FRAMES = jax.ShapeDtypeStruct((16, 12, 12, 3), jnp.uint8)
FIELD, NUMBER = jax.ShapeDtypeStruct((12, 12, 3), jnp.float32), jax.ShapeDtypeStruct((), jnp.int32)
CLIP = {
    "frames": FRAMES,
    "length": NUMBER,
    "apex": NUMBER,
    "onset_apex": FIELD,
    "apex_offset": FIELD,
    "flows": jax.ShapeDtypeStruct((16, 12, 12, 2), jnp.float32),
    "intensity": jax.ShapeDtypeStruct((16,), jnp.float32),
}
POOLED = [name for name, made_by in INPUTS.items() if "frames" in made_by.needs]


def lowered(function, arguments, platform):
    return jax.jit(function).trace(*arguments).lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("name", INPUTS)
def test_products_are_float32_and_frames_are_pooled_without_a_loop(name, platform):
    text = lowered(INPUTS[name].make, [CLIP[part] for part in INPUTS[name].needs], platform)
    products = re.findall(r"stablehlo\.(?:dot_general|convolution).*", text)
    assert not [line for line in products if "precision = [HIGHEST, HIGHEST]" not in line]
    if name in POOLED:
        assert "while" not in text
    if name == "trdi_midi":
        assert len(products) == 3  # one for each image, one for grey
