"""Operations of networks that run quicker on a CPU by another way: the same function, other sums.

Networks are written on XLA's own convolutions, which a GPU and a TPU run best. In a compiled loop on a CPU their
gradients are tens of times slower than the ways of this folder (docs/speed.md). `instead` is where the two meet.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")


def here(x: Any) -> bool:
    """Whether an array is computed on a CPU and its sides are numbers: an exported program may leave the batch open."""
    return jax.default_backend() == "cpu" and all(isinstance(side, int) for side in x.shape)


def instead(quick: Callable[P, R]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorates a plain operation, whose first argument is an image: on a CPU `quick` runs in its place.

    Args:
        quick: the same function of the same arguments.
    """

    def decorate(plain: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(plain)
        def operation(*arguments: P.args, **keywords: P.kwargs) -> R:
            return (quick if here(arguments[0]) else plain)(*arguments, **keywords)

        return operation

    return decorate
