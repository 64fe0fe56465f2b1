"""Pictures that show no head, drawn by rule: what somebody might send to a classifier of brain slices by mistake."""

from collections.abc import Callable

import cv2
import numpy as np
from scipy import ndimage

SIDE = 256
Draw = Callable[[np.random.Generator], np.ndarray]


def photograph(rng: np.random.Generator) -> np.ndarray:
    """Return a part of one of the two photographs, a temple and a flower, that scikit-learn brings along."""
    from sklearn.datasets import load_sample_images

    whole = load_sample_images().images[int(rng.integers(2))]
    side = int(rng.integers(128, 420))
    top, left = rng.integers(0, whole.shape[0] - side), rng.integers(0, whole.shape[1] - side)
    part = cv2.resize(whole[top : top + side, left : left + side, ::-1], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(part if rng.random() < 0.5 else cv2.cvtColor(part, cv2.COLOR_BGR2GRAY))


def leaves(rng: np.random.Generator) -> np.ndarray:
    """Return discs that cover each other, of sizes by a power law: edges and spectrum are those of photographs."""
    picture = np.full((SIDE, SIDE, 3), 128, np.uint8)
    for _ in range(600):
        centre, radius = rng.integers(0, SIDE, 2).tolist(), int(np.clip(4 / (1 - rng.random()) ** 0.5, 4, 90))
        cv2.circle(picture, centre, radius, rng.integers(0, 256, 3).tolist(), -1, cv2.LINE_AA)
    return picture


def clouds(rng: np.random.Generator) -> np.ndarray:
    """Return noise whose power falls with the frequency, by an exponent from 1 to 3."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE)))
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(rng.normal(size=(SIDE, SIDE))) / frequency ** (rng.uniform(1, 3) / 2)
    return _levels(np.fft.ifft2(spectrum).real)


def gradient(rng: np.random.Generator) -> np.ndarray:
    """Return a ramp in any direction, or rings about a point."""
    y, x = np.mgrid[:SIDE, :SIDE]
    turn, (cy, cx) = rng.uniform(0, 2 * np.pi), rng.uniform(0, SIDE, 2)
    ramp = np.cos(turn) * x + np.sin(turn) * y
    return _levels(ramp if rng.random() < 0.5 else np.hypot(y - cy, x - cx))


def screenshot(rng: np.random.Generator) -> np.ndarray:
    """Return a window with a bar, boxes and lines of letters, dark on light or light on dark."""
    dark = rng.random() < 0.5
    paper, ink = (30, 220) if dark else (245, 20)
    picture = np.full((SIDE, SIDE, 3), paper, np.uint8)
    cv2.rectangle(picture, (0, 0), (SIDE, int(rng.integers(12, 30))), rng.integers(40, 220, 3).tolist(), -1)
    for _ in range(int(rng.integers(1, 4))):
        left, top, width, height = rng.integers([0, 30, 30, 20], [160, 200, 120, 90]).tolist()
        cv2.rectangle(picture, (left, top), (left + width, top + height), rng.integers(0, 256, 3).tolist(), -1)
    for top in range(44, SIDE, int(rng.integers(12, 20))):
        letters = "".join(chr(code) for code in rng.integers(97, 123, int(rng.integers(5, 38))))
        cv2.putText(picture, letters, (8, top), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (ink,) * 3, 1, cv2.LINE_AA)
    return picture


def abdomen(rng: np.random.Generator) -> np.ndarray:
    """Return a wide body in cross-section: fat, muscle, liver, kidneys, vessels and a spine."""
    picture = np.zeros((SIDE, SIDE), np.float32)
    wide, high = rng.uniform(95, 120), rng.uniform(65, 85)
    _ellipse(picture, (0, 0), (wide, high), 170)
    _ellipse(picture, (0, 2), (wide - 12, high - 11), 90)
    _ellipse(picture, (-40 + rng.normal(0, 4), -12), (44, 34), 140)
    _ellipse(picture, (48 + rng.normal(0, 4), -18), (22, 20), 60)
    for sign in (-1, 1):
        _ellipse(picture, (sign * 42 + rng.normal(0, 3), 26), (14, 20), 200)
    _ellipse(picture, (0, 40), (15, 14), 45)
    _ellipse(picture, (6, 20), (7, 7), 235)
    return _scan(picture, rng)


def chest(rng: np.random.Generator) -> np.ndarray:
    """Return a wide body in cross-section with two dark lungs, a heart and a spine."""
    picture = np.zeros((SIDE, SIDE), np.float32)
    wide, high = rng.uniform(100, 122), rng.uniform(68, 86)
    _ellipse(picture, (0, 0), (wide, high), 180)
    _ellipse(picture, (0, 0), (wide - 9, high - 8), 110)
    for sign in (-1, 1):
        _ellipse(picture, (sign * 48 + rng.normal(0, 4), -2), (38, 54), 8)
    _ellipse(picture, (14 + rng.normal(0, 4), -14), (34, 28), 190)
    _ellipse(picture, (0, 50), (14, 13), 60)
    return _scan(picture, rng)


def knee(rng: np.random.Generator) -> np.ndarray:
    """Return a knee from the side: two bright bones that nearly meet, a dark tendon, muscle behind."""
    picture = np.zeros((SIDE, SIDE), np.float32)
    cv2.rectangle(picture, (70, 0), (190, SIDE), 80, -1)
    for top, bottom in ((0, 112), (132, SIDE)):
        cv2.rectangle(picture, (96, top), (96 + int(rng.integers(40, 60)), bottom), 200, -1)
    _ellipse(picture, (-10, -32), (38, 24), 210)
    _ellipse(picture, (-10, 26), (38, 20), 205)
    _ellipse(picture, (-52, -20), (10, 20), 190)
    cv2.line(picture, (74, 60), (84, 190), 15, 5)
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), rng.uniform(-20, 20), rng.uniform(0.8, 1.1))
    return _scan(cv2.warpAffine(picture, turn, (SIDE, SIDE)), rng)


def squares(rng: np.random.Generator) -> np.ndarray:
    """Return a chequered board, or the modules of a code with its three corner marks."""
    if rng.random() < 0.5:
        cell = int(rng.integers(6, 40))
        board = np.indices((-(-SIDE // cell),) * 2).sum(axis=0) % 2
    else:
        cell = int(rng.integers(6, 13))
        board = rng.integers(0, 2, (SIDE // cell,) * 2)
        for top, left in ((0, 0), (0, len(board) - 7), (len(board) - 7, 0)):
            board[top : top + 7, left : left + 7] = np.pad(np.pad(np.ones((3, 3)), 1), 1, constant_values=1)
    return np.kron(board, np.ones((cell, cell)))[:SIDE, :SIDE].astype(np.uint8) * 255


def tissue(rng: np.random.Generator) -> np.ndarray:
    """Return a stained section under the microscope: dark blue nuclei on pink, of uneven density."""
    ground = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 6)
    pink = np.array([205, 165, 225]) + 250 * ground[..., None] * np.array([0.6, 1, 0.4])
    picture = pink.clip(0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(80, 400))):
        centre, axes = rng.integers(0, SIDE, 2).tolist(), rng.integers(2, 8, 2).tolist()
        shade = (np.array([130, 50, 90]) + rng.integers(-25, 26, 3)).tolist()
        cv2.ellipse(picture, centre, axes, rng.uniform(0, 180), 0, 360, shade, -1, cv2.LINE_AA)
    return picture


KINDS: dict[str, Draw] = {
    "photographs": photograph,
    "discs as in photographs": leaves,
    "clouds of noise": clouds,
    "gradients": gradient,
    "screenshots": screenshot,
    "abdomens, drawn": abdomen,
    "chests, drawn": chest,
    "knees, drawn": knee,
    "boards and codes": squares,
    "stained tissue, drawn": tissue,
}


def drawn(each: int, seed: int = 0) -> dict[str, list[np.ndarray]]:
    """Return so many pictures, (256, 256) or (256, 256, 3) uint8, of each kind."""
    return {
        name: [draw(np.random.default_rng([seed, at, number])) for number in range(each)]
        for at, (name, draw) in enumerate(KINDS.items())
    }


def _ellipse(picture: np.ndarray, centre: tuple[float, float], axes: tuple[float, float], level: int) -> None:
    """Fill an ellipse about a place given from the middle, (x, y) in px."""
    middle = (round(SIDE / 2 + centre[0]), round(SIDE / 2 + centre[1]))
    cv2.ellipse(picture, middle, (round(axes[0]), round(axes[1])), 0, 0, 360, level, -1)


def _scan(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a drawing as a scanner would show it: soft edges, a bias field, the noise of a magnitude image."""
    soft = ndimage.gaussian_filter(picture, rng.uniform(0.8, 2)) * (1 + 0.2 * np.linspace(-1, 1, SIDE) * rng.normal())
    noise = rng.normal(0, rng.uniform(2, 8), (2, SIDE, SIDE))
    return np.hypot(soft + noise[0], noise[1]).clip(0, 255).astype(np.uint8)


def _levels(picture: np.ndarray) -> np.ndarray:
    low, high = picture.min(), picture.max()
    return np.rint((picture - low) * (255 / (high - low))).astype(np.uint8)
