"""DICOM files give pixels, place and window; damage is one sentence; nobody can be told from what is read."""

import gzip
import re
import warnings

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from scan_files import AXIAL, NIBABEL, PERSON, SHIPPED, dataset, dicom_bytes, multiframe, written

from brainmri.core.errors import InputError
from brainmri.sources import dicom
from brainmri.sources.dicom import read_dicom, read_header

PIXELS = np.array([[0, 1, 2], [3, 4, 1000]], np.uint16)


def one(pixels=PIXELS, **elements):
    (found,) = read_dicom(dicom_bytes(pixels, **elements))
    return found


def test_a_plain_slice():
    found = one(ImagePositionPatient=[1, 2, 3], RescaleSlope="2", RescaleIntercept="-10")
    np.testing.assert_array_equal(found.stored, PIXELS)
    assert (found.slope, found.intercept) == (2, -10)
    assert found.position_mm.tolist() == [1, 2, 3]
    assert found.directions.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert (found.spacing_mm, found.step_mm) == ((0.5, 0.75), 4)  # PixelSpacing: between rows first


def test_signed_pixels():
    pixels = np.array([[-1000, 0], [1, 3000]], np.int16)
    np.testing.assert_array_equal(one(pixels).stored, pixels)


@pytest.mark.parametrize(("signed", "turned"), [(False, [[255, 155], [1, 0]]), (True, [[-1, 99], [-2, -128]])])
def test_monochrome1_is_inverted_with_its_window(signed, turned):
    pixels = np.array([[0, 100], [254, 255]], np.uint8)
    pixels = np.array([[0, -100], [1, 127]], np.int8) if signed else pixels
    found = one(pixels, PhotometricInterpretation="MONOCHROME1", WindowCenter="10.5", WindowWidth="21")
    assert found.stored.tolist() == turned
    top = -1 if signed else 255
    assert found.window == (top - 20, top - 0)  # 0 to 20 before


def test_colours_become_luminance():
    red_green = np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)
    file = dataset(red_green[..., 0], SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    file.PixelData = red_green.tobytes()
    assert read_dicom(written(file))[0].stored.tolist() == [[76, 150]]


def test_a_palette_becomes_luminance():
    file = dataset(np.array([[0, 1]], np.uint8), PhotometricInterpretation="PALETTE COLOR")
    for colour, table in (("Red", b"\x00\xff"), ("Green", b"\x00\x00"), ("Blue", b"\x00\x00")):
        setattr(file, f"{colour}PaletteColorLookupTableDescriptor", [2, 0, 8])
        setattr(file, f"{colour}PaletteColorLookupTableData", table)
    assert read_dicom(written(file))[0].stored.tolist() == [[0, 76]]


@pytest.mark.parametrize(("function", "window"), [(None, (0, 99)), ("LINEAR_EXACT", (0, 100)), ("SIGMOID", (0, 100))])
def test_the_window_follows_the_standard(function, window):
    assert one(WindowCenter=["50", "7"], WindowWidth=["100", "3"], VOILUTFunction=function).window == window


def test_a_voi_table_is_the_range_over_which_it_rises():
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [6, 10, 16])
    table.add_new("LUTData", "US", [0, 0, 5, 9, 9, 9])
    assert one(VOILUTSequence=[table]).window == (11, 13)


@pytest.mark.parametrize("elements", [{}, {"WindowCenter": "5"}, {"WindowCenter": "5", "WindowWidth": "1"}])
def test_no_usable_window_is_nan(elements):
    assert np.isnan(one(**elements).window).all()


def test_facts_are_numbers_and_known_codes():
    found = one(MagneticFieldStrength="3", RepetitionTime="2000.5", EchoTime="30", Modality="MR")
    assert found.facts == {"modality": "MR", "field_t": 3, "tr_ms": 2000.5, "te_ms": 30}
    nothing = one(Modality="JANE").facts
    assert nothing["modality"] == ""
    assert np.isnan([nothing["field_t"], nothing["tr_ms"], nothing["te_ms"]]).all()


def test_spacing_at_the_detector_is_no_spacing_in_the_patient():
    found = one(PixelSpacing=None, SliceThickness=None, ImagerPixelSpacing=["0.1", "0.1"])
    assert np.isnan([*found.spacing_mm, found.step_mm]).all()


def test_directions_that_are_no_right_angle_are_unknown():
    assert np.isnan(one(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]).directions).all()


def test_frames_of_an_enhanced_file_have_their_own_place_scale_and_window():
    frames = np.arange(12, dtype=np.uint16).reshape(3, 2, 2)
    found = read_dicom(multiframe(frames, [(0, 0, 0), (0, 0, 2), (0, 0, 4)], order=[2, 0, 1]))
    assert [int(each.position_mm[2]) for each in found] == [4, 0, 2]
    assert [each.slope for each in found] == [3, 1, 2]
    assert [each.window for each in found] == [(295, 304), (95, 104), (195, 204)]
    assert [each.stored[0, 0] for each in found] == [8, 0, 4]
    assert {each.spacing_mm for each in found} == {(0.5, 0.75)}
    assert len({(each.kind, each.time) for each in found}) == 1


def test_files_of_one_patient_and_series_have_equal_headers():
    same = [read_header(dicom_bytes(PIXELS + at, **PERSON)) for at in range(2)]
    other = read_header(dicom_bytes(PIXELS, **(PERSON | {"PatientID": "4712", "SeriesInstanceUID": "1.2.9"})))
    assert same[0] == same[1]
    assert other.patient != same[0].patient
    assert other.series != same[0].series
    assert read_header(dicom_bytes(PIXELS)).patient == ""


