"""The page in a real browser, as a person uses it: uploads of each kind, sliders, a batch, hostile files, two at once.

Pictures of each page at the width of a desk and of a phone are left in `test-artifacts/`, to be looked at.
"""

import gzip
import io
import re
import sys
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from conftest import draw_scan
from scan_files import PERSON, dicom_bytes, dicom_series, nifti_bytes
from servers import free_port, running
from visits import TABS, WAIT_MS, WIDTHS, answered, compare, cut_off, expect, open_tab, png, settled, unroll, upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
AFFINE = np.diag([-1.0, -1.0, 3.0, 1])


def stack():
    """Nine slices (I, J, K) with a spot in the middle seven."""
    rng = np.random.default_rng(3)
    slices = [draw_scan(rng, "glioma" if 0 < at < 8 else "notumor")[0] for at in range(9)]
    return np.stack(slices, axis=-1).transpose(1, 0, 2).astype(np.int16) * 8


def zipped(files):
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w") as archive:
        for at, data in enumerate(files):
            archive.writestr(f"series/im{at}", data)
    return place.getvalue()


def picture(page):
    """Return the address of the first picture of a scan: Streamlit makes it of the picture's content."""
    return scan_picture(page).get_attribute("src")


def scan_picture(page):
    return page.get_by_role("img", name=re.compile("lice")).first


def changed(page, before):
    """Wait until the first picture of a scan is another than before; return it."""
    expect(scan_picture(page)).not_to_have_attribute("src", before, timeout=WAIT_MS)
    settled(page)
    return picture(page)


def keep(page, name):
    """Leave a picture of the page at each width."""
    folder = ROOT / "test-artifacts"
    folder.mkdir(exist_ok=True)
    for width, (across, down) in WIDTHS.items():
        page.set_viewport_size({"width": across, "height": down})
        settled(page)
        unroll(page)
        page.wait_for_function("[...document.images].every(image => image.complete)")
        page.screenshot(path=str(folder / f"{name}-{width}.png"))
        assert page.evaluate("document.documentElement.scrollWidth") <= across  # nothing is cut off at the side
    page.set_viewport_size({"width": 1280, "height": 900})


def slide(page, label, key, times=1):
    """Move a slider by the keyboard alone."""
    handle = page.get_by_role("slider", name=label)
    handle.focus()
    for _ in range(times):
        handle.press(key)


def outline_whatever(page):
    """Let the tiny project's tests have an outline: by K-means, whatever class is seen."""
    page.get_by_label("no outline where there is surely no tumour").uncheck(force=True)
    settled(page)
    page.get_by_role("radio", name="K-means on the whole slice").check(force=True)
    expect(page.get_by_role("img", name=re.compile("px outlined")).first).to_be_visible(timeout=WAIT_MS)
    answered(page)


