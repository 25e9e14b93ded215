"""MEGANet on MESTI of SMIC-HS, three classes, with both ablations of its paper.

Source: arXiv 2509.00056, tables III, V and VI: LOSO, the blocks that are left out and training
    (recipes.stated_training) are STATED; that the ablations are of SMIC-HS is INFERRED from the figures. Widths,
    strides, dropout, the shortcut around the attention and what takes the place of a block that is left out are OUR
    CHOICE, see docs/networks.md. SMIC has no annotated apex: the middle frame, STATED.
Command: python run.py --config=configs/meganet_smic.py --config.data.root=FOLDER
    the grid: merjax sweep --config=configs/meganet_smic.py --config.data.root=FOLDER --out=FOLDER
Cost: not measured, for the data need a licence, which merjax does not have; about 3.2e14 multiply-adds for one seed,
    counted by benchmarks/experiments.py.
Score: none measured here. Published, LOSO, fits 152 of 164 clips: UF1 0.917, UAR 0.924, accuracy 92.68 %; without
    gradient attention 83.54 %, residual block alone 80.49 %, self-attention alone 75.61 %, gradient attention alone
    81.10 %; two blocks 82.32 %, four 85.98 %. Epoch rule not stated.
"""

from typing import Any

from ml_collections import ConfigDict

from merjax import recipes


def get_config() -> ConfigDict:
    """The experiment."""
    c = recipes.stated_training(recipes.licensed("smic", "smic_3"))
    c.input.name = "mesti"
    c.model.name = "meganet"
    return c


def get_grid() -> list[dict[str, Any]]:
    """Blocks left out, as table V; two and four blocks, as table VI; and the printed form of the attention."""
    gradient, residual, attention = (f"model.meganet.{name}" for name in ("gradient", "residual", "attention"))
    return [
        {gradient: False, residual: True, attention: "none"},
        {gradient: False, residual: False, attention: "sagan"},
        {gradient: False, residual: True, attention: "sagan"},
        {gradient: True, residual: False, attention: "none"},
        {gradient: True, residual: True, attention: "sagan"},
        {gradient: True, residual: True, attention: "printed"},
        *recipes.values("model.meganet.widths", (128, 256), (128, 256, 512, 512)),
    ]
