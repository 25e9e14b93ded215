"""Networks, one paper per file; all take [b, p, h, w, c] and give logits [b, k].

`MODELS` is the table that a config's `model.name` is looked up in.
"""

import flax.linen as nn

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

MODELS: dict[str, type[nn.Module]] = {
    "afn": AFN,
    "fmanet": FMANet,
    "dianet": DIANet,
    "meganet": MEGANet,
    "off_apexnet": OFFApexNet,
    "micro_attention": MicroAttention,
    "vgg19": VGG19,
    "resnet18": ResNet18,
    "resnet50": ResNet50,
    "efficientnet_b0": EfficientNetB0,
    "vit_b16": ViTB16,
    "learnet": LEARNet,
    "ststnet": STSTNet,
    "plain": Plain,
    "linear": Linear,
}