def test_nothing_that_tells_who_leaves_the_reader(recwarn, capfd, caplog):
    data = dicom_bytes(PIXELS, **PERSON)
    shown = [repr(read_header(data)), repr(read_dicom(data)), *(str(vars(each)) for each in read_dicom(data))]
    broken = data.replace(b"0.75", b"Jane")  # a spacing that is a name
    with pytest.raises(InputError, match="its geometry or its window is damaged") as error:
        read_dicom(broken)
    shown += [str(error.value), *capfd.readouterr(), caplog.text, *map(str, recwarn)]
    assert not re.search("jane|doe|4711", "".join(shown), re.IGNORECASE)
    assert error.value.__cause__ is None


def test_only_listed_elements_are_parsed():
    parsed = dicom._parsed(dicom_bytes(PIXELS, **PERSON))
    assert {element.keyword for element in parsed} <= set(dicom.ELEMENTS)
    assert set(dicom.IDENTIFIERS) & set(PERSON) == {"PatientID", "SeriesInstanceUID"}


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"BurnedInAnnotation": "YES"}, "text burnt into its pixels"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "MOSAIC"]}, "a Siemens mosaic"),
        ({"RescaleSlope": "0", "RescaleIntercept": "0"}, "RescaleSlope is 0"),
        ({"PixelData": b"\0\0"}, r"pixels cannot be decoded \(Explicit VR Little Endian\)"),
        ({"NumberOfFrames": 2**30}, "from 1 to 8192 frames with pixels, received 1073741824 of 2x3; split it"),
        ({"Rows": 0}, "from 1 to 8192 frames with pixels, received 1 of 0x3"),
        (
            {"Rows": 65535, "Columns": 65535},
            "at most 67108864 pixels, and 65535 along a side, received 1x65535x65535",
        ),
        ({"SamplesPerPixel": 9}, "from 1 to 8 bytes a pixel, received 18; export it anew"),
        ({"BitsAllocated": 1}, "received DICOM segmentations"),
    ],
)
def test_what_is_no_picture_of_a_patient_is_refused(elements, reason):
    with pytest.raises(InputError, match=reason):
        one(**elements)


def test_a_file_without_pixels_is_told_apart():
    data = (SHIPPED / "test-SR.dcm").read_bytes()
    assert read_header(data).no_scan == "DICOM without pixels"
    with pytest.raises(InputError, match="received DICOM without pixels"):
        read_dicom(data)


def test_what_is_no_dicom_is_refused():
    with pytest.raises(InputError, match="no DICOM file: the mark DICM"):
        read_header(b"\x89PNG")
    data = (SHIPPED / "image_dfl.dcm").read_bytes()
    with pytest.raises(InputError, match="deflated as a whole"):
        read_header(data)


SYNTAXES = [
    "MR_small_RLE",
    "MR_small_jp2klossless",
    "MR_small_jpeg_ls_lossless",
    "MR_small_bigendian",
    "MR_small_implicit",
]


@pytest.mark.parametrize("name", SYNTAXES)
def test_lossless_compression_changes_no_pixel(name):
    plain, packed = (read_dicom((SHIPPED / f"{each}.dcm").read_bytes())[0] for each in ("MR_small", name))
    np.testing.assert_array_equal(plain.stored, packed.stored)
    np.testing.assert_array_equal(plain.stored, pydicom.dcmread(SHIPPED / "MR_small.dcm").pixel_array)


def shipped():
    """Files inside the wheels of pydicom and nibabel; nothing is downloaded."""
    files = [*SHIPPED.rglob("*"), *NIBABEL.glob("tests/data/*.dcm"), *NIBABEL.glob("nicom/tests/data/*.dcm*")]
    return sorted(path for path in files if path.is_file())


def outcome(path):
    data = path.read_bytes()
    data = gzip.decompress(data) if path.name.endswith(".dcm.gz") else data
    try:
        read_header(data)
        return f"read, {min(len(read_dicom(data)), 2)}"
    except InputError as error:
        return str(error)


@pytest.mark.slow
def test_every_shipped_file_is_read_or_refused_in_one_sentence():
    files = shipped()
    found = {path.name: outcome(path) for path in files}
    assert len(files) >= 150
    assert not any("\n" in what for what in found.values())
    read = [name for name, what in found.items() if what.startswith("read")]
    assert {"CT_small.dcm", "MR_small.dcm", "693_J2KI.dcm", "examples_overlay.dcm", "philips_mprage.dcm.gz"} <= set(
        read
    )
    assert len(read) >= 49
    assert found["philips_mprage.dcm.gz"] == "read, 2"
    refused = {name: what for name, what in found.items() if name not in read}
    undecoded = {name for name, what in refused.items() if "cannot be decoded" in what}
    assert undecoded == {"MR_truncated.dcm"}  # cut off
    for heading, number in (("radiotherapy", 10), ("segmentations", 2), ("secondary captures", 34), ("localizers", 2)):
        assert sum(heading in what for what in refused.values()) == number


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(132, 1200), st.integers(0, 255)), max_size=4), end=st.integers(0, 3000))
def test_any_damage_is_one_input_error(changes, end):
    data = bytearray(dicom_bytes(PIXELS, **PERSON, WindowCenter="5", WindowWidth="9"))
    for at, value in changes:
        data[at % len(data)] = value
    sentence = ""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read_header(bytes(data[: max(140, end)]))
            read_dicom(bytes(data[: max(140, end)]))
        except InputError as error:
            sentence = str(error)
    assert "\n" not in sentence
    assert not re.search("jane|doe|4711", sentence, re.IGNORECASE)


def test_the_axial_orientation_of_the_helper_is_dicoms():
    assert one(ImageOrientationPatient=list(AXIAL)).directions.tolist() == [[1, 0, 0], [0, 1, 0]]
