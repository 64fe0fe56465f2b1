"""Whether a classifier's confidence can be believed, how it is mended, and when an answer is better not given.

The confidence of an answer is its largest probability. Temperature and threshold are chosen on validation images; what
they are worth is measured on the test images by `evaluate`.
"""

from typing import Annotated, Any

import numpy as np
from pydantic import Field
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from brainmri.core.params import Record
from brainmri.scoring.probabilities import ratio, require_probabilities, surprise

# Beyond these a temperature tells of too few images, not of the network.
COLDEST, HOTTEST = 0.1, 10.0
# Above every confidence: with it every answer is abstained from.
ABSTAIN_ALWAYS = 1.01
# Of equal width, for the expected calibration error.
BINS = 15


class Calibration(Record):
    """The `calibration.json` of a classifier; beside these it tells what they did on validation images."""

    mirror: bool  # whether the answer is the mean of those to an image and to its mirror image
    temperature: Annotated[float, Field(ge=COLDEST, le=HOTTEST)]
    abstain_below: Annotated[float, Field(ge=0, le=ABSTAIN_ALWAYS)]
    unlike_above: Annotated[float, Field(ge=0)] | None = None  # None in folders of before there was this measure


def calibrate(true: np.ndarray, probabilities: np.ndarray, risk: float) -> dict[str, Any]:
    """Choose temperature and threshold on validation images, and say what they do there.

    Parameters
    ----------
    true : ndarray, shape (N,), int
    probabilities : ndarray, shape (N, K)
        As the network gives them.
    risk : float in [0, 1]
        See `abstain_threshold`.

    Returns
    -------
    dict
        `temperature`, `abstain_below` (a probability after the temperature), and `validation`: `images`, `ece_before`,
        `ece_after`, `loss_before`, `loss_after`, `coverage` (share of images answered) and `risk` (share of those that
        are wrong; NaN if none is answered).
    """
    temperature = fit_temperature(true, probabilities)
    after = with_temperature(probabilities, temperature)
    threshold = abstain_threshold(true, after, risk)
    measured = {"before": quality(true, probabilities), "after": quality(true, after)}
    found = {f"{name}_{when}": part[name] for when, part in measured.items() for name in ("ece", "loss")}
    validation = {"images": len(true), **found, **selective(true, after, threshold)}
    return {"temperature": temperature, "abstain_below": threshold, "validation": validation}


def fit_temperature(true: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the temperature T that makes the cross-entropy of `with_temperature(probabilities, T)` smallest.

    Above 1 the network was too sure of itself, below 1 not sure enough. The loss is convex in 1 / T [1]_, so that the
    search finds its one minimum.

    The targets are those of N images and one more of a random label, much as Platt's [2]_: (N + 1 / K) / (N + 1) for
    the true class of K. Without it T would go to 0 where every answer is right, however few there are; with it, N
    images all right vouch for a confidence of about 1 - 1 / N. Where no temperature changes the loss (every row is
    uniform, or there is but one class) T is 1. Images that are all of one class are fitted like any others. Kept within
    0.1 and 10.

    Parameters
    ----------
    true : ndarray, shape (N,), int
    probabilities : ndarray, shape (N, K)
        Rows sum to 1.

    Raises
    ------
    ArtifactError
        If there is no image, or the arrays are not classes and probabilities.

    References
    ----------
    .. [1] Guo et al. 2017, On calibration of modern neural networks, arXiv:1706.04599.
    .. [2] Platt 1999, Probabilistic outputs for support vector machines, section 2.2.
    """
    require_probabilities(true, probabilities, range(probabilities.shape[-1]))
    logs = _logs(probabilities)
    if np.ptp(logs, axis=1).max() == 0:
        return 1.0
    spread = 1 / (len(true) + 1)
    wanted = (1 - spread) * logs[np.arange(len(true)), true] + spread * logs.mean(axis=1)

    def loss(inverse: float) -> float:
        return float((logsumexp(inverse * logs, axis=1) - inverse * wanted).mean())

    found = minimize_scalar(loss, bounds=(1 / HOTTEST, 1 / COLDEST), method="bounded", options={"xatol": 1e-6})
    # Four digits are more than the images tell, and do not differ between builds of SciPy.
    return round(float(1 / found.x), 4)


def with_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the logarithms of probabilities (N, K) by a temperature above 0; float32, rows sum to 1.

    The order within each row stays, so that no prediction changes. At 1 the rows come back as they were.
    """
    if temperature == 1:
        return probabilities.astype(np.float32)
    logs = _logs(probabilities) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True)) if len(logs) else logs
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def abstain_threshold(true: np.ndarray, probabilities: np.ndarray, risk: float) -> float:
    """Return the lowest confidence at and above which the error share is at most `risk`, counting one error more.

    Of n answers with k errors, (k + 1) / (n + 1) has to be at most `risk`, as in conformal risk control [1]_: the next
    image is taken for wrong. Simulated with 850 images, 5 % errors and a risk of 1 %: the plain share k / n gives
    thresholds whose risk on new images is 1.1 % on average; with the one it is 0.9 %, at a coverage of 59 % instead of
    63 %; Wilson's upper bound keeps the promise in 98 of 100 draws, but answers 11 %. Where images of one patient err
    together every rule promises too much (1.3 % with six a patient), which is why `evaluate` measures it again.

    With fewer than 1 / risk - 1 images no threshold can show that risk; then, and where no threshold reaches it, the
    result is above 1: every answer is abstained from.

    Raises
    ------
    ArtifactError
        If there is no image, or the arrays are not classes and probabilities.

    References
    ----------
    .. [1] Angelopoulos et al. 2022, Conformal risk control, arXiv:2208.02814.
    """
    coverage, wrong, confidence = coverage_risk(true, probabilities)
    answered = np.rint(coverage * len(true))
    good = np.flatnonzero((np.rint(wrong * answered) + 1) / (answered + 1) <= risk)
    return float(confidence[good[-1]]) if len(good) else ABSTAIN_ALWAYS


