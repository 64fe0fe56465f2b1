"""Pictures are read right, of every format, depth, photometric meaning, alpha and orientation; damage is refused."""

import io
import struct
import zlib

import cv2
import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from brainmri.core.errors import InputError
from brainmri.preprocessing.decoding import _PNG, _plain_mode, decode

ORIENTATION = 274
# What each orientation of EXIF stores of a picture that is shown as `x`, after the standard's own table.
STORED = {
    1: lambda x: x, 2: np.fliplr, 3: lambda x: np.rot90(x, 2), 4: np.flipud, 5: lambda x: np.swapaxes(x, 0, 1),
    6: lambda x: np.rot90(x, 1), 7: lambda x: np.rot90(np.swapaxes(x, 0, 1), 2), 8: lambda x: np.rot90(x, -1),
}  # fmt: skip


def encoded(array, suffix=".png"):
    return cv2.imencode(suffix, array)[1].tobytes()


def levels(top=255):
    """Return a picture of 16x24 px that no turn leaves as it is, in blocks of 8, dark but in a corner."""
    blocks = np.array([[1.0, 0.4, 0.2], [0.1, 0.0, 0.3]])
    return np.rint(np.kron(blocks, np.ones((8, 8))) * top).astype(np.uint8 if top == 255 else np.uint16)


def alpha(top=255):
    """Return which of its pixels are seen: not the lower left, the upper right by half."""
    seen = np.full((16, 24), top, np.uint8 if top == 255 else np.uint16)
    seen[8:, :8], seen[:8, 16:] = 0, (top + 1) // 2
    return seen


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, depth, *chunks):
    """Return a PNG of samples (H, W, N): N is 1 grey, 2 with alpha, 3 RGB, 4 RGBA."""

    height, width, count = samples.shape
    rows = b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, depth, {1: 0, 2: 4, 3: 2, 4: 6}[count], 0, 0, 0)
    parts = [chunk(b"IHDR", header), *(chunk(*one) for one in chunks), chunk(b"IDAT", zlib.compress(rows))]
    return _PNG + b"".join([*parts, chunk(b"IEND", b"")])