def test_the_first_page_says_what_it_is_and_is_not(page):
    expect(page.get_by_role("heading", level=1)).to_have_text("Brain MRI: class and tumour outline")
    expect(page.get_by_text("Not for clinical use.")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "en"
    expect(page.get_by_text(re.compile("Drop scans here.*JPEG, PNG, TIFF, BMP, WebP, DICOM, NIfTI"))).to_be_visible()
    keep(page, "scans")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("scan.jpg", png(suffix=".jpg")),
        ("scan.png", png()),
        ("scan.tif", png(suffix=".tiff")),
        ("scan.dcm", dicom_bytes(stack()[:, :, 4].T.copy(), **PERSON)),
    ],
)
def test_a_slice_of_each_kind_is_answered(page, name, data):
    upload(page, (name, data))
    answered(page)
    for label in ("glioma", "meningioma", "notumor", "pituitary"):
        expect(page.get_by_text(re.compile(rf"^{label}: [01]\.\d\d\d$"))).to_be_visible()
    expect(page.get_by_text("Tumour outlined")).to_be_visible()
    page.get_by_text("Metadata", exact=True).click()
    expect(page.get_by_role("cell", name="64")).to_have_count(2)
    text = page.locator("body").inner_text()
    assert not [word for word in ("Jane", "Doe", "4711") if word in text]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("head.nii", nifti_bytes(stack(), AFFINE)),
        ("head.nii.gz", gzip.compress(nifti_bytes(stack(), AFFINE))),
        ("series.zip", zipped(dicom_series(stack(), AFFINE))),
    ],
)
def test_a_volume_has_three_planes_and_a_mask_to_download(page, name, data, tmp_path):
    upload(page, (name, data))
    answered(page)
    for plane, slices in (("Axial", 9), ("Coronal", 64), ("Sagittal", 64)):
        handle = page.get_by_role("slider", name=f"{plane} slice")
        assert handle.get_attribute("max") == str(slices)
    before = picture(page)
    slide(page, "Axial slice", "ArrowRight")
    changed(page, before)
    outline_whatever(page)
    expect(page.get_by_text(re.compile(r"\d ml, (unsure, )?largest diameter \d+ mm"))).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the mask (NIfTI)").click()
    download.value.save_as(tmp_path / "mask.nii.gz")
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    assert mask.shape == (64, 64, 9)
    assert np.asarray(mask.dataobj).any()
    np.testing.assert_allclose(mask.affine, AFFINE, atol=1e-6)


def test_loose_slices_dropped_together_are_one_volume(page):
    upload(page, *((f"im{at}.dcm", data) for at, data in enumerate(dicom_series(stack(), AFFINE))))
    answered(page)
    assert page.get_by_role("slider", name="Axial slice").get_attribute("max") == "9"


def test_sliders_and_choices_change_the_picture(page):
    upload(page, ("scan.png", png()))
    answered(page)
    outline_whatever(page)
    seen = [picture(page)]
    for change in (
        lambda: slide(page, "Window level", "ArrowLeft", 20),
        lambda: slide(page, "Window width", "ArrowLeft", 60),
        lambda: slide(page, "Opacity of the outline", "ArrowLeft", 8),
        lambda: slide(page, "Opacity of the evidence", "ArrowRight", 4),
        lambda: page.get_by_role("radio", name="no outline").check(force=True),
    ):
        change()
        seen.append(changed(page, seen[-1]))
    expect(page.get_by_text("Tumour outlined: not asked for")).to_be_visible()


def test_a_batch_gives_a_table_to_download(page, tmp_path):
    files = [(f"{at}.png", png(at, label)) for at, label in enumerate(("glioma", "pituitary", "notumor"))]
    upload(page, *files, ("=bad.png", b"no picture"))
    answered(page)
    expect(page.get_by_role("heading", name="3 scans")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("=bad.png: cannot be decoded")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the table (CSV)").click()
    download.value.save_as(tmp_path / "answers.csv")
    import pandas as pd

    table = pd.read_csv(tmp_path / "answers.csv")
    assert table["name"].tolist() == ["0.png", "1.png", "2.png"]
    assert (table["note"] == "Not for clinical use").all()
    shown = page.get_by_role("region", name="Answers, and the probability of each class")
    headings = shown.get_by_role("columnheader").all_inner_texts()
    assert headings == [
        "Scan", "Answer", "glioma", "meningioma", "notumor", "pituitary", "Tumour outlined", "Outlined by"
    ]  # fmt: skip
    page.set_viewport_size({"width": 1400, "height": 900})
    assert shown.evaluate("part => part.scrollWidth - part.clientWidth") == 0
    shares = table[["p_glioma", "p_meningioma", "p_notumor", "p_pituitary"]]
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-4)
    keep(page, "batch")


HOSTILE = {
    "empty.png": b"",
    "cut.png": png()[:-40],
    "![x](http://example.org/x.png) <b>bold</b> :smile: $x$.png": b"no picture",
    "evil.zip": b"PK\x03\x04" + b"\xff" * 200,
    "evil.dcm": b"\0" * 128 + b"DICM" + b"\xff" * 500,
    "evil.nii": b"\x5c\x01\0\0" + b"\xff" * 400,
    "notes.txt": b"hello",
}


