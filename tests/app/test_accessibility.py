"""The pages measured by axe-core, in light and dark, on a desk and on a phone; and the page used by the keyboard alone.

axe-core finds what can be measured: names, roles, order of headings, contrast (WCAG 2 A and AA). It cannot tell whether
words are good ones.
"""

import re

import numpy as np
import pytest
from visits import TABS, WAIT_MS, WIDTHS, answered, compare, expect, open_tab, png, settled, unroll, upload

try:
    from axe_playwright_python.sync_playwright import Axe
except ImportError:
    Axe = None  # the fixture of the browser says what is missing

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in WIDTHS]
OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
    # As axe-core has them, but for two: the line under a tab, and a word of one letter, are no reason not to measure.
    "checks": {
        "color-contrast": {
            "options": {
                "ignoreUnicode": True,
                "ignoreLength": True,
                "ignorePseudo": True,
                "boldValue": 700,
                "boldTextPt": 14,
                "largeTextPt": 18,
                "contrastRatio": {"normal": {"expected": 4.5}, "large": {"expected": 3}},
                "shadowOutlineEmMax": 0.2,
                "textStrokeEmMin": 0.03,
            }
        }
    },
}
# What Streamlit's own parts break and nothing here can change, as pairs of a rule and a selector.
LEFT_OUT = [
    # A frame without a role that has a name. It is there for the mouse alone; the button inside has a name of its own.
    ("presentation-role-conflict", "[data-testid=stFileUploaderDropzone]"),
]


def violations(page):
    """Return what axe-core finds on a page, a line each: rule, impact, where, and what was measured."""
    settled(page)
    unroll(page)  # what is scrolled out of sight is not measured
    found = Axe().run(page, options=OPTIONS).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}) {node['target'][0]}: {node['html'][:120]} {measured(node)}".rstrip()
        for rule in found
        for node in rule["nodes"]
        if not left_out(page, rule["id"], node["target"][0])
    ]


def assert_none(found):
    assert not found, "\n".join(["axe-core finds", *found])  # each in a line of its own, none cut off


def left_out(page, rule, target):
    selectors = [selector for name, selector in LEFT_OUT if name == rule]
    return any(page.locator(target).first.evaluate("(part, s) => part.matches(s)", selector) for selector in selectors)


def measured(node):
    data = [check["data"] for check in node["any"] if isinstance(check["data"], dict)]
    return "; ".join(
        f"{one['fgColor']} on {one['bgColor']} is {one['contrastRatio']}, should be {one['expectedContrastRatio']}"
        for one in data
        if one.get("contrastRatio")
    )


def luminance(colour):
    """Return the relative luminance of a colour such as `rgb(1, 2, 3)`, as WCAG defines it."""
    parts = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
    return np.dot((0.2126, 0.7152, 0.0722), np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4))


def contrast(one, other):
    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


def look(scheme, width):
    """Return the options of a browser; without movement, so that nothing is measured half faded in."""
    across, down = WIDTHS[width]
    return {"color_scheme": scheme, "viewport": {"width": across, "height": down}, "reduced_motion": "reduce"}


def test_contrast_is_that_of_wcag():
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(119, 119, 119)", "rgb(255, 255, 255)") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_a_page_that_waits_for_a_scan(visit, scheme, width):
    page = visit(**look(scheme, width))
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=WAIT_MS)
    assert_none(violations(page))


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_an_answered_slice(visit, scheme, width):
    page = visit(**look(scheme, width))
    page.get_by_role("button", name="glioma, axial slice").click()
    answered(page)
    page.get_by_text("Metadata", exact=True).click()
    expect(page.get_by_role("region", name="Metadata of the scan")).to_be_visible()
    assert_none(violations(page))


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_a_volume(visit, scheme, width):
    page = visit(**look(scheme, width))
    page.get_by_role("button", name="meningioma, whole head").click()
    answered(page)
    page.get_by_text("The same as a table").click()
    chart = page.locator("svg.marks")
    expect(chart).to_be_visible()
    assert_none(violations(page))
    # Of a chart axe-core measures no contrast.
    ground = page.get_by_test_id("stApp").evaluate("part => getComputedStyle(part).backgroundColor")
    words = chart.locator("text").evaluate_all("parts => parts.map(part => getComputedStyle(part).fill)")
    lines = chart.locator(".mark-line path").evaluate_all("parts => parts.map(part => getComputedStyle(part).stroke)")
    assert len(words) > 10
    assert min(contrast(colour, ground) for colour in words) >= 4.5
    assert len(set(lines)) == 4
    assert min(contrast(colour, ground) for colour in lines) >= 3


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_a_batch_with_a_file_that_cannot_be_read(visit, scheme, width):
    page = visit(**look(scheme, width))
    upload(page, ("0.png", png(0)), ("1.png", png(1)), ("bad.png", b"no picture"))
    answered(page)
    expect(page.get_by_role("heading", name="2 scans")).to_be_visible(timeout=WAIT_MS)
    assert_none(violations(page))


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_each_tab_of_a_run(visit, scheme, width):
    page = visit("/run", **look(scheme, width))
    found = []
    for title in TABS:
        open_tab(page, title)
        found += [f"{title}: {line}" for line in violations(page)]
    page.get_by_role("tab", name="Compare").click()
    found += [f"Compare: {line}" for line in violations(page)]
    compare(page)
    found += [f"Compare, compared: {line}" for line in violations(page)]
    assert_none(found)


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_the_report_and_the_page_of_the_api(browser, finished_project, scheme, width):
    from app import api, api_page

    context = browser.new_context(**look(scheme, width))
    page = context.new_page()
    report = (finished_project / "data/report/index.html").read_text()
    for text in (report, api_page.page(api.api.openapi())):
        page.set_content(text)
        assert_none(violations(page))
    context.close()


def focused(page):
    """Return what the control that has the focus is called; of a part of the page that merely scrolls nothing."""
    return page.evaluate(
        """(part => !part.matches('a, button, input') ? ''
            : part.getAttribute('aria-label') || part.labels?.[0]?.innerText || part.innerText)
        (document.activeElement)"""
    )


def tab_to(page, name):
    """Press Tab until what has the focus is called so; return all that had it on the way."""
    passed = []
    for _ in range(60):
        page.keyboard.press("Tab")
        passed.append(focused(page))
        if name in passed[-1]:
            return passed
    raise AssertionError(f"{name} is not reached: {passed}")


def test_an_example_is_answered_by_the_keyboard_alone(page):
    expect(page.get_by_role("button", name="glioma, axial slice")).to_be_visible(timeout=WAIT_MS)
    settled(page)
    tab_to(page, "glioma, axial slice")
    page.keyboard.press("Enter")
    answered(page)
    tab_to(page, "U-Net")
    page.keyboard.press("ArrowRight")
    settled(page)
    expect(page.get_by_role("radio", name="K-means inside the brain")).to_be_checked()
    answered(page)
    passed = tab_to(page, "Download the answer (JSON)")
    assert any("Download the mask (PNG)" in text for text in passed), passed
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "answer.json"
    passed = tab_to(page, "Opacity of the outline")
    assert any("Window level" in text for text in passed), passed


def test_a_file_is_chosen_by_the_keyboard_alone(page):
    scan = {"name": "scan.png", "mimeType": "image/png", "buffer": png()}
    page.on("filechooser", lambda chooser: chooser.set_files(scan))
    expect(page.get_by_text("Upload", exact=True)).to_be_visible(timeout=WAIT_MS)
    settled(page)
    tab_to(page, "Upload")
    page.keyboard.press("Enter")
    answered(page)
