"""Optical strain: how much flow deforms the skin, whatever the head as a whole does."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from merjax.types import pick

# Weight of the shear (u_y + v_x)^2 under the root.
FORMS = {"half": 0.5, "quarter": 0.25}


def strain(flow: Float[Array, "h w 2"], *, form: str = "half") -> Float[Array, "h w"]:
    """Magnitude of the strain tensor of a flow field: sqrt(u_x^2 + v_y^2 + 1/2 (u_y + v_x)^2).

    The tensor has e_xx = u_x, e_yy = v_y and e_xy = e_yx = (u_y + v_x) / 2, so that its magnitude is the root of
    e_xx^2 + e_yy^2 + 2 e_xy^2. Derivatives are central differences inside and one-sided at the border.

    Args:
        flow: (u right, v down) in pixels, at least 2 x 2 of them.
        form: "half", the magnitude above; "quarter" has 1/4 in place of 1/2, which counts e_xy once, as public code
            often does: to repeat published numbers.

    Returns:
        Strain in pixels per pixel; zero for a shift of the whole image. Its derivative is zero where it is zero.

    Raises:
        InputError: an unknown form.

    Source: the formula is STATED (in common use: the strain channel of STSTNet and others); the differences are
        OUR CHOICE.
    """
    shear = pick(FORMS, "form", form)
    u, v = flow[..., 0], flow[..., 1]
    square = _slope(u, 1) ** 2 + _slope(v, 0) ** 2 + shear * (_slope(u, 0) + _slope(v, 1)) ** 2
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)


def with_strain(flow: Float[Array, "h w 2"], *, form: str = "half") -> Float[Array, "h w 3"]:
    """Flow in pixels as the flow image (u, v, strain) that the flow inputs take. Arguments as `strain`."""
    return jnp.concatenate([flow, strain(flow, form=form)[..., None]], axis=-1)


def _slope(image: Float[Array, "h w"], axis: int) -> Float[Array, "h w"]:
    """Change per pixel along an axis."""
    x = jnp.moveaxis(image, axis, 0)
    inside = (x[2:] - x[:-2]) / 2.0
    return jnp.moveaxis(jnp.concatenate([x[1:2] - x[:1], inside, x[-1:] - x[-2:-1]]), 0, axis)
