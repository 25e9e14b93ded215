"""Parameters and multiply-adds of every network: the table in docs/networks.md.

    python benchmarks/networks.py

Nothing is computed: both are read off the traced program of one clip in testing, with default arguments and 5 classes.
Multiply-adds are those of matrix products and convolutions, zeros of the padding included, as published counts have
them; sums, norms, gates and maxima are not counted.
"""

import math

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr

from merjax.models.afn import AFN
from merjax.models.dianet import DIANet
from merjax.models.efficientnet import EfficientNetB0
from merjax.models.fmanet import FMANet
from merjax.models.learnet import LEARNet
from merjax.models.linear import Linear
from merjax.models.meganet import MEGANet
from merjax.models.micro_attention import MicroAttention
from merjax.models.off_apexnet import OFFApexNet
from merjax.models.resnet import ResNet18, ResNet50
from merjax.models.ststnet import STSTNet
from merjax.models.vgg import VGG19
from merjax.models.vit import ViTB16

NETWORKS = (  # with the side of the image that each was made for
    (DIANet(5), 224),
    (AFN(5), 224),
    (FMANet(5), 224),
    (MEGANet(5), 224),
    (OFFApexNet(5), 28),
    (MicroAttention(5), 224),
    (LEARNet(5), 112),
    (STSTNet(5), 28),
    (VGG19(5), 224),
    (ResNet18(5), 224),
    (ResNet50(5), 224),
    (EfficientNetB0(5, how="native"), 224),  # else its depthwise convolutions are sums of products, not counted here
    (ViTB16(5), 224),
    (Linear(5), 28),
)


def multiply_adds(jaxpr: Jaxpr) -> int:
    """Of all matrix products and convolutions in a traced program, those in loops as often as they run."""
    total = 0
    for equation in jaxpr.eqns:
        sizes = [v.aval for v in (*equation.invars[:2], *equation.outvars[:1])]
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            total += sizes[2].size * math.prod(sizes[0].shape[axis] for axis in contracted)
        if equation.primitive.name == "conv_general_dilated":
            features = equation.params["dimension_numbers"].rhs_spec[0]
            total += sizes[2].size * sizes[1].size // sizes[1].shape[features]
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)  # closed or not
            if hasattr(inner, "eqns"):
                total += equation.params.get("length", 1) * multiply_adds(inner)
    return total


def main() -> None:
    """Prints the table."""
    print("| network | side | parameters | multiply-adds |\n| --- | --- | --- | --- |")
    for net, side in NETWORKS:
        x = jax.ShapeDtypeStruct((1, net.streams or 1, side, side, 3), jnp.float32)
        variables = jax.eval_shape(lambda x, net=net: net.init(jax.random.key(0), x, train=False), x)
        program = jax.make_jaxpr(lambda v, x, net=net: net.apply(v, x, train=False))(variables, x)
        parameters = sum(p.size for p in jax.tree.leaves(variables["params"]))
        print(f"| {type(net).__name__} | {side} | {parameters:,} | {multiply_adds(program.jaxpr) / 1e6:,.1f} M |")


if __name__ == "__main__":
    main()
