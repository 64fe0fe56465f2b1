"""Make DICOM and NIfTI files of small arrays, for the tests of what reads them."""

import io
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

# Where pydicom and nibabel ship files of scanners.
SHIPPED = Path(pydicom.__file__).parent / "data/test_files"
NIBABEL = Path(nibabel.__file__).parent
AXIAL = (1, 0, 0, 0, 1, 0)  # a row runs to the patient's left, a column to the back
CORONAL = (1, 0, 0, 0, 0, -1)
SAGITTAL = (0, 1, 0, 0, 0, -1)
# Who a file is about, in the elements that hospitals fill; every value has `Jane`, `Doe` or 4711 in it.
PERSON = {
    "PatientName": "Doe^Jane", "PatientID": "4711-A", "PatientBirthDate": "19471104", "OtherPatientIDs": "4711-B",
    "InstitutionName": "Doe Hospital", "ReferringPhysicianName": "Doe^Janet", "AccessionNumber": "4711",
    "StudyDescription": "Jane Doe, head", "SeriesDescription": "t1 Jane", "ProtocolName": "Doe protocol",
    "StudyInstanceUID": "1.2.4711.1", "SeriesInstanceUID": "1.2.4711.2", "SOPInstanceUID": "1.2.4711.3",
    "FrameOfReferenceUID": "1.2.4711.4", "StationName": "JaneStation", "ImageComments": "seen by Doe",
    "PatientAddress": "4711 Doe Street", "StudyDate": "19471105", "DeviceSerialNumber": "4711",
}  # fmt: skip


def dataset(pixels: np.ndarray, series: str = "1.2.3", **elements) -> FileDataset:
    """Return a single-frame MR file of integer `pixels` (H, W); an element given as None is left out."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, generate_uid(entropy_srcs=["test"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    bits = pixels.dtype.itemsize * 8
    known = {
        "SeriesInstanceUID": series, "Modality": "MR", "Rows": pixels.shape[0], "Columns": pixels.shape[1],
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": bits, "BitsStored": bits,
        "HighBit": bits - 1, "PixelRepresentation": int(pixels.dtype.kind == "i"), "PixelSpacing": [0.5, 0.75],
        "SliceThickness": 4, "ImageOrientationPatient": list(AXIAL), "ImagePositionPatient": [0, 0, 0],
        "PixelData": pixels.astype(pixels.dtype.newbyteorder("<")).tobytes(),
    }  # fmt: skip
    for name, value in (known | elements).items():
        if value is not None:
            setattr(file, name, value)
    return file


def written(file: FileDataset) -> bytes:
    """Return a dataset as the bytes of a file."""
    place = io.BytesIO()
    file["PixelData"].VR = "OW" if file.BitsAllocated > 8 else "OB"
    pydicom.dcmwrite(place, file)
    return place.getvalue()


def dicom_bytes(pixels: np.ndarray, **elements) -> bytes:
    """Return a single-frame MR file, as `dataset` makes it."""
    return written(dataset(pixels, **elements))


def dicom_series(stored: np.ndarray, affine: np.ndarray, **elements) -> list[bytes]:
    """Return a file for each slice of `stored` (I, J, K): columns along I, rows along J.

    The affine leads from indices to mm as in NIfTI; DICOM's own axes point to the left and to the back.
    """
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    sides = np.linalg.norm(lps[:3, :3], axis=0)
    files = []
    for at in range(stored.shape[2]):
        place = {
            "ImagePositionPatient": list((lps @ [0, 0, at, 1])[:3]),
            "ImageOrientationPatient": [*(lps[:3, 0] / sides[0]), *(lps[:3, 1] / sides[1])],
            "PixelSpacing": [sides[1], sides[0]],
        }
        exact = {name: [f"{value:.10g}"[:16] for value in values] for name, values in place.items()}
        files.append(dicom_bytes(np.ascontiguousarray(stored[:, :, at].T), **(exact | elements)))
    return files


def multiframe(frames: np.ndarray, positions: list[tuple[float, float, float]], order: list[int]) -> bytes:
    """Return an enhanced MR file of `frames` (F, H, W) written in another order, geometry in functional groups."""
    file = dataset(frames[0], NumberOfFrames=len(order), PixelSpacing=None, SliceThickness=None)
    del file.ImageOrientationPatient, file.ImagePositionPatient
    file.PixelData = frames[order].tobytes()
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.75], 2
    orientation.ImageOrientationPatient = list(AXIAL)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    file.SharedFunctionalGroupsSequence = [shared]
    file.PerFrameFunctionalGroupsSequence = [_frame(positions[at], slope=at + 1) for at in order]
    return written(file)


def _frame(position: tuple[float, float, float], slope: int) -> Dataset:
    frame, place, value, window = Dataset(), Dataset(), Dataset(), Dataset()
    place.ImagePositionPatient = list(position)
    value.RescaleSlope, value.RescaleIntercept = slope, 0
    window.WindowCenter, window.WindowWidth = 100 * slope, 10
    frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [place], [value]
    frame.FrameVOILUTSequence = [window]
    return frame


def nifti_bytes(stored: np.ndarray, affine: np.ndarray, kind=nibabel.Nifti1Image) -> bytes:
    """Return a NIfTI file with an sform."""
    return kind(stored, affine).to_bytes()
