"""What the predictions say clip by clip and subject by subject, beside the scores."""

import numpy as np
from jaxtyping import Float

from merjax import metrics
from merjax.report.dots import Dot
from merjax.report.scores import Outcome, chosen_epochs, chosen_probability


def detail(outcome: Outcome, select: str, patience: int = 0) -> dict:
    """The fields of scores.json on calibration and on the hardest clips."""
    probability = chosen_probability(outcome, chosen_epochs(outcome, select, patience))
    return {"calibration": calibration(outcome, probability), "hardest": hardest(outcome, probability)}


def calibration(outcome: Outcome, probability: Float[np.ndarray, "r n k"]) -> dict:
    """The expected calibration error of all seeds' predictions together, and the bins that it comes from."""
    found = metrics.reliability(probability, outcome.label)
    return {"error": found.error, **{name: values.tolist() for name, values in found._asdict().items()}}


def hardest(outcome: Outcome, probability: Float[np.ndarray, "r n k"], count: int = 10) -> list[dict]:
    """The clips whose true class gets the lowest probability, the mean over seeds; the lowest first."""
    truth = probability[:, np.arange(len(outcome.clips)), outcome.label]
    guess = probability.mean(0).argmax(-1)
    return [
        {
            "sample_id": outcome.clips[i].sample_id,
            "label": outcome.classes[outcome.label[i]],
            "probability": float(truth[:, i].mean()),
            "instead": outcome.classes[guess[i]],
            "instead_probability": float(probability[:, i, guess[i]].mean()),
            "right": int((probability[:, i].argmax(-1) == outcome.label[i]).sum()),
        }
        for i in np.argsort(truth.mean(0), kind="stable")[:count]
    ]


def subjects(outcome: Outcome, select: str, patience: int = 0) -> dict[str, list[Dot]]:
    """The subjects of every database: their clips, and the share of them that is recognised, the mean over seeds."""
    right = chosen_probability(outcome, chosen_epochs(outcome, select, patience)).argmax(-1) == outcome.label
    found: dict[str, list[Dot]] = {}
    for s in np.unique(outcome.subject):
        database, name = outcome.names[s].split("/", 1)
        mine = outcome.subject == s
        found.setdefault(database, []).append(Dot(name, int(mine.sum()), float(right[:, mine].mean())))
    return found
