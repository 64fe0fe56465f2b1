"""Training beside the usual ways to do it, of three networks.

The seed's has convolutions of 32 and 64 filters and a dense layer of 128; `residual`, the default, and `lite0`, here
from random weights, have batch normalisation.

Every side trains the same network with Adam at 0.001 in batches of 32, and varies images anew in every epoch by
rotation, flip, zoom, shift and brightness. The input path is what each side does without the network. The roofline is
what TensorFlow's own 3x3 convolution of 64 channels reaches on this machine in the same run.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf
from keras.src.legacy.preprocessing.image import ImageDataGenerator
from tqdm import tqdm

from benchmarks.bench_augment import SAME, layers
from benchmarks.common import (
    CLASSES,
    IMAGE_PARAMS,
    PARAMS,
    Rounds,
    arguments,
    arrays,
    cpu_seconds,
    images,
    in_turns,
    like_image_data_generator,
    rate,
    ratio,
    table,
)
from brainmri.core.manifest import SourceImage
from brainmri.learning.layers import fused
from brainmri.models.classifier_batches import ImageBatches, targets
from brainmri.models.classifier_networks import cnn, lite0, residual

BATCH = 32
SEED_ACCURACY = 0.9161  # what the project that this one began from reports
MOST = 256  # images of an epoch whose speed is measured
ALL = 1_000_000  # images, or as many as a set has
PRECISIONS = ("float32", "mixed_bfloat16")


def compiled(model: keras.Model) -> keras.Model:
    model.compile(keras.optimizers.Adam(1e-3), "categorical_crossentropy", metrics=["accuracy"])
    return model


def network(shape: tuple[int, int, int]) -> keras.Model:
    return compiled(cnn(shape, len(CLASSES), [32, 64], [2, 2], kernel=3, stride=1, dense=128, dropout=0.5))


def own_network(shape: tuple[int, int, int]) -> keras.Model:
    return compiled(cnn(shape, len(CLASSES), **PARAMS["train"]["cnn"], dropout=PARAMS["train"]["dropout"]))


def default_network(shape: tuple[int, int, int]) -> keras.Model:
    return compiled(residual(shape, len(CLASSES), **PARAMS["train"]["residual"], dropout=PARAMS["train"]["dropout"]))


def efficient_network(shape: tuple[int, int, int]) -> keras.Model:
    return compiled(lite0(shape, len(CLASSES), weights=None, side=None, dropout=PARAMS["train"]["dropout"]))


def ours(pixels: np.ndarray, labels: np.ndarray, seed: int = 0) -> ImageBatches:
    return ImageBatches([pixels], np.arange(len(pixels)), targets(labels, len(CLASSES)), BATCH, seed, SAME)


def our_epoch(model: keras.Model | None, batches: ImageBatches, epoch: int = 0) -> None:
    """Take the steps of `training.fit`."""
    batches.shuffle(epoch)
    with fused(model) if model is not None else nullcontext():
        for at in range(len(batches)):
            batch = batches[at]
            if model is not None:
                {name: float(value) for name, value in model.train_on_batch(*batch, return_dict=True).items()}


def keras_epoch(model: keras.Model, flow: Any, epoch: int = 0) -> None:
    """Take the steps of the seed's notebook; an epoch's number is of no use to it."""
    model.fit(flow, epochs=epoch + 1, initial_epoch=epoch, verbose=0)


def recipe(pixels: np.ndarray, labels: np.ndarray) -> Any:
    made = ImageDataGenerator(
        **like_image_data_generator(SAME),
        rescale=1 / 255,  # of what it gives: brightness_range makes black of images that are in [0, 1] before
    )
    return made.flow(pixels.astype(np.float32), np.eye(len(CLASSES))[labels], batch_size=BATCH, seed=0)


def directory(pixels: np.ndarray, labels: np.ndarray, folder: Path) -> tf.data.Dataset:
    for at, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        (folder / CLASSES[label]).mkdir(exist_ok=True)
        cv2.imwrite(str(folder / CLASSES[label] / f"{at}.png"), image[..., ::-1])
    found = keras.utils.image_dataset_from_directory(
        folder, label_mode="categorical", image_size=pixels.shape[1:3], batch_size=BATCH, seed=0, verbose=False
    )
    augment = layers()
    varied = found.map(lambda x, y: (augment(x, training=True) / 255, y), num_parallel_calls=tf.data.AUTOTUNE)
    return varied.prefetch(tf.data.AUTOTUNE)


def torch_side(
    python: Path, precision: str, pixels: np.ndarray, labels: np.ndarray, folder: Path
) -> Callable[[], float]:
    """Start PyTorch in a process of its own; return what makes it train for an epoch."""
    ranges = {name: getattr(SAME, name) for name in ("rotation_deg", "zoom", "shift", "brightness")}
    np.savez(folder / "torch.npz", pixels=pixels, labels=labels, **ranges)
    command = [str(python), str(Path(__file__).with_name("torch_side.py")), str(folder / "torch.npz"), precision]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def epoch() -> float:
        assert worker.stdin
        assert worker.stdout
        print(file=worker.stdin, flush=True)
        return float(worker.stdout.readline())

    return epoch


def roofline(precision: str) -> tuple[Callable[[], None], float]:
    """Return a call that convolves, and its GFLOP."""
    kind = tf.bfloat16 if precision == "mixed_bfloat16" else tf.float32
    x, kernel = tf.ones((32, 64, 64, 64), kind), tf.ones((3, 3, 64, 64), kind)
    convolve = tf.function(lambda: tf.nn.conv2d(x, kernel, 1, "SAME"))

    def work() -> None:
        for _ in range(10):
            convolve()

    return work, 10 * 2 * 32 * 64 * 64 * 9 * 64 * 64 / 1e9


def training_gflop(model: keras.Model) -> float:
    """Return the GFLOP of a training step, per image: forward, and twice that back but for the input's share."""
    forward = forward_gflop(model)
    return 3 * sum(forward) - forward[0]


