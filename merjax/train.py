"""Training and testing of ONE fold, as pure functions. `parallel` lifts them over folds and seeds.

All randomness hangs on the fold's key and the step number, so that a fold trained alone gives the numbers that it
gives in a stack of folds, and ten steps equal four and then six.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import IntEnum
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from merjax.losses import class_weights
from merjax.types import Curves, Fold, Host, Samples, State


class Stream(IntEnum):
    """Named branches of a key: a new one never shifts the numbers of another."""

    INIT = 0
    ORDER = 1
    AUGMENT = 2
    DROPOUT = 3


# The type that a network computes in, and how exactly a GPU or TPU multiplies: by itself either rounds float32 first. A
# CPU multiplies float32 as it is.
PRECISIONS = {
    "float32": (jnp.float32, "highest"),
    "tf32": (jnp.float32, "tensorfloat32"),  # ten bits of each factor; on a TPU 16, as the sum of three products
    "bfloat16": (jnp.bfloat16, "bfloat16"),
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


def rounded(tree: PyTree, precision: str) -> PyTree:
    """Arrays of floats in the type that a network computes in."""
    return jax.tree.map(lambda a: a.astype(PRECISIONS[precision][0]), tree)


def multiplying(precision: str) -> AbstractContextManager[None]:
    """A context in which matrix products and convolutions are traced, gradients too, as exact as a precision says."""
    return jax.default_matmul_precision(PRECISIONS[precision][1])


def images_at(samples: Samples, numbers: Int[Host, " b"]) -> Float[Array, "b p h w c"]:
    """Clips by number. Each is fetched as one long line, which a TPU keeps without padding its last axes."""
    lines = jnp.asarray(samples.x).reshape(len(samples.x), -1)
    return lines[numbers].reshape(-1, *samples.x.shape[1:])


def applied(net: nn.Module, precision: str, remat: bool) -> Callable[..., tuple[Float[Array, "b k"], PyTree]]:
    """A network in training as a function of variables, a batch and keys: logits, and the batch statistics that change.

    Args:
        net: the network.
        precision: see `fit`.
        remat: see `fit`.
    """

    def apply(variables: PyTree, x: Float[Array, "b p h w c"], rngs: dict) -> tuple[Float[Array, "b k"], PyTree]:
        given = variables | {"params": rounded(variables["params"], precision)}
        logits, changed = net.apply(given, rounded(x, precision), train=True, rngs=rngs, mutable=["batch_stats"])
        return logits.astype(jnp.float32), changed

    return jax.checkpoint(apply) if remat else apply


def by_parts(
    objective: Callable[..., tuple], state: State, parts: int, x: Float[Array, "b p h w c"], label: Int[Array, " b"]
) -> tuple[Float[Array, ""], Float[Array, "b k"], PyTree, PyTree]:
    """Loss, logits, batch statistics and mean gradient of a batch, of which a part after another is in memory.

    Args:
        objective: objective(params, batch_stats, number of the part, x, label): loss, and logits and batch statistics.
        state: where training stands.
        parts: must divide b.
        x: the batch.
        label: its classes.
    """
    grad = jax.value_and_grad(objective, has_aux=True)
    if parts == 1:
        (value, (logits, stats)), gradient = grad(state.params, state.batch_stats, jnp.zeros((), jnp.int32), x, label)
        return value, logits, stats, gradient

    def add(carry: tuple, part: tuple) -> tuple[tuple, tuple]:
        stats, total = carry
        (value, (logits, stats)), gradient = grad(state.params, stats, *part)
        return (stats, jax.tree.map(jnp.add, total, gradient)), (value, logits)

    split = jax.tree.map(lambda a: a.reshape(parts, -1, *a.shape[1:]), (x, label))
    zero = jax.tree.map(jnp.zeros_like, state.params)
    (stats, total), (values, logits) = jax.lax.scan(add, (state.batch_stats, zero), (jnp.arange(parts), *split))
    return values.mean(), logits.reshape(-1, logits.shape[-1]), stats, jax.tree.map(lambda a: a / parts, total)


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
    precision: str = "float32",
    remat: bool = False,
    accumulate: int = 1,
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
        precision: of what the network computes, see `PRECISIONS`; weights, moments, batch statistics and loss stay in
            float32.
        remat: computes the network again for the gradient, which keeps its maps out of memory.
        accumulate: parts of a batch, one after another, whose mean gradient makes a step; it must divide `batch`.
            Batch statistics are then those of the parts.

    Returns:
        The new state, and loss and accuracy of every step.
    """
    labels = jnp.asarray(samples.label)
    weights = class_weights(labels[fold.train], jnp.asarray(fold.train_mask), net.classes, weight_power)
    order_key, augment_key, dropout_key = (
        jax.random.fold_in(key, stream) for stream in (Stream.ORDER, Stream.AUGMENT, Stream.DROPOUT)
    )

    apply = applied(net, precision, remat)

    def step(state: State, _: None) -> tuple[State, Float[Array, "2"]]:
        rows = batch_rows(order_key, state.step, fold, batch, epoch_steps)
        keys = jax.random.split(jax.random.fold_in(augment_key, state.step), batch)
        x, label = jax.vmap(augment)(keys, images_at(samples, rows)), labels[rows]

        dropout = jax.random.fold_in(dropout_key, state.step)

        def objective(params: PyTree, stats: PyTree, number: Int[Array, ""], x: Array, label: Array) -> tuple:
            # A batch in one part draws as ever.
            rngs = {"dropout": dropout if accumulate == 1 else jax.random.fold_in(dropout, number)}
            logits, changed = apply({"params": params, "batch_stats": stats}, x, rngs)
            return loss(logits, label, weights), (logits, changed.get("batch_stats", {}))

        with multiplying(precision):
            value, logits, stats, gradient = by_parts(objective, state, accumulate, x, label)
        updates, opt = tx.update(gradient, state.opt, state.params)
        params = optax.apply_updates(state.params, updates)
        now = {"params": params, "batch_stats": stats}
        mean = averaged(state.average, now, state.step, average) if average > 0 else {}
        accuracy = (logits.argmax(-1) == label).mean()
        return State(state.step + 1, params, stats, opt, mean), jnp.stack([value, accuracy])

    return jax.lax.scan(step, state, length=steps)


