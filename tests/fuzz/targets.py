"""What is fuzzed: for each kind of outside file how it is read, and seeds to change. Only our own errors may leave.

Not collected with the tests. `make fuzz SECONDS=60` runs every target for so long, see `__main__.py`.
"""

import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import nibabel
import numpy as np
import yaml
from PIL import Image
from scan_files import dataset, dicom_bytes, multiframe, nifti_bytes, written

from brainmri.core import params
from brainmri.core.errors import BrainMRIError
from brainmri.preprocessing import masks
from brainmri.preprocessing.decoding import decode
from brainmri.preprocessing.image_params import ImageParams
from brainmri.preprocessing.scans import scan_of
from brainmri.sources import archives, dicom, local, slicing
from stages import augment, fetch, preprocess, train, train_unet

ROOT = Path(__file__).parents[2]
SQUARE = ImageParams(size=32, fit="pad", window_source="dicom", windows=[[0, 100], [1, 99]])
SECTIONS = {module.__name__.split(".")[1]: module.Params for module in (augment, fetch, preprocess, train, train_unet)}
GREY = np.add.outer(np.arange(24), np.arange(32)).astype(np.uint8) * 4
BOX = np.random.default_rng(0).integers(0, 4000, (8, 9, 5)).astype(np.int16)
AFFINE = np.diag([-2.0, -3, 4, 1])

Read = Callable[[bytes], object]


def picture(data: bytes) -> None:
    """Read a picture, and bring it to the square grid."""
    grey, mode = decode(data)
    scan_of(grey, mode, SQUARE)


def mask(data: bytes) -> None:
    masks.read_mask(data)


def of_dicom(data: bytes) -> None:
    dicom.read_header(data)
    for volume in slicing.from_dicom([("x", data)]):
        for levels in volume.levels:
            scan_of(levels, "I;16", SQUARE)


def of_nifti(data: bytes) -> None:
    for levels in slicing.from_nifti(data).levels:
        scan_of(levels, "I;16", SQUARE)


def in_file(read: Callable[[Path], object], name: str) -> Read:
    """Return a reader of bytes for one that reads a file."""

    def read_bytes(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a.png").write_bytes(b"\x89PNG")
            (Path(folder) / name).write_bytes(data)
            read(Path(folder) / name)

    return read_bytes


def archive(path: Path) -> None:
    with archives.opened(path) as found:
        for name in found.files:
            found.kind(name)
            found.read(name)


def manifest(path: Path) -> None:
    with local.opened_manifest(path) as source:
        list(local.stream(source))


def sections(path: Path) -> None:
    content = params.read_yaml(path)
    for name, model in SECTIONS.items():
        try:
            params.check_section(content, name, model, path)
        except BrainMRIError:
            continue


def _saved(kind: str, pixels: np.ndarray, **how: object) -> bytes:
    Image.fromarray(pixels).save(place := io.BytesIO(), kind, **how)
    return place.getvalue()


def _packed() -> list[bytes]:
    from packing import KINDS, pack

    with tempfile.TemporaryDirectory() as folder:
        files = {"glioma/a.png": b"\x89PNG1", "notumor/b.png": b"\x89PNG22"}
        return [pack(Path(folder) / kind, files, kind).read_bytes() for kind in KINDS if kind != "folder"]


COLOURS = np.stack([GREY] * 3, axis=-1)
PICTURES = [
    bytes(cv2.imencode(".png", GREY)[1]),
    bytes(cv2.imencode(".png", GREY.astype(np.uint16) * 200)[1]),
    bytes(cv2.imencode(".png", np.stack([GREY.astype(np.uint16) * 200] * 4, axis=-1))[1]),
    bytes(cv2.imencode(".tif", GREY.astype(np.uint16) * 200)[1]),
    *(_saved(kind, COLOURS) for kind in ("JPEG", "TIFF", "WEBP", "BMP", "GIF")),
    _saved("JPEG", GREY, progressive=True),
    _saved("PNG", np.dstack([COLOURS, GREY])),
    _saved("TIFF", GREY, compression="tiff_lzw"),
]
RLE = dataset(BOX[..., 0].astype(np.uint16))
RLE.compress("1.2.840.10008.1.2.5")

# By name: how to read, whole files to change, and words that the changes may put in.
TARGETS: dict[str, tuple[Read, list[bytes]]] = {
    "pictures": (picture, PICTURES),
    "masks": (mask, PICTURES),
    "dicom": (
        of_dicom,
        [
            dicom_bytes(BOX[..., 0], WindowCenter=100, WindowWidth=50),
            multiframe(
                BOX.transpose(2, 0, 1).astype(np.uint16).copy(), [(0, 0, at) for at in range(5)], list(range(5))
            ),
            written(RLE),
        ],
    ),
    "nifti": (
        of_nifti,
        [
            nifti_bytes(BOX, AFFINE),
            nifti_bytes(BOX.astype(np.float64), AFFINE, nibabel.Nifti2Image),
            nibabel.MGHImage(BOX, AFFINE).to_bytes(),
        ],
    ),
    "archives": (in_file(archive, "set"), _packed()),
    "manifests": (
        in_file(manifest, "images.csv"),
        [b"path,label,patient,split,mask\na.png,glioma,p1,train,\n", b'\xef\xbb\xbfpath,label\r\n"a.png",no tumor\r\n'],
    ),
    "params": (
        in_file(sections, "params.yaml"),
        [(ROOT / "params.yaml").read_bytes(), yaml.dump({"train": {}}).encode()],
    ),
}


def judge(read: Read, data: bytes) -> None:
    """Read; whatever is no error of ours leaves."""
    try:
        read(data)
    except BrainMRIError as error:
        if "\n" in str(error):
            raise ValueError(f"no sentence: {error}") from None