def test_hostile_files_get_a_sentence_each_and_the_session_goes_on(page):
    upload(page, *HOSTILE.items())
    alerts = page.get_by_test_id("stAlertContentError")
    expect(alerts).to_have_count(len(HOSTILE), timeout=WAIT_MS)
    for name in HOSTILE:
        expect(alerts.filter(has_text=name)).to_have_count(1)
    assert "Traceback" not in page.locator("body").inner_text()
    assert page.locator("[data-testid=stAlertContentError] b").count() == 0
    upload(page, ("scan.png", png()))
    answered(page)


def test_two_sessions_at_once_do_not_mix(browser, address):
    labels = {"one.png": png(1), "two.png": png(2, "pituitary")}
    contexts = [browser.new_context() for _ in labels]
    pages = [context.new_page() for context in contexts]
    for own in pages:
        own.goto(address)
        expect(own.get_by_role("heading", level=1)).to_be_visible(timeout=WAIT_MS)
    for own, file in zip(pages, labels.items(), strict=True):
        upload(own, file)
    shown = {}
    for own, name in zip(pages, labels, strict=True):
        answered(own)
        text = own.locator("body").inner_text()
        assert [other for other in labels if other in text] == [name]
        shown[name] = picture(own)
    assert shown["one.png"] != shown["two.png"]
    pages[0].get_by_role("radio", name="no outline").check(force=True)
    settled(pages[0])
    expect(pages[0].get_by_text("not asked for")).to_be_visible(timeout=WAIT_MS)
    expect(pages[1].get_by_text("not asked for")).to_have_count(0)
    for context in contexts:
        context.close()


def test_an_example_needs_no_upload(page):
    page.get_by_role("button", name="meningioma, whole head").click()
    answered(page)
    keep(page, "volume")
    page.get_by_role("button", name="meningioma, whole head").click()
    page.get_by_role("button", name="glioma, axial slice").click()
    answered(page)
    keep(page, "slice")


def test_on_a_phone_the_answer_stands_before_the_scan(visit):
    page = visit(viewport={"width": 390, "height": 844})
    page.get_by_role("button", name="glioma, a hard one").click()
    answered(page)
    above, below = page.get_by_text("Tumour outlined").bounding_box(), scan_picture(page).bounding_box()
    assert above["y"] + above["height"] <= below["y"]


def test_swagger_shows_the_api_and_asks_nobody_else(browser, tmp_path, monkeypatch):
    port, asked = free_port(), set()
    monkeypatch.setenv("BRAINMRI_ROOT", str(tmp_path))  # without models: the description of the API needs none
    with running([sys.executable, "-m", "uvicorn", "app.api:api", "--port", str(port)], port, tmp_path / "log"):
        page = browser.new_page()
        page.on("request", lambda request: asked.add(request.url))
        page.goto(f"http://127.0.0.1:{port}/docs")
        expect(page.get_by_text("/predict", exact=True)).to_be_visible()
        page.close()
    assert [url for url in asked if not url.startswith((f"http://127.0.0.1:{port}/", "data:"))] == []


def test_the_run_page(page, address):
    page.goto(f"{address}/run")
    expect(page.get_by_role("heading", name="What the run found")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("Simulated data: every scan was made by this project")).to_be_visible(timeout=WAIT_MS)
    for title in TABS:
        open_tab(page, title)
        page.set_viewport_size({"width": 1400, "height": 900})
        assert cut_off(page) == []
        keep(page, f"run-{title.lower().replace(' ', '-')}")


def test_no_table_of_the_report_is_cut_off_on_a_desk(browser, finished_project):
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_content((finished_project / "data/report/index.html").read_text())
    assert cut_off(page) == []
    page.close()


def test_two_revisions_are_compared_as_the_command_does(page, address):
    page.goto(f"{address}/run")
    compare(page)
    expect(page.get_by_role("tabpanel").get_by_text("Simulated data: ").first).to_be_visible()
    keep(page, "run-compare")
