"""DICOM and NIfTI."""

import gzip
import struct
from unittest import mock

import nibabel
import numpy as np
import pydicom
from hostile.rows import Refused, Result, Row, predicted, saved
from scan_files import dataset, dicom_bytes, nifti_bytes, written

TITLE = "DICOM and NIfTI"
INTRO = ""

BOX = np.random.default_rng(0).integers(0, 4000, (3, 4, 5)).astype(np.int16)
AFFINE = np.diag([-2.0, -3, 4, 1])
NIFTI = nifti_bytes(BOX, AFFINE)
FLAT = BOX[..., 0]


def changed(**fields):
    """Return a NIfTI file whose header fields were set, whatever nibabel would say."""
    header = np.frombuffer(NIFTI, nibabel.Nifti1Header.template_dtype, 1).copy()
    for name, value in fields.items():
        header[name] = value
    return header.tobytes() + NIFTI[348:]


def frames(count):
    file = dataset(np.zeros((1, 1), np.uint8), NumberOfFrames=count)
    file.PixelData = np.arange(count).astype(np.uint8).tobytes() + b"\0" * (count % 2)
    return written(file)


def private():
    file = dataset(FLAT)
    file.private_block(0x0011, "SOME MAKER", create=True).add_new(0x01, "LO", "Doe^Jane" * 4)
    return written(file)


def wrong_vr():
    return dicom_bytes(FLAT).replace(b"\x28\x00\x10\x00US", b"\x28\x00\x10\x00LO")


def runs():
    """Return a DICOM file packed by RLE whose runs unpack to 64 MiB, of 3 x 4 pixels."""
    segment = b"\x81\0" * 2**19
    frame = struct.pack("<16L", 2, 64, 64 + len(segment), *[0] * 13) + segment + segment
    file = dataset(FLAT.astype(np.uint16))
    file.file_meta.TransferSyntaxUID = pydicom.uid.RLELossless
    file.PixelData = pydicom.encaps.encapsulate([frame])
    file["PixelData"].is_undefined_length = True
    return written(file)


THIN = bytearray(nifti_bytes(BOX, AFFINE, nibabel.Nifti2Image))
THIN[480:488] = struct.pack("<d", 1e-310)  # the third number of srow_z


def packed():
    """Return a NIfTI file of 600 MiB of zeros, packed: one gzip member after another."""
    return gzip.compress(NIFTI, 1) + gzip.compress(bytes(2**20), 1) * 600


def fewer(path):
    """Read with less patience for elements: to wait for millions takes seconds."""
    with mock.patch("brainmri.sources.dicom._Counted.left", 2**12):
        return predicted(path)