def tested(state: State) -> dict[str, PyTree]:
    """The variables that a state is tested with: its average where it keeps one, else its weights."""
    return dict(state.average) or {"params": state.params, "batch_stats": state.batch_stats}


def evaluate(
    state: State,
    fold: Fold,
    samples: Samples,
    *,
    net: nn.Module,
    mirror: Callable[[Float[Array, "p h w c"]], Float[Array, "p h w c"]] | None = None,
    precision: str = "float32",
    batch: int | None = None,
) -> Float[Array, "e k"]:
    """Class probabilities of a fold's test rows; rows of padding hold nothing of use.

    Args:
        state: trained state; its average counts where it keeps one.
        fold: the split; only its test rows are read.
        samples: all clips.
        net: the network.
        mirror: where given, the probabilities of each clip and its mirror image are averaged.
        precision: see `fit`.
        batch: most images at a time, so that a test takes no more memory than a step; None for all at once.
    """
    variables = tested(state)
    variables |= {"params": rounded(variables["params"], precision)}

    def probability(images: Float[Array, "b p h w c"]) -> Float[Array, "b k"]:
        with multiplying(precision):
            logits = jnp.asarray(net.apply(variables, rounded(images, precision), train=False))
        return jax.nn.softmax(logits.astype(jnp.float32))

    x = images_at(samples, fold.test)
    images = x if mirror is None else jnp.concatenate([x, jax.vmap(mirror)(x)])
    count, parts = len(images), -(-len(images) // (batch or len(images)))
    if parts > 1:
        images = jnp.pad(images, ((0, -len(images) % parts), *[(0, 0)] * (images.ndim - 1)))
        found = jax.lax.map(probability, images.reshape(parts, -1, *images.shape[1:]))
        found = found.reshape(-1, found.shape[-1])
    else:
        found = probability(images)
    return found[:count].reshape(-1, len(x), found.shape[-1]).mean(0)  # over a clip and its mirror image


def epoch(
    key: Key[Array, ""],
    state: State,
    fold: Fold,
    samples: Samples,
    *,
    net: nn.Module,
    mirror: Callable[[Float[Array, "p h w c"]], Float[Array, "p h w c"]] | None,
    batch: int,
    epoch_steps: int,
    precision: str = "float32",
    accumulate: int = 1,
    **recipe: Any,
) -> tuple[State, Curves]:
    """One epoch of `fit`, then `evaluate`: the unit that is compiled, lifted over folds and repeated.

    An epoch that ends in numbers that are not finite leaves no trace but its loss: the state before it stays, and every
    later epoch ends in the same way, since it begins in the same way. So one fold's fault stops that fold alone.

    Args:
        key: the fold's key, the same in every call.
        state: where training stands.
        fold: the split.
        samples: all clips.
        net: the network.
        mirror: see `evaluate`.
        batch: clips per step.
        epoch_steps: steps per epoch.
        precision: see `fit`.
        accumulate: see `fit`.
        **recipe: the other arguments of `fit`.
    """
    after, steps = fit(
        key,
        state,
        fold,
        samples,
        net=net,
        batch=batch,
        epoch_steps=epoch_steps,
        steps=epoch_steps,
        precision=precision,
        accumulate=accumulate,
        **recipe,
    )
    state, loss, accuracy = finish(state, after, steps)
    at_once = batch // accumulate
    probability = evaluate(state, fold, samples, net=net, mirror=mirror, precision=precision, batch=at_once)
    return state, Curves(loss, accuracy, probability)


def finish(
    before: State, after: State, steps: Float[Array, "steps 2"]
) -> tuple[State, Float[Array, ""], Float[Array, ""]]:
    """The state at the end of an epoch, its mean loss and accuracy.

    Where something is not finite, that is the state before the epoch, with a loss of NaN.

    Args:
        before: state before the epoch.
        after: state after its last step.
        steps: loss and accuracy of its steps.
    """
    loss, accuracy = steps.mean(0)
    floats = [a for a in jax.tree.leaves(after) if jnp.issubdtype(a.dtype, jnp.floating)]
    finite = jnp.stack([jnp.isfinite(a).all() for a in (loss, *floats)]).all()
    # A branch, for a choice in every array would have XLA find `finite` anew for each of them.
    state = jax.lax.cond(finite, lambda: after, lambda: before)
    return state, jnp.where(finite, loss, jnp.nan), accuracy


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
