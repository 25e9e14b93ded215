"""Training and testing of ONE fold, as pure functions. `parallel` lifts them over folds and seeds.

All randomness hangs on the fold's key and the step number, so that a fold trained alone gives the numbers that it
gives in a stack of folds, and ten steps equal four and then six.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from merjax.losses import class_weights
from merjax.types import Curves, Fold, Samples, State, pick


class Stream(IntEnum):
    """Named branches of a key: a new one never shifts the numbers of another."""

    INIT = 0
    ORDER = 1
    AUGMENT = 2
    DROPOUT = 3


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


def init(
    key: Key[Array, ""],
    fold: Fold,
    samples: Samples,
    *,
    net: nn.Module,
    tx: optax.GradientTransformation,
    average: float = 0.0,
) -> State:
    """The untrained state of one fold.

    Args:
        key: the fold's key.
        fold: its split; only its key tells folds apart here.
        samples: gives the shape of the input.
        net: the network.
        tx: the optimiser.
        average: decay of `averaged`, the same in `fit`; 0 keeps no average.
    """
    keys = {"params": jax.random.fold_in(key, Stream.INIT)}
    variables = net.init(keys, jnp.zeros_like(samples.x[:1]), train=False)
    params, stats = variables["params"], variables.get("batch_stats", {})
    nothing_yet = jax.tree.map(jnp.zeros_like, {"params": params, "batch_stats": stats}) if average > 0 else {}
    return State(jnp.zeros((), jnp.int32), params, stats, tx.init(params), nothing_yet)


def batch_rows(
    key: Key[Array, ""], step: Int[Array, ""], fold: Fold, batch: int, epoch_steps: int
) -> Int[Array, " batch"]:
    """The rows of one step: a fresh order of the fold's training rows every epoch.

    An epoch is `epoch_steps` full batches for every fold; where a fold has fewer rows, its order starts again.
    """
    noise = jax.random.uniform(jax.random.fold_in(key, step // epoch_steps), fold.train.shape)
    order = jnp.argsort(jnp.where(fold.train_mask, noise, jnp.inf))  # padding last
    position = (step % epoch_steps) * batch + jnp.arange(batch)
    return fold.train[order[position % fold.train_mask.sum()]]


def averaged(average: PyTree, now: PyTree, step: Int[Array, ""], decay: float) -> PyTree:
    """The exponential average over all steps so far: each weighs decay ** age, and the weights sum to 1.

    The sum to 1 is the correction of the bias towards the beginning that Adam makes too, here within the recursion: the
    first step counts whole, early ones about equally, and there is nothing to correct at the end. Batch statistics are
    averaged like weights, as timm's ModelEma does with all of a model's state: those of the last steps belong to the
    last weights.

    Source: Polyak and Juditsky 1992; its exponential form and the correction are OUR CHOICE.

    Args:
        average: of the steps before; of no meaning at step 0.
        now: what the step arrived at.
        step: its number, from 0.
        decay: below 1; about 1 / (1 - decay) steps count.
    """
    return optax.incremental_update(now, average, (1.0 - decay) / (1.0 - decay ** (step + 1.0)))


def fit(
    key: Key[Array, ""],
    state: State,
    fold: Fold,
    samples: Samples,
    *,
    net: nn.Module,
    tx: optax.GradientTransformation,
    loss: Callable[..., Float[Array, ""]],
    augment: Callable[[Key[Array, ""], Float[Array, "p h w c"]], Float[Array, "p h w c"]],
    weight_power: float,
    batch: int,
    epoch_steps: int,
    steps: int,
    average: float = 0.0,
) -> tuple[State, Float[Array, "steps 2"]]:
    """Trains one fold for some steps, from wherever its state stands.

    Args:
        key: the fold's key, the same in every call.
        state: where training stands.
        fold: the split; only its training rows are read.
        samples: all clips.
        net: the network.
        tx: the optimiser.
        loss: loss(logits, label, weights).
        augment: random change of one sample.
        weight_power: see `losses.class_weights`; the weights come from this fold's training rows.
        batch: clips per step.
        epoch_steps: steps per epoch.
        steps: steps to go.
        average: decay of the average that `evaluate` then takes in place of the weights, see `averaged`; 0 for none.

    Returns:
        The new state, and loss and accuracy of every step.
    """
    weights = class_weights(samples.label[fold.train], jnp.asarray(fold.train_mask), net.classes, weight_power)
    order_key, augment_key, dropout_key = (
        jax.random.fold_in(key, stream) for stream in (Stream.ORDER, Stream.AUGMENT, Stream.DROPOUT)
    )

    def step(state: State, _: None) -> tuple[State, Float[Array, "2"]]:
        rows = batch_rows(order_key, state.step, fold, batch, epoch_steps)
        keys = jax.random.split(jax.random.fold_in(augment_key, state.step), batch)
        x, label = jax.vmap(augment)(keys, samples.x[rows]), samples.label[rows]

        def objective(params: dict) -> tuple[Float[Array, ""], tuple[Float[Array, "batch k"], dict]]:
            logits, changed = net.apply(
                {"params": params, "batch_stats": state.batch_stats},
                x,
                train=True,
                rngs={"dropout": jax.random.fold_in(dropout_key, state.step)},
                mutable=["batch_stats"],
            )
            return loss(logits, label, weights), (logits, changed.get("batch_stats", {}))

        (value, (logits, stats)), gradient = jax.value_and_grad(objective, has_aux=True)(state.params)
        updates, opt = tx.update(gradient, state.opt, state.params)
        params = optax.apply_updates(state.params, updates)
        now = {"params": params, "batch_stats": stats}
        mean = averaged(state.average, now, state.step, average) if average > 0 else {}
        accuracy = (logits.argmax(-1) == label).mean()
        return State(state.step + 1, params, stats, opt, mean), jnp.stack([value, accuracy])

    return jax.lax.scan(step, state, length=steps)


def evaluate(
    state: State,
    fold: Fold,
    samples: Samples,
    *,
    net: nn.Module,
    mirror: Callable[[Float[Array, "p h w c"]], Float[Array, "p h w c"]] | None = None,
) -> Float[Array, "e k"]:
    """Class probabilities of a fold's test rows; rows of padding hold nothing of use.

    Args:
        state: trained state; its average counts where it keeps one.
        fold: the split; only its test rows are read.
        samples: all clips.
        net: the network.
        mirror: where given, the probabilities of each clip and its mirror image are averaged.
    """
    variables = state.average or {"params": state.params, "batch_stats": state.batch_stats}

    def probability(x: Float[Array, "e p h w c"]) -> Float[Array, "e k"]:
        return jax.nn.softmax(jnp.asarray(net.apply(variables, x, train=False)))

    x = samples.x[fold.test]
    if mirror is None:
        return probability(x)
    return (probability(x) + probability(jax.vmap(mirror)(x))) / 2.0


def epoch(
    key: Key[Array, ""],
    state: State,
    fold: Fold,
    samples: Samples,
    *,
    net: nn.Module,
    mirror: Callable[[Float[Array, "p h w c"]], Float[Array, "p h w c"]] | None,
    epoch_steps: int,
    **recipe: Any,
) -> tuple[State, Curves]:
    """One epoch of `fit`, then `evaluate`: the unit that is compiled, lifted over folds and repeated.

    Args:
        key: the fold's key, the same in every call.
        state: where training stands.
        fold: the split.
        samples: all clips.
        net: the network.
        mirror: see `evaluate`.
        epoch_steps: steps per epoch.
        **recipe: the other arguments of `fit`.
    """
    state, steps = fit(key, state, fold, samples, net=net, epoch_steps=epoch_steps, steps=epoch_steps, **recipe)
    loss, accuracy = steps.mean(0)
    return state, Curves(loss, accuracy, evaluate(state, fold, samples, net=net, mirror=mirror))


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


def begin_from(states: State, variables: PyTree) -> State:
    """Puts given weights into untrained states.

    Args:
        states: of one fold, or stacked over folds: then all of them begin alike.
        variables: {"params", "batch_stats"}, arrays where a weight is given and shapes where the state's own stays.
    """

    def put(own: Array, given: Array | jax.ShapeDtypeStruct) -> Array:
        if isinstance(given, jax.ShapeDtypeStruct):
            return own
        return jax.device_put(jnp.broadcast_to(given, own.shape).astype(own.dtype), own.sharding)

    params = jax.tree.map(put, states.params, variables["params"])
    return states._replace(
        params=params, batch_stats=jax.tree.map(put, states.batch_stats, variables.get("batch_stats", {}))
    )