def forward_gflop(model: keras.Model) -> list[float]:
    """Return the GFLOP of each layer that multiplies, in order, of the models in it too."""
    found: list[float] = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += forward_gflop(layer)
        elif isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.Dense):
            places = np.prod(layer.output.shape[1:-1])  # of a dense layer's vectors: 1
            found.append(float(2 * places * np.prod(layer.kernel.shape) / 1e9))
    return found


def speed(
    found: list[SourceImage], name: str, make: Callable[..., keras.Model], precision: str, args: argparse.Namespace
) -> list[list[str]]:
    """Measure one network's training at one precision; PyTorch's side has the seed's network alone."""
    keras.mixed_precision.set_dtype_policy(precision)
    pixels, labels = arrays(found, "train")
    count = min(len(pixels), MOST) // BATCH * BATCH
    spread = np.linspace(0, len(pixels) - 1, count).astype(int)  # over all classes, in whose order they stand
    pixels, labels = pixels[spread], labels[spread]
    models = [make(pixels.shape[1:]) for _ in range(3)]
    with_torch = args.torch_python and make is network
    mine, flow = ours(pixels, labels), recipe(pixels, labels)
    convolve, gflop = roofline(precision)
    with tempfile.TemporaryDirectory() as place:
        (folder := Path(place) / "classes").mkdir()
        files = directory(pixels, labels, folder)
        sides: dict[str, Callable[[], Any]] = {
            "ours": lambda: our_epoch(models[0], mine),
            "ImageDataGenerator, fit": lambda: models[1].fit(flow, epochs=1, verbose=0),
            "image_dataset_from_directory, layers, fit": lambda: models[2].fit(files, epochs=1, verbose=0),
        }
        inputs = [lambda: our_epoch(None, mine), lambda: [next(flow) for _ in range(len(flow))], lambda: list(files)]
        alone = {f"{side}: input": work for side, work in zip(list(sides), inputs, strict=True)}
        if with_torch:
            sides["PyTorch"] = torch_side(args.torch_python, precision, pixels, labels, Path(place))
        seconds = in_turns(sides | alone | {"roofline": convolve}, args.rounds)
    peak = gflop / float(np.median(seconds["roofline"]))
    work = training_gflop(models[0]) * count
    rows = [[name, precision, *row(seconds, side, count, work, peak)] for side in sides]
    if make is network and not args.torch_python:
        rows.append([name, precision, "PyTorch", *["skipped: no --torch-python"] * 4])
    return rows