def unlike_threshold(unlike: np.ndarray, share: float) -> float:
    """Return the value above which at most `share` of new images like these are expected, counting one more than seen.

    Of n images with k above it, (k + 1) / (n + 1) is at most `share`, as in `abstain_threshold`. Fewer than
    1 / share - 1 images cannot show that: then it is the largest value among them, and 1 / (n + 1) of new images are
    expected above it. Images of one patient are alike, so that `evaluate` counts it again.

    Parameters
    ----------
    unlike : ndarray, shape (N,)
        How unlike its training images the classifier finds each validation image, see `models.classifier.Likeness`.
    share : float in [0, 1)
    """
    above = max(int(share * (len(unlike) + 1) + 1e-9) - 1, 0)  # 0.29 * 100 is a little less than 29
    return float(np.sort(unlike)[-1 - above])


def selective(true: np.ndarray, probabilities: np.ndarray, threshold: float) -> dict[str, float]:
    """Return `coverage`, the share of images answered with at least that confidence, and `risk`, that of wrong ones."""
    given = probabilities.max(axis=1) >= threshold
    wrong = probabilities.argmax(axis=1) != true
    return {"coverage": float(given.mean()), "risk": float(ratio(np.sum(wrong & given), np.sum(given)))}


def coverage_risk(true: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return coverage, risk and confidence, each (M,), one for each distinct confidence, the highest first.

    Coverage is the share of images with at least that confidence, risk the share of wrong answers among them. Images
    of equal confidence are answered together.

    References
    ----------
    Geifman and El-Yaniv 2017, Selective classification for deep neural networks, arXiv:1705.08500.
    """
    require_probabilities(true, probabilities, range(probabilities.shape[-1]))
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    ends = np.flatnonzero(np.diff(confidence[order], append=-1))
    wrong = np.cumsum((probabilities.argmax(axis=1) != true)[order])[ends]
    return (ends + 1) / len(true), wrong / (ends + 1), confidence[order][ends]


def quality(true: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Return `ece` (see `reliability`), `loss` (mean cross-entropy, nats) and `brier` of probabilities (N, K).

    Brier's score is the mean over images of the squared distance between the probabilities and the truth, summed over
    all classes as Brier 1950 (doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2) has it: from 0 to 2.
    """
    distance = probabilities.astype(float) - np.eye(probabilities.shape[1])[true]
    return {
        "ece": reliability(true, probabilities)["ece"],
        "loss": float(surprise(true, probabilities).mean()),
        "brier": float((distance**2).sum(axis=1).mean()),
    }


def reliability(true: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> dict[str, Any]:
    """Compare the confidence of predictions (their largest probability) with how often they are right.

    Returns
    -------
    dict
        `ece`, the expected calibration error in [0, 1]: the mean gap between confidence and accuracy over bins of equal
        width, weighted by their images; and, each `(bins,)`, `low` and `high` (a bin holds low < confidence <= high),
        `confidence` and `accuracy` (means; NaN in an empty bin) and `count`.

    References
    ----------
    Naeini, Cooper and Hauskrecht 2015, doi:10.1609/aaai.v29i1.9602; 15 bins after Guo et al. 2017, arXiv:1706.04599.
    """
    require_probabilities(true, probabilities, range(probabilities.shape[-1]))
    place, confidence, right = _binned(true, probabilities, bins)
    count = np.bincount(place, minlength=bins)
    edges = np.linspace(0, 1, bins + 1)
    return {
        "ece": float(ece(true, probabilities, np.ones((1, len(true))), bins)[0]),
        "low": edges[:-1],
        "high": edges[1:],
        "confidence": ratio(np.bincount(place, confidence, bins), count),
        "accuracy": ratio(np.bincount(place, right, bins), count),
        "count": count,
    }


def ece(true: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return the expected calibration error, (R,), of `reliability` for each of R rows of image weights (R, N)."""
    place, confidence, right = _binned(true, probabilities, bins)
    gaps = [np.bincount(place, row * confidence, bins) - np.bincount(place, row * right, bins) for row in weights]
    errors: np.ndarray = np.abs(gaps).sum(axis=1) / weights.sum(axis=1)
    return errors


def _binned(true: np.ndarray, probabilities: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the bin of each of N images, its confidence, and whether its prediction is right: (N,) each."""
    confidence = probabilities.max(axis=1).astype(float)
    place = np.searchsorted(np.linspace(0, 1, bins + 1), confidence, side="left") - 1
    return np.clip(place, 0, bins - 1), confidence, probabilities.argmax(axis=1) == true


def _logs(probabilities: np.ndarray) -> np.ndarray:
    # The smallest float32 keeps the order of the smallest probabilities, on which a ranking such as AUC rests.
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny, dtype=float))
