"""Preprocessing beside bare decoding and beside the usual notebook recipe; and its memory, by number of images.

Ours is all that the stage keeps of an image: the square grid, three windows, head, quality, thumbnail, histograms and
the arrays on disk. Bare is `cv2.imdecode` to grey of each file and nothing else. The recipe is that of the seed:
`cv2.imread`, resize, divide by 255, a list of float64 arrays made into one.
"""

import argparse
import math
import resource
import subprocess
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from benchmarks.common import IMAGE_PARAMS, arguments, images, in_turns, rate, ratio, resized, table
from brainmri.core.index import MAYBE
from brainmri.core.manifest import COLUMNS
from brainmri.preprocessing.scans import StoredImage, read_scans

SIDES = {"ours": "ours", "bare grey decoding": "bare", "notebook recipe": "recipe"}


def stored(files: list[bytes]) -> list[StoredImage]:
    filler: dict[object, object] = {str: "a", int: 1, MAYBE: math.nan}
    row = SimpleNamespace(**{name: filler[kind] for name, kind in COLUMNS.items()})
    return [(row, data, None) for data in files]


def ours(files: list[StoredImage], count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        read_scans(islice(cycle(files), count), count, IMAGE_PARAMS, Path(folder))


def bare(files: list[bytes]) -> None:
    for data in files:
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)


def recipe(paths: list[str]) -> None:
    size = (IMAGE_PARAMS.size, IMAGE_PARAMS.size)
    np.array([cv2.resize(cv2.imread(path), size) / 255 for path in paths])


def speed(files: list[bytes], name: str, rounds: int) -> list[list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{at}.img" for at in range(len(files))]
        for path, data in zip(paths, files, strict=True):
            Path(path).write_bytes(data)
        rows = stored(files)
        sides = {"ours": lambda: ours(rows, len(rows)), "bare": lambda: bare(files), "recipe": lambda: recipe(paths)}
        seconds = in_turns(sides, rounds)
    return [
        [name, title, rate(seconds, side, len(files)), ratio(seconds, side, "bare")] for title, side in SIDES.items()
    ]


def memory(count: int) -> str:
    """Return the peak of a process that preprocesses `count` images, MB."""
    command = [sys.executable, "-m", "benchmarks.bench_preprocess", "--memory", str(count)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def run(args: argparse.Namespace) -> str:
    files = [image.data for image in images(args)][: args.images]
    rows = speed(files, "as stored", args.rounds)
    rows += speed([resized(data, 512) for data in files], "JPEG of 512 x 512", args.rounds)
    peaks = [[f"{count:,}", memory(count)] for count in (100, 1000, 10_000, 100_000)]
    return (
        f"## Preprocessing, {len(files)} images\n\n"
        + table(("files", "side", "images per CPU second", "CPU seconds, bare = 1"), rows)
        + "\n"
        + table(("images", "peak memory of read_scans, MB"), peaks)
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        noise = np.random.default_rng(0).integers(0, 256, (64, 224, 224), dtype=np.uint8)
        ours(
            stored([cv2.imencode(".jpg", cv2.GaussianBlur(x, (0, 0), 3))[1].tobytes() for x in noise]), int(sys.argv[2])
        )
        print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")
    else:
        print(run(arguments(__doc__)))
