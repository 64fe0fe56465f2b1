"""K-means of one slice: ours on its 256 levels beside scikit-learn's on its pixels, ten starts, as the seed does it.

Both on one thread. Ours is the optimum, so that its inertia is never above theirs; how often it is lower, and whether
it ever is higher, is counted.
"""

import argparse
from collections.abc import Callable

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from benchmarks.common import IMAGE_PARAMS, Rounds, arguments, images, in_turns, ratio, table
from brainmri.preprocessing.scans import read_scan
from brainmri.segmentation.kmeans import kmeans_levels

MOST = 40  # images; scikit-learn needs a second for a few of them


def ours(image: np.ndarray, k: int) -> float:
    counts = np.bincount(image.ravel(), minlength=256)
    centers, labels = kmeans_levels(counts, k)
    return float((counts * (np.arange(256) - centers[labels]) ** 2).sum())


def theirs(image: np.ndarray, k: int) -> float:
    return float(KMeans(k, n_init=10, random_state=0).fit(image.reshape(-1, 1).astype(np.float64)).inertia_)


def row(pictures: list[np.ndarray], k: int, rounds: int) -> list[str]:
    inertia: dict[str, list[float]] = {}

    def side(name: str, method: Callable[[np.ndarray, int], float]) -> Callable[[], None]:
        def work() -> None:
            inertia[name] = [method(picture, k) for picture in pictures]

        return work

    with threadpool_limits(1):
        seconds: Rounds = in_turns({"ours": side("ours", ours), "theirs": side("theirs", theirs)}, rounds)
    mine, other = np.array(inertia["ours"]), np.array(inertia["theirs"])
    lower, higher = int((mine < other * (1 - 1e-9)).sum()), int((mine > other * (1 + 1e-9)).sum())
    times = [f"{1000 * np.median(seconds[name]) / len(pictures):.3f}" for name in ("ours", "theirs")]
    return [str(k), *times, ratio(seconds, "theirs", "ours"), f"lower in {lower}, higher in {higher}"]


def run(args: argparse.Namespace) -> str:
    found = [read_scan(image.data, None, IMAGE_PARAMS).channels[..., 0] for image in images(args)]
    pictures = [
        np.ascontiguousarray(found[at]) for at in np.linspace(0, len(found) - 1, min(MOST, len(found))).astype(int)
    ]
    header = ("k", "ours, CPU ms an image", "scikit-learn, CPU ms", "scikit-learn, ours = 1", "inertia of ours")
    rows = [row(pictures, k, args.rounds) for k in (2, 3, 5)]
    return f"## K-means, {len(pictures)} images of {pictures[0].shape[0]} x {pictures[0].shape[1]}\n\n" + table(
        header, rows
    )


if __name__ == "__main__":
    print(run(arguments(__doc__)))
