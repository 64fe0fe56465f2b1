"""How far a score could have come out otherwise: 95 % intervals by resampling groups of images.

Images of one patient, or near-duplicates of each other, are right or wrong together. The unit that is drawn is
therefore the group: as many groups as there are, with replacement, each with all its images (the cluster bootstrap of
Field and Welsh 2007, doi:10.1111/j.1467-9868.2007.00593.x, with Efron's percentile interval).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypedDict

import numpy as np

# Weights of images (R, N) to named scores, each (R,).
Statistic = Callable[[np.ndarray], Mapping[str, np.ndarray]]

TAIL = 0.025  # left out on each side
NORMAL_QUANTILE = 1.959964  # of 1 - TAIL
# With fewer mistaken groups than this, resampling shows too little of what could have happened: with none it is [1, 1].
FEW_MISTAKES = 5
# Weights handled at once, 8 bytes each: memory stays flat in the number of repeats, and near the processor's cache.
WEIGHTS_AT_ONCE = 200_000


class Interval(TypedDict):
    """A 95 % interval, and how many resamples gave no value (such as those in which a class does not occur)."""

    low: float
    high: float
    dropped: int


def bootstrap(
    groups: np.ndarray,
    statistic: Statistic,
    rng: np.random.Generator,
    repeats: int = 1000,
    trials: Mapping[str, tuple[int, int]] | None = None,
) -> dict[str, Interval]:
    """Return the 95 % percentile interval of each score that `statistic` computes.

    Parameters
    ----------
    groups
        `(N,)` the group of each image, of any type that sorts: patients, or groups of near-duplicates.
    statistic
        Maps weights `(R, N)` to named scores, each `(R,)`. A weight says how often the image was drawn. A score that
        a resample leaves undefined is NaN there; it is dropped and counted. For a difference of two models, return it.
    rng, repeats
        Source of the draws, and their number.
    trials
        For scores that are shares: the number of groups that bear on it, and how many of these hold a mistake. Where
        the mistaken groups are fewer than 5, the percentile interval is joined with Wilson's for that number of groups.
        Taking each group for one trial is the cautious end: images within a group may tell more than one would.

    Returns
    -------
    dict
        An `Interval` for each score. Both ends are NaN if there are fewer than two groups, or no resample had a value.

    Notes
    -----
    Resampling cannot produce a mistake that the sample lacks: a score without any mistake would get [1, 1], however few
    images there were. Wilson's interval for n of n correct ends at n / (n + 3.84), which is close to the rule of three
    (Hanley and Lippman-Hand 1983, doi:10.1001/jama.1983.03330370053031). It is the one Brown, Cai and DasGupta 2001,
    doi:10.1214/ss/1009213286, recommend for small samples. Simulated (in the tests) with 100 groups and a true accuracy
    of 0.99, the percentiles alone cover the truth in 64 % of samples, the joined interval in more than 95 %.
    """
    labels, member_of = np.unique(groups, return_inverse=True)
    values = statistic(np.ones((1, len(groups))))
    if len(labels) < 2:
        return {name: Interval(low=np.nan, high=np.nan, dropped=repeats) for name in values}
    drawn = [statistic(counts[:, member_of]) for counts in _draws(len(labels), len(groups), rng, repeats)]
    resampled = {name: np.concatenate([part[name] for part in drawn]) for name in values}
    result = {name: _percentile(scores) for name, scores in resampled.items()}
    for name, (size, mistakes) in (trials or {}).items():
        if mistakes < FEW_MISTAKES:
            result[name] = _joined(result[name], wilson(float(values[name][0]), size))
    return result


def wilson(share: float, size: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share in [0, 1] seen in `size` independent trials; NaN without trials.

    References
    ----------
    Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    if not size:
        return np.nan, np.nan
    z2 = NORMAL_QUANTILE**2
    centre = share + z2 / (2 * size)
    half = NORMAL_QUANTILE * np.sqrt(share * (1 - share) / size + z2 / (4 * size**2))
    low, high = (centre - half) / (1 + z2 / size), (centre + half) / (1 + z2 / size)
    return max(0.0, float(low)), min(1.0, float(high))


def _draws(groups: int, images: int, rng: np.random.Generator, repeats: int) -> Iterator[np.ndarray]:
    """Yield how often each group was drawn, `(R, groups)` floats, until there are `repeats` rows."""
    at_once = max(1, WEIGHTS_AT_ONCE // images)
    for start in range(0, repeats, at_once):
        rows = min(at_once, repeats - start)
        picks = rng.integers(groups, size=(rows, groups)) + groups * np.arange(rows)[:, None]
        yield np.bincount(picks.ravel(), minlength=rows * groups).reshape(rows, groups).astype(float)


def _percentile(scores: np.ndarray) -> Interval:
    kept = scores[~np.isnan(scores)]
    low, high = np.quantile(kept, [TAIL, 1 - TAIL]) if len(kept) else (np.nan, np.nan)
    return Interval(low=float(low), high=float(high), dropped=len(scores) - len(kept))


def _joined(interval: Interval, other: tuple[float, float]) -> Interval:
    # fmin and fmax pass over NaN: where one of the two cannot be had, the other stands.
    low, high = np.fmin(interval["low"], other[0]), np.fmax(interval["high"], other[1])
    return Interval(low=float(low), high=float(high), dropped=interval["dropped"])
