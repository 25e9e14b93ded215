"""Policy of the suite: a CPU as four virtual devices, no silent rank promotion, key reuse is an error."""

import os
from pathlib import Path

import jax
import numpy as np
import pytest

jax.config.update("jax_platforms", os.environ.setdefault("JAX_PLATFORMS", "cpu"))
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)

REPOSITORY = Path(__file__).parents[1]
# One cache for the suite and for the programs that it starts: compilation is most of its time.
CACHE = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(REPOSITORY / ".cache" / "jax"))
os.environ["MERJAX_CACHE"] = ""  # inputs are made anew, but where a test is about the cache
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
jax.config.update("jax_compilation_cache_dir", CACHE)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)

SMALL_NETWORKS = {  # networks that are traced in little time
    "afn": {"width": 4, "blocks": (1,), "stem": "small"},
    "fmanet": {"width": 4, "blocks": (1,), "stem": "small"},
    "dianet": {"width": 4, "blocks": (1,), "stem": "small", "attention": 8},
    "meganet": {"stem_width": 4, "widths": (8,), "stem": "small"},
    "micro_attention": {"stem_width": 4, "widths": (4,), "hidden": 8, "stem": "small"},
    "plain": {"width": 4},
    "off_apexnet": {"hidden": 8},
    "vgg19": {"width": 4, "blocks": (1,), "hidden": 8},
    "resnet18": {"width": 4, "blocks": (1,)},
    "resnet50": {"width": 4, "blocks": (1,)},
    "efficientnet_b0": {"width": 0.25, "depth": 0.1},
    "vit_b16": {"patch": 8, "width": 16, "depth": 1, "heads": 2},
}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
