"""K-means of one slice: ours on its 256 levels beside scikit-learn's on its pixels, ten starts, as the seed does it.

Prints CPU seconds an image, their ratio (median of rounds, with its range), and whether ours reaches an inertia as low:
ours is the optimum, so that it is never above theirs.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from brainmri.images import ImageParams
from brainmri.kmeans import kmeans_levels
from brainmri.params import check
from brainmri.phantom import PhantomParams, simulate
from brainmri.scans import read_scan


def slices(count: int) -> list[np.ndarray]:
    """Return simulated slices (128, 128) uint8, windowed as the stages window them."""
    section = yaml.safe_load((Path(__file__).parent.parent / "params.yaml").read_text())
    wanted = {**section["fetch"]["phantom"], "twins": 0, "patients": {"train": max(4, count // 4), "test": 4}}
    images = check({name: section["preprocess"][name] for name in ImageParams.model_fields}, ImageParams, "preprocess")
    found = [
        read_scan(image.data, None, images).channels[..., 0] for image in simulate(check(wanted, PhantomParams, ""))
    ]
    return [np.ascontiguousarray(found[at]) for at in np.linspace(0, len(found) - 1, count).astype(int)]


def ours(image: np.ndarray, k: int) -> float:
    """Return the inertia of our clusters."""
    counts = np.bincount(image.ravel(), minlength=256)
    centers, labels = kmeans_levels(counts, k)
    return float((counts * (np.arange(256) - centers[labels]) ** 2).sum())


def theirs(image: np.ndarray, k: int) -> float:
    """Return the inertia of scikit-learn's clusters."""
    return float(KMeans(k, n_init=10, random_state=0).fit(image.reshape(-1, 1).astype(np.float64)).inertia_)


def main() -> None:
    """Read the command line and print one line for each number of clusters."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    pictures = slices(args.images)
    for k in (2, 3, 5):
        ratios: list[float] = []
        seconds: dict[Callable[[np.ndarray, int], float], list[float]] = {ours: [], theirs: []}
        for turn in range(args.rounds):
            spent, inertia = {}, {}
            for side in (ours, theirs) if turn % 2 else (theirs, ours):
                with threadpool_limits(1):
                    start = time.process_time()
                    inertia[side] = [side(picture, k) for picture in pictures]
                    spent[side] = (time.process_time() - start) / len(pictures)
                seconds[side].append(spent[side])
            ratios.append(spent[theirs] / spent[ours])
        worse = sum(a > b * (1 + 1e-9) for a, b in zip(inertia[ours], inertia[theirs], strict=True))
        lower = sum(a < b * (1 - 1e-9) for a, b in zip(inertia[ours], inertia[theirs], strict=True))
        mine, other = (1000 * np.median(seconds[side]) for side in (ours, theirs))
        times = f"{np.median(ratios):.0f} times ({min(ratios):.0f} to {max(ratios):.0f})"
        found = f"inertia of {len(pictures)} images: ours lower in {lower}, higher in {worse}"
        print(f"k={k}: ours {mine:.3f} ms an image, scikit-learn {other:.1f} ms, {times}; {found}")


if __name__ == "__main__":
    main()
