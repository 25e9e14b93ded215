"""Multiply-adds of a function, read off its traced program."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Jaxpr


def multiply_adds(function: Callable[..., Any], *arguments: Any) -> int:
    """Of all matrix products and convolutions of a function of arrays or shapes; nothing is computed.

    Zeros of the padding count, as in published counts; sums, norms, gates and maxima do not.
    """
    return counted(jax.make_jaxpr(function)(*arguments).jaxpr)


def counted(jaxpr: Jaxpr) -> int:
    """Those of a traced program; what is in a loop counts as often as it runs."""
    total = 0
    for equation in jaxpr.eqns:
        sizes: list[Any] = [v.aval for v in (*equation.invars[:2], *equation.outvars[:1])]
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            total += sizes[2].size * math.prod(sizes[0].shape[axis] for axis in contracted)
        if equation.primitive.name == "conv_general_dilated":
            features = equation.params["dimension_numbers"].rhs_spec[0]
            spread = math.prod(equation.params["lhs_dilation"])  # zeros between pixels, as a gradient has them
            total += sizes[2].size * sizes[1].size // sizes[1].shape[features] // spread
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)  # closed or not
            if hasattr(inner, "eqns"):
                total += equation.params.get("length", 1) * counted(inner)
    return total
