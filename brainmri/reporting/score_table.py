"""The table behind the first chart: the classifier's scores beside those of the probes and of the commonest class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from brainmri.reporting.condense import distinct_parts


def score_table(classify: Mapping[str, Any], probes: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a score: `who`, `part`, `metric`, `value`, and the ends `low` and `high` of what it may be.

    Parameters
    ----------
    classify : mapping
        `scores.json` of the evaluate stage. The ends are those of the 95 % interval; of several seeds the mean is
        shown, with ends one standard deviation away.
    probes : mapping
        `scores.json` of the probe stage: each entry that has a part with an `accuracy` is one probe.

    Returns
    -------
    DataFrame
        `metric` is accuracy or macro F1. A part of the test set that is the same images as another stands once. The
        last `who` always answers with the part's commonest class; it has no ends (NaN).
    """
    parts = distinct_parts(classify)
    rows = _scores("classifier", {part: classify[part] for part in parts}, classify["ci95"])
    rows += _seeds(classify["repeats"], parts) if "repeats" in classify else []
    for name, found in probes.items():
        if isinstance(found, Mapping):
            given = {part: found[part] for part in parts if "accuracy" in found.get(part, {})}
            rows += _scores(
                f"probe: {name.replace('_', ' ')}", given, {part: own["ci95"] for part, own in given.items()}
            )
    rows += [row for part in parts for row in _commonest(part, classify[part]["classes"])]
    return pd.DataFrame(rows, columns=["who", "part", "metric", "value", "low", "high"])


def _scores(who: str, values: Mapping[str, Any], ends: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (who, part, metric, _named(own, metric), found.get("low"), found.get("high"))
        for part, own in values.items()
        for metric in ("accuracy", "macro F1")
        if (found := _named(ends[part], metric)) is not None
    ]


def _named(scores: Mapping[str, Any], metric: str) -> Any:
    """Return a score by its chart's name: the probes' tables are flat, the classifier's nested."""
    if metric == "accuracy":
        return scores["accuracy"]
    return scores["macro_f1"] if "macro_f1" in scores else scores["macro"]["f1"]


def _seeds(repeats: Mapping[str, Any], parts: Sequence[str]) -> list[tuple[Any, ...]]:
    rows = []
    for part in (name for name in parts if name in repeats):
        for metric in ("accuracy", "macro F1"):
            mean, sd = (_named(repeats[part][kind], metric) for kind in ("mean", "sd"))
            if mean is not None:
                rows.append((f"mean of {repeats['seeds']} seeds (bar: ± SD)", part, metric, mean, mean - sd, mean + sd))
    return rows


def _commonest(part: str, classes: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    support = np.array([found["support"] for found in classes.values()])
    share = support.max() / support.sum()
    # Its recall is 1 and its precision its share; every other class that occurs has an F1 of 0.
    macro_f1 = 2 * share / (1 + share) / np.count_nonzero(support)
    values = {"accuracy": share, "macro F1": macro_f1}
    return [("commonest class", part, metric, value, np.nan, np.nan) for metric, value in values.items()]
