"""Many calls of one function as few: an accelerator is not filled by one clip, and waits for each transfer."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def at_once() -> int:
    """Clips, or pairs of frames, that one program takes; 16 on accelerators is OUR CHOICE, not measured on a card."""
    return 1 if jax.default_backend() == "cpu" else 16


def batched(function: Callable[..., Any], size: int) -> Callable[[Sequence[tuple[Any, ...]]], list[Any]]:
    """Compiles a function of arrays, for many tuples of its arguments: those of one shape go together.

    Args:
        function: of arrays, one tuple at a time; gives arrays.
        size: tuples that one program takes. Fewer are filled up by repeating the last, so that there is one compilation
            for each shape.

    Returns:
        A function from the tuples to their results, in the same order, as NumPy arrays.
    """
    one = jax.jit(function)
    many = jax.jit(lambda items: jax.vmap(function)(*map(jnp.stack, zip(*items, strict=True))))

    def results(items: Sequence[tuple[Any, ...]]) -> list[Any]:
        if size == 1:
            return [jax.device_get(one(*item)) for item in items]
        groups = dict[tuple[tuple[int, ...], ...], list[int]]()
        for number, item in enumerate(items):
            groups.setdefault(tuple(np.shape(array) for array in item), []).append(number)
        found = dict[int, Any]()
        for group in groups.values():
            for first in range(0, len(group), size):
                some = group[first : first + size]
                placed = jax.device_put([items[number] for number in some])  # what fills the batch is not sent again
                made = jax.device_get(many(placed + placed[-1:] * (size - len(some))))
                for place, number in enumerate(some):
                    found[number] = jax.tree.map(lambda array, place=place: array[place, ...].copy(), made)
        return [found[number] for number in range(len(items))]

    return results
