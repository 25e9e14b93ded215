"""Optimisers with their learning-rate schedules, by name."""

from collections.abc import Callable

import jax
import optax
from jaxtyping import PyTree

from merjax.types import pick

SCHEDULES: dict[str, Callable[[float, int, float], optax.Schedule]] = {
    "constant": lambda lr, steps, warmup: optax.constant_schedule(lr),
    "cosine": lambda lr, steps, warmup: optax.warmup_cosine_decay_schedule(0.0, lr, int(warmup * steps), steps),
    "onecycle": lambda lr, steps, warmup: optax.cosine_onecycle_schedule(steps, lr),
}
OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adam": lambda schedule, decay, mask: optax.chain(optax.add_decayed_weights(decay, mask), optax.adam(schedule)),
    "adamw": lambda schedule, decay, mask: optax.adamw(schedule, weight_decay=decay, mask=mask),
}
DECAYED: dict[str, Callable[[PyTree], PyTree] | None] = {
    "all": None,
    "kernels": lambda params: jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params),
}


def optimizer(
    *,
    name: str,
    schedule: str,
    lr: float,
    weight_decay: float,
    steps: int,
    decay: str = "all",
    warmup: float = 0.05,
    clip: float = 0.0,
    slow: Callable[[tuple[str, ...]], bool] = lambda path: False,
    slow_factor: float = 1.0,
) -> optax.GradientTransformation:
    """An optimiser with its learning-rate schedule.

    Args:
        name: one of `OPTIMIZERS`; "adam" adds the decay to the gradient (L2), "adamw" decouples it.
        schedule: one of `SCHEDULES`.
        lr: peak learning rate.
        weight_decay: 0 for none.
        steps: length of the schedule.
        decay: one of `DECAYED`: "all" parameters, or "kernels" alone and neither biases, nor scales of norms, nor
            embeddings of positions and class, as is usual for residual networks and ViT (Goyal et al. 2017 for norms,
            He et al. 2019 for biases too; timm's ViT for embeddings).
        warmup: share of the steps in which the rate of "cosine" rises from 0; OUR CHOICE 0.05.
        clip: largest norm of the whole gradient; 0 for no limit.
        slow: tells by the path of a parameter whether it learns more slowly, as pretrained ones may.
        slow_factor: of the learning rate of those; 0 freezes them.

    Raises:
        InputError: an unknown name.
    """
    make = pick(OPTIMIZERS, "train.optimizer", name)
    rate = pick(SCHEDULES, "train.schedule", schedule)(lr, steps, warmup)
    parts = [make(rate, weight_decay, pick(DECAYED, "train.decay", decay))]
    if clip > 0:
        parts.insert(0, optax.clip_by_global_norm(clip))
    if slow_factor != 1:

        def is_slow(params: PyTree) -> PyTree:
            names = jax.tree_util.tree_map_with_path(lambda path, _: tuple(key.key for key in path), params)
            return jax.tree.map(slow, names, is_leaf=lambda leaf: isinstance(leaf, tuple))

        parts.append(optax.masked(optax.scale(slow_factor), is_slow))
    return optax.chain(*parts) if len(parts) > 1 else parts[0]