ROWS = [
    Row(
        "DICOM of its first 200 bytes",
        saved("a.dcm", dicom_bytes(FLAT)[:200]),
        predicted,
        Refused("FILE: should be a scan, received DICOM without pixels; remove it; masks are brought as NIfTI"),
    ),
    Row(
        "DICOM whose pixels are cut off",
        saved("a.dcm", dicom_bytes(FLAT)[:-4]),
        predicted,
        Refused(
            "FILE: a DICOM file, but its pixels cannot be decoded (Explicit VR Little Endian); export the file anew or uncompressed"
        ),
    ),
    Row(
        "DICOM that announces 65,535 x 65,535",
        saved("a.dcm", dicom_bytes(FLAT, Rows=65535, Columns=65535)),
        predicted,
        Refused(
            "FILE: a DICOM file should have at most 67108864 pixels, and 65535 along a side, received 1x65535x65535; crop or shrink it"
        ),
    ),
    Row(
        "DICOM of 300,000 frames",
        saved("a.dcm", lambda: frames(300_000)),
        predicted,
        Refused("FILE: a DICOM file should have from 1 to 8192 frames with pixels, received 300000 of 1x1; split it"),
    ),
    Row(
        "DICOM of -1 frames",
        saved("a.dcm", dicom_bytes(FLAT, NumberOfFrames=-1)),
        predicted,
        Refused("FILE: a DICOM file should have from 1 to 8192 frames with pixels, received -1 of 3x4; split it"),
    ),
    Row(
        "DICOM without rows",
        saved("a.dcm", dicom_bytes(FLAT, Rows=None)),
        predicted,
        Refused("FILE: should be a scan, received DICOM without pixels; remove it; masks are brought as NIfTI"),
    ),
    Row(
        "DICOM without pixels",
        saved("a.dcm", dicom_bytes(FLAT)[: dicom_bytes(FLAT).index(b"\xe0\x7f\x10\x00")]),
        predicted,
        Refused("FILE: should be a scan, received DICOM without pixels; remove it; masks are brought as NIfTI"),
    ),
    Row(
        "DICOM with private elements",
        saved("a.dcm", private()),
        predicted,
        Result("read right: they are not looked at", ["FILE (1, 3, 4) I;16"]),
    ),
    Row(
        "DICOM whose rows are text (wrong VR)",
        saved("a.dcm", wrong_vr()),
        predicted,
        Refused("FILE: a DICOM file, but its header cannot be read; export the file anew"),
    ),
    Row(
        "DICOM with a PixelSpacing of 0",
        saved("a.dcm", dicom_bytes(FLAT, PixelSpacing=[0, 0])),
        predicted,
        Result("read right: without a size in mm", ["FILE (1, 3, 4) I;16"]),
    ),
    Row(
        "DICOM of millions of elements",
        saved("a.dcm", bytes(128) + b"DICM" + bytes(2**18)),
        fewer,
        Refused("FILE: a DICOM file of too many elements; export the file anew"),
    ),
    Row(
        "DICOM packed by RLE that unpacks to 64 MiB for 12 pixels",
        saved("a.dcm", runs),
        predicted,
        Refused(
            "FILE: a DICOM file, but its pixels cannot be decoded (RLE Lossless); export the file anew or uncompressed"
        ),
    ),
    Row(
        "DICOM of bits that no number has",
        saved("a.dcm", dicom_bytes(FLAT, BitsAllocated=65535)),
        predicted,
        Refused("FILE: a DICOM file should have from 1 to 8 bytes a pixel, received 8191; export it anew"),
    ),
    Row(
        "NIfTI of its first 300 bytes",
        saved("a.nii", NIFTI[:300]),
        predicted,
        Refused(
            "FILE: an .hdr whose voxels lie in an .img beside it (Analyze, or NIfTI in two files), which is not read; make one file of them with `nib-convert x.hdr x.nii`, a command of nibabel"
        ),
    ),
    Row(
        "NIfTI whose voxels are cut off",
        saved("a.nii", NIFTI[:-4]),
        predicted,
        Refused("FILE: a NIfTI file, but damaged or cut off; check the file or fetch it anew"),
    ),
    Row(
        "NIfTI that announces 30,000 x 30,000 x 30,000",
        saved("a.nii", changed(dim=[3, 30000, 30000, 30000, 1, 1, 1, 1])),
        predicted,
        Refused(
            "FILE: a volume should have at most 67108864 pixels, and 65535 along a side, received 30000x30000x30000; crop or shrink it"
        ),
    ),
    Row(
        "NIfTI of 60,000 thin slices",
        saved(
            "a.nii",
            lambda: nifti_bytes(
                np.arange(60_000, dtype=np.float32).reshape(1, 1, -1), np.diag([1.0, 1, 2, 1]), nibabel.Nifti2Image
            ),
        ),
        predicted,
        Refused("FILE: a volume should have at most 4096 slices, received 60000; resample or split it"),
    ),
    Row(
        "NIfTI packed by gzip that unpacks to 600 MiB",
        saved("a.nii.gz", packed),
        predicted,
        Refused(
            "FILE: a NIfTI file should have at most 537919488 bytes once unpacked, received more; crop or split it"
        ),
    ),
    Row(
        "NIfTI of 5 dimensions",
        saved("a.nii", nifti_bytes(np.zeros((3, 4, 5, 2, 2), np.int16), AFFINE)),
        predicted,
        Refused(
            "FILE: a NIfTI file should hold one volume, received the shape (3, 4, 5, 2, 2); write each to its own file"
        ),
    ),
    Row(
        "NIfTI with voxels past its end",
        saved("a.nii", changed(vox_offset=1e9)),
        predicted,
        Refused("FILE: a NIfTI file, but damaged or cut off; check the file or fetch it anew"),
    ),
    Row(
        "NIfTI with voxels before its beginning",
        saved("a.nii", changed(vox_offset=-352)),
        predicted,
        Refused("FILE: a NIfTI file, but damaged or cut off; check the file or fetch it anew"),
    ),
    Row(
        "NIfTI with an affine of NaN",
        saved("a.nii", changed(srow_x=[np.nan] * 4)),
        predicted,
        Refused("FILE: a NIfTI file whose affine spans no volume (a spacing of 0?); convert the scan anew"),
    ),
    Row(
        "NIfTI with a spacing of 0",
        saved("a.nii", changed(srow_z=[0, 0, 0, 0])),
        predicted,
        Refused("FILE: a NIfTI file whose affine spans no volume (a spacing of 0?); convert the scan anew"),
    ),
    Row(
        "NIfTI with a spacing of 1e-310 mm (found by fuzzing)",
        saved("a.nii", THIN),
        predicted,
        Refused("FILE: a NIfTI file whose affine spans no volume (a spacing of 0?); convert the scan anew"),
    ),
    Row(
        "NIfTI without orientation",
        saved("a.nii", changed(qform_code=0, sform_code=0)),
        predicted,
        Refused("FILE: a NIfTI file without orientation (qform_code and sform_code are 0); convert the scan anew"),
    ),
    Row(
        "NIfTI of a type that there is not",
        saved("a.nii", changed(datatype=9999)),
        predicted,
        Refused("FILE: a NIfTI file, but damaged or cut off; check the file or fetch it anew"),
    ),
    Row(
        "NIfTI of NaN alone",
        saved("a.nii", nifti_bytes(np.full((3, 4, 5), np.nan), AFFINE)),
        predicted,
        Refused("FILE: values should be finite, received infinite ones or no number at all; set them to 0"),
    ),
    Row(
        "NIfTI with an infinite voxel",
        saved("a.nii", nifti_bytes(np.where(BOX.max() == BOX, np.inf, BOX), AFFINE)),
        predicted,
        Refused("FILE: values should be finite, received infinite ones or no number at all; set them to 0"),
    ),
    Row(
        "gzip of nothing called .nii.gz",
        saved("a.nii.gz", gzip.compress(b"")),
        predicted,
        Refused("FILE: no NIfTI file: a single file with the mark n+1 or n+2 is needed; convert it with nibabel"),
    ),
]
