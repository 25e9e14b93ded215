"""Miniature copies of the licensed data sets: their folders and sheets with invented clips, sound or with faults.

    tree = TREES["casme2"](root, seed=0, subjects=3, clips=9, size=48, faults=("apex_unknown",))

`TREES[name]` takes the arguments of `merjax.data.trees.build.write` after the recipe; `RECIPES[name].faults` lists the
faults. `merjax.data.trees.labels` writes sheets of full size with hardly any frames.

Frames show drawn faces (`merjax.data.synthetic`), so results on such a tree say nothing about people.
"""

import functools
from collections.abc import Callable

from merjax.data.trees import casme, casme2, casme3, casme_squared, dfme, fourdme, mmew, samm, smic
from merjax.data.trees.build import write
from merjax.data.trees.recipe import Recipe, Tree

RECIPES: dict[str, Recipe] = {
    "casme2": casme2.RECIPE,
    "samm": samm.RECIPE,
    "smic": smic.RECIPE,
    "smic_e": smic.LONG_RECIPE,
    "mmew": mmew.RECIPE,
    "mmew_official": mmew.OFFICIAL_RECIPE,
    "casme3a": casme3.RECIPE,
    "casme3c": casme3.RECIPE_C,
    "casme_sq": casme_squared.RECIPE,
    "casme": casme.RECIPE,
    "4dme": fourdme.RECIPE,
    "dfme": dfme.RECIPE,
}
TREES: dict[str, Callable[..., Tree]] = {name: functools.partial(write, recipe) for name, recipe in RECIPES.items()}
