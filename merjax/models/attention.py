"""Attention between tokens, as DIANet (two streams) and MEGANet (one) use it."""

import math

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


class Attention(nn.Module):
    """Tokens look at others: softmax(Q K^T) V, each head in its part of the channels.

    No layer has a bias. That of the keys would shift a whole row of scores, which the softmax takes away again: its
    gradient is zero in truth. The others are not needed: both networks normalise right before.

    Where there is one token to look at, its weight is 1 whatever query and key are. Both are then left out, and the
    layer is linear.

    Attributes:
        width: channels of queries and of keys, all heads together.
        values: channels of the result, all heads together.
        heads: number of heads; divides `width` and `values`.
        scaled: divide the scores by the root of a head's channels.
    """

    width: int
    values: int
    heads: int = 1
    scaled: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "b n c"], other: Float[Array, "b m c"]
    ) -> tuple[Float[Array, "b n {self.values}"], Float[Array, "b {self.heads} n m"]]:
        """What the tokens `x` see of `other`, and how much each looks at each (sums to 1 over m)."""

        def heads(tokens: Float[Array, "b n c"], width: int, name: str) -> Float[Array, "b n heads d"]:
            y = nn.Dense(width, use_bias=False, name=name)(tokens)
            return y.reshape(*tokens.shape[:2], self.heads, width // self.heads)

        (b, n, _), m = x.shape, other.shape[1]
        value = heads(other, self.values, "value")
        if m == 1:
            weights = jnp.ones((b, self.heads, n, 1))
        else:
            query, key = heads(x, self.width, "query"), heads(other, self.width, "key")
            scores = jnp.einsum("bnhd,bmhd->bhnm", query, key)
            weights = nn.softmax(scores / math.sqrt(self.width // self.heads) if self.scaled else scores)
        return jnp.einsum("bhnm,bmhd->bnhd", weights, value).reshape(b, n, self.values), weights
