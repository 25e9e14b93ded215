"""Networks, one paper per file; all take [b, p, h, w, c] and give logits [b, k].

`MODELS` is the table that a config's `model.name` is looked up in.
"""

import flax.linen as nn

from merjax.models.afn import AFN
from merjax.models.fmanet import FMANet
from merjax.models.linear import Linear
from merjax.models.ststnet import STSTNet

MODELS: dict[str, type[nn.Module]] = {"afn": AFN, "fmanet": FMANet, "ststnet": STSTNet, "linear": Linear}