def exif(orientation):
    """Return what a file's EXIF holds to say how it is turned."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, ORIENTATION, 3, 1, orientation, 0, 0)


def tiff(samples, photometric, order="<", planar=1, **tags):
    """Return an uncompressed TIFF of samples (H, W, N), with more tags by number."""
    height, width, count = samples.shape
    bits, kind = samples.dtype.itemsize * 8, {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    stored = np.moveaxis(samples, -1, 0) if planar == 2 else samples
    raw = stored.astype(samples.dtype.newbyteorder(order)).tobytes()
    strips = count if planar == 2 else 1
    entries = {256: [width], 257: [height], 258: [bits] * count, 259: [1], 262: [photometric], 273: None, 277: [count],
               278: [height], 279: [len(raw) // strips] * strips, 284: [planar], 339: [kind] * count}  # fmt: skip
    entries |= {int(name[1:]): value for name, value in tags.items()}
    start = 8 + 2 + 12 * len(entries) + 4
    long = {tag: len(value) for tag, value in entries.items() if value is not None and len(value) > 1}
    beyond = 4 * sum(long.values()) + (4 * strips if strips > 1 else 0)
    entries[273] = [start + beyond + at * (len(raw) // strips) for at in range(strips)]
    directory, tail = b"", b""
    for tag, value in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(value)}I", *value)
        if len(value) > 1:
            tail, packed = tail + packed, struct.pack(order + "I", start + len(tail))
        directory += struct.pack(order + "HHI", tag, 4, len(value)) + packed
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "IH", 8, len(entries)) + directory + struct.pack(order + "I", 0) + tail + raw


def by_pillow(form, mode, orientation, **settings):
    """Return `levels` as Pillow writes them in a mode; with `alpha` where it has one."""
    grey = Image.fromarray(np.ascontiguousarray(STORED[orientation](levels())))
    picture = grey.convert("RGB").convert(mode) if mode == "CMYK" else grey.convert(mode)
    if mode in ("LA", "RGBA"):
        picture.putalpha(Image.fromarray(np.ascontiguousarray(STORED[orientation](alpha()))))
    told = Image.Exif()
    told[ORIENTATION] = orientation
    place = io.BytesIO()
    how = {"tiffinfo": {ORIENTATION: orientation}} if form == "TIFF" else {"exif": told} if form != "BMP" else {}
    picture.save(place, form, **how, **settings)
    return place.getvalue()


EIGHT = [
    *(("PNG", mode, {}) for mode in ("L", "P", "LA", "RGB", "RGBA")),
    *(("JPEG", mode, {"quality": 100, "progressive": more}) for mode in ("L", "RGB", "CMYK") for more in (False, True)),
    ("JPEG", "RGB", {"quality": 100, "subsampling": 2, "restart_marker_rows": 1}),
    *(("TIFF", mode, {}) for mode in ("L", "P", "LA", "RGB", "RGBA", "CMYK")),
    *(("TIFF", "RGB", {"compression": name}) for name in ("tiff_lzw", "tiff_deflate", "packbits")),
    *(("WEBP", mode, {"lossless": True, "exact": True}) for mode in ("RGB", "RGBA")),
]


@pytest.mark.parametrize(("form", "mode", "settings"), EIGHT, ids=str)
@pytest.mark.parametrize("orientation", STORED)
def test_eight_bits_of_every_format_turned_every_way(form, mode, settings, orientation):
    grey, told = decode(by_pillow(form, mode, orientation, **settings))
    expected = levels() * (alpha() / 255 if mode in ("LA", "RGBA") else 1)
    assert grey.dtype == np.uint8
    assert np.abs(grey - expected).max() <= (3 if form == "JPEG" else 1)
    assert told == (mode if (form, mode) != ("WEBP", "RGBA") else "RGBA")


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("form", ["png", "tiff", "tiff of the other order", "tiff colour by colour"])
def test_sixteen_bits_keep_their_levels_turned_every_way(form, count, orientation):
    grey, seen = levels(40000), alpha(65535)
    shown = np.dstack([*([grey] * (count - 1 + count % 2)), *([seen] * (count % 2 == 0))])
    stored = np.ascontiguousarray(STORED[orientation](shown))
    if form == "png":
        data = png(stored, 16, (b"eXIf", exif(orientation)))
    else:
        more = {"t338": [2]} if count % 2 == 0 else {}
        order, planar = ">" if "order" in form else "<", 2 if "colour" in form and count > 1 else 1
        data = tiff(stored, 2 if count > 2 else 1, order, planar, t274=[orientation], **more)
    expected = np.rint(grey * (seen / 65535)) if count % 2 == 0 else grey
    found, _ = decode(data)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_white_as_zero_is_not_inverted(kind, order):
    grey = levels(255 if kind == np.uint8 else 40000)[..., None]
    inverted, _ = decode(tiff(np.iinfo(kind).max - grey, 0, order))
    np.testing.assert_array_equal(inverted, grey[..., 0])


@pytest.mark.parametrize(("extra", "expected"), [(0, 1000), (1, 1000), (2, 500)])
def test_what_is_beside_the_grey_of_a_tiff_dims_it_only_as_its_tag_says(extra, expected):
    samples = np.full((2, 2, 2), 1000, np.uint16)
    samples[..., 1] = 32768
    assert (decode(tiff(samples, 1, t338=[extra]))[0] == expected).all()


@pytest.mark.parametrize("count", [1, 3])
def test_a_transparent_level_of_16_bits_is_black_and_the_rest_stays(count):
    grey = levels(40000)
    key = struct.pack(f">{count}H", *[16000] * count)
    found, _ = decode(png(np.dstack([grey] * count), 16, (b"tRNS", key)))
    np.testing.assert_array_equal(found, np.where(grey == 16000, 0, grey))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_use_the_whole_range(bits):
    top = 2**bits - 1
    rows = np.arange(16).reshape(2, 8) % (top + 1)
    packed = np.packbits(((rows[..., None] >> np.arange(bits)[::-1]) & 1).reshape(2, -1), axis=1)

    raw = zlib.compress(b"".join(b"\0" + row.tobytes() for row in packed))
    header = struct.pack(">IIBBBBB", 8, 2, bits, 0, 0, 0, 0)
    found, _ = decode(_PNG + chunk(b"IHDR", header) + chunk(b"IDAT", raw) + chunk(b"IEND", b""))
    np.testing.assert_array_equal(found, rows * (255 // top))


def colours(kind):
    return np.random.default_rng(0).integers(0, np.iinfo(kind).max, (16, 24, 4), kind, endpoint=True)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".bmp", ".webp"])
@pytest.mark.parametrize("count", [3, 4])
def test_colours_agree_with_a_second_reader(suffix, count):
    """8 bits: OpenCV wrote it and reads it, where Pillow reads for us; the way round for plain PNG."""
    data = cv2.imencode(suffix, colours(np.uint8)[..., :count], [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    if _plain_mode(data):
        other = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float)
    else:
        other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3][:count]].astype(
            float
        )
    dimmed = other[..., 3] / 255 if other.shape[-1] == 4 else 1
    assert np.abs(decode(data)[0] - other[..., :3] @ (0.299, 0.587, 0.114) * dimmed).max() <= 1.5


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("count", [3, 4])
def test_deep_colours_agree_with_a_second_reader(suffix, count):
    data = cv2.imencode(suffix, colours(np.uint16)[..., :count])[1].tobytes()
    other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).astype(float)
    read = imagecodecs.png_decode(data) if suffix == ".png" else imagecodecs.tiff_decode(data)
    np.testing.assert_array_equal(read[..., :3], other[..., 2::-1])
    dimmed = other[..., 3] / 65535 if count == 4 and suffix == ".png" else 1  # its TIFF does not say what the fourth is
    assert np.abs(decode(data)[0] - other[..., 2::-1] @ (0.299, 0.587, 0.114) * dimmed).max() <= 1.5


@pytest.mark.parametrize(
    ("samples", "photometric", "received"),
    [
        (np.zeros((2, 2, 1), np.int16), 1, "samples of kind 2 and photometric meaning 1"),
        (np.zeros((2, 2, 4), np.uint16), 5, "samples of kind 1 and photometric meaning 5"),
        (np.zeros((2, 2, 1), np.float32), 1, "Pillow's mode F"),
        (np.zeros((2, 2, 1), np.uint32), 1, "Pillow's mode I"),
    ],
)
def test_a_tiff_of_other_numbers_is_refused(samples, photometric, received):
    with pytest.raises(InputError, match=f"cannot be decoded: .* (is|are) needed, received {received}"):
        decode(tiff(samples, photometric))


def jpeg():
    """Return a JPEG of a smooth picture of some hundred blocks."""
    noise = np.random.default_rng(0).integers(0, 256, (150, 130)).astype(np.uint8)
    return encoded(cv2.GaussianBlur(noise, (0, 0), 3), ".jpg")


@pytest.mark.parametrize("filler", [b"", bytes(1000), b"\xff\x00" * 200])
def test_a_jpeg_whose_middle_is_missing_is_refused_though_its_end_mark_is_there(filler):
    data = jpeg()
    assert decode(data)[0].shape == (150, 130)
    with pytest.raises(InputError, match=r"^cannot be decoded: a JPEG of which a part is missing or damaged; fetch"):
        decode(data[: len(data) // 2] + filler + b"\xff\xd9")


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_whole_jpeg_with_bytes_after_its_end_is_read(orientation):
    data = by_pillow("JPEG", "L", orientation, quality=100)
    assert np.abs(decode(data + b"\0" * 16)[0] - levels().astype(float)).max() <= 3


def test_decode_gives_back_the_pixels_of_a_lossless_file():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    decoded, mode = decode(encoded(grey))
    np.testing.assert_array_equal(decoded, grey)
    assert mode == "L"


def test_decode_keeps_16_bits():
    grey = np.array([[0, 1000], [40000, 65535]], np.uint16)
    decoded, _ = decode(encoded(grey))
    np.testing.assert_array_equal(decoded, grey)


def test_decode_of_colour_agrees_with_pillow():
    rgb = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG")
    decoded, mode = decode(file.getvalue())
    expected = np.asarray(Image.open(file).convert("L")).astype(int)
    assert mode == "RGB"
    assert np.abs(decoded.astype(int) - expected).max() <= 1


MODES = {
    "PNG": ["1", "L", "I;16", "P", "RGB", "LA", "RGBA"],
    "JPEG": ["L", "RGB", "CMYK"],
    "BMP": ["1", "L", "P", "RGB"],
    "TIFF": ["1", "L", "I;16", "P", "RGB", "RGBA", "CMYK"],
}


@pytest.mark.parametrize(("form", "mode"), [(form, mode) for form, modes in MODES.items() for mode in modes])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_mode_is_what_pillow_says(form, mode, progressive):
    rng = np.random.default_rng(0)
    deep = Image.fromarray(rng.integers(0, 60000, (9, 7)).astype(np.uint16))
    plain = Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8))
    file = io.BytesIO()
    (deep if mode == "I;16" else plain.convert(mode)).save(file, form, progressive=progressive)
    expected = Image.open(file).mode
    assert decode(file.getvalue())[1] == expected
    assert _plain_mode(file.getvalue()) in (expected, None)


def test_a_common_file_is_read_without_pillow(monkeypatch):
    monkeypatch.setattr(Image, "open", None)
    grey = np.zeros((3, 3), np.uint8)
    modes = [decode(encoded(a, s))[1] for a in (grey, np.dstack([grey] * 3)) for s in (".png", ".jpg")]
    assert modes == ["L", "L", "RGB", "RGB"]


def test_a_transparent_colour_in_a_png_is_black():
    file = io.BytesIO()
    Image.fromarray(np.array([[10, 200]], np.uint8)).save(file, "PNG", transparency=200)
    decoded, _ = decode(file.getvalue())
    np.testing.assert_array_equal(decoded, [[10, 0]])


def test_what_is_transparent_is_black():
    picture = np.full((2, 2, 4), 255, np.uint8)
    picture[0, :, 3] = 0
    decoded, mode = decode(encoded(picture))
    np.testing.assert_array_equal(decoded, [[0, 0], [255, 255]])
    assert mode == "RGBA"


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_decode_refuses_a_file_that_is_cut_off(suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    whole = encoded(noise, suffix)
    with pytest.raises(InputError, match="cannot be decoded"):
        decode(whole[: len(whole) // 2])


def test_decode_refuses_a_png_that_lacks_its_last_bytes():
    whole = encoded(np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8))
    for missing in range(1, len(whole)):
        with pytest.raises(InputError, match="cannot be decoded"):
            decode(whole[:-missing])


@pytest.mark.parametrize("kind", ["TIFF", "GIF"])
def test_decode_refuses_several_pages(kind):
    first, second = (Image.fromarray(np.full((8, 8), level, np.uint8)) for level in (10, 200))
    first.save(file := io.BytesIO(), kind, save_all=True, append_images=[second])
    with pytest.raises(InputError, match=r"^a picture should have one page, received 2; save each"):
        decode(file.getvalue())


def test_decode_refuses_what_is_no_image():
    with pytest.raises(InputError, match="no known image format"):
        decode(b"Lorem ipsum")


@given(st.binary(max_size=200))
def test_decode_never_fails_otherwise(data):
    with pytest.raises(InputError, match="cannot be decoded"):
        decode(data)
