"""Parameters and multiply-adds of every network: the table in docs/networks.md.

    python benchmarks/networks.py

Nothing is computed: both are read off the traced program of one clip in testing, with default arguments and 5 classes;
see `merjax.cost`. Convolutions are traced as XLA's own, as a GPU and a TPU have them.
"""

import jax
import jax.numpy as jnp

from merjax.cost import multiply_adds
from merjax.models import cpu
from merjax.models.afn import AFN
from merjax.models.dianet import DIANet
from merjax.models.efficientnet import EfficientNetB0
from merjax.models.fmanet import FMANet
from merjax.models.learnet import LEARNet
from merjax.models.linear import Linear
from merjax.models.meganet import MEGANet
from merjax.models.micro_attention import MicroAttention
from merjax.models.off_apexnet import OFFApexNet
from merjax.models.plain import Plain
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
    (EfficientNetB0(5), 224),
    (ViTB16(5), 224),
    (Plain(5), 28),
    (Linear(5), 28),
)


def main() -> None:
    """Prints the table."""
    cpu.here = lambda _: False
    print("| network | side | parameters | multiply-adds |\n| --- | --- | --- | --- |")
    for net, side in NETWORKS:
        x = jax.ShapeDtypeStruct((1, net.streams or 1, side, side, 3), jnp.float32)
        variables = jax.eval_shape(lambda x, net=net: net.init(jax.random.key(0), x, train=False), x)
        cost = multiply_adds(lambda v, x, net=net: net.apply(v, x, train=False), variables, x)
        parameters = sum(p.size for p in jax.tree.leaves(variables["params"]))
        print(f"| {type(net).__name__} | {side} | {parameters:,} | {cost / 1e6:,.1f} M |")


if __name__ == "__main__":
    main()