def row(seconds: Rounds, side: str, count: int, gflop: float, peak: float) -> list[str]:
    used = float(np.median(seconds[side]))
    alone = seconds.get(f"{side}: input")
    share = f"{np.median(alone) / used:.0%}" if alone else "not measured"
    return [
        side,
        rate(seconds, side, count),
        ratio(seconds, side, "ours"),
        share,
        f"{gflop / used / peak:.0%}",
    ]


def grey_copies(found: list[SourceImage]) -> np.ndarray:
    """Return images as the seed reads them: resized, three equal channels."""
    size = (IMAGE_PARAMS.size, IMAGE_PARAMS.size)
    files = (np.frombuffer(image.data, np.uint8) for image in found)
    return np.stack([cv2.resize(cv2.imdecode(data, cv2.IMREAD_COLOR), size) for data in files])


def until(model: keras.Model, epoch: Callable[..., None], x: np.ndarray, y: np.ndarray, most_s: float) -> list[str]:
    """Train until the seed's accuracy on images that were not trained on, or so many CPU s; return those and epochs."""
    used, best, epochs = 0.0, 0.0, 0
    while used < most_s:
        start = cpu_seconds()
        epoch(model, epoch=epochs)
        used, epochs = used + cpu_seconds() - start, epochs + 1
        given = np.concatenate([model.predict_on_batch(part / np.float32(255)) for part in np.array_split(x, 16)])
        best = max(best, float((given.argmax(axis=1) == y).mean()))
        if best >= SEED_ACCURACY:
            return [f"{used:.1f}", str(epochs)]
    return [f"not in {used:.1f}", f"{epochs} (best accuracy {best:.3f})"]


def accuracy(args: argparse.Namespace) -> list[list[str]]:
    """Race to the seed's accuracy on a sixth of all training images, drawn by seed; the test split is not looked at."""
    keras.mixed_precision.set_dtype_policy("float32")
    every = images(args) if args.raw is None else images(argparse.Namespace(raw=args.raw, images=ALL))
    training = [image for image in every if image.split == "train"]
    pixels, labels = arrays(training, "train")
    grey = grey_copies(training)
    rows = []
    for seed in tqdm(range(args.race_seeds), "until accurate"):
        held, learnt = np.split(np.random.default_rng(seed).permutation(len(labels)), [len(labels) // 6])
        mine = partial(our_epoch, batches=ours(pixels[learnt], labels[learnt], seed))
        theirs = partial(keras_epoch, flow=recipe(grey[learnt], labels[learnt]))
        sides: tuple[tuple[str, Callable[..., keras.Model], Callable[..., None], np.ndarray], ...] = (
            ("ours, its network", network, mine, pixels),
            ("ours, `cnn` of params.yaml", own_network, mine, pixels),
            ("notebook recipe", network, theirs, grey),
        )
        for side, make, epoch, seen in sides:
            keras.utils.set_random_seed(seed)
            used = until(make(seen.shape[1:]), epoch, seen[held], labels[held], args.race_seconds)
            rows.append([str(seed), side, *used])
    return rows


def run(args: argparse.Namespace) -> str:
    found = images(args)
    header = (
        *("network", "precision", "side", "images per CPU second"),
        *("CPU seconds, ours = 1", "input path", "of the roofline"),
    )
    nets = (("the seed's", network), ("`residual`", default_network), ("`lite0`", efficient_network))
    rows = [
        line for name, make in nets for precision in PRECISIONS for line in speed(found, name, make, precision, args)
    ]
    return (
        "## Training\n\n"
        + table(header, rows)
        + f"\nUntil an accuracy of {SEED_ACCURACY} on a sixth of the training images, held out, float32:\n\n"
        + table(("seed", "side", "CPU seconds", "epochs"), accuracy(args))
    )


if __name__ == "__main__":
    print(run(arguments(__doc__)))
