"""What a visitor of the page does and waits for, in a browser that playwright drives."""

import re

import cv2
import numpy as np
from conftest import draw_scan

try:
    from playwright.sync_api import expect
except ImportError:
    expect = None

WAIT_MS = 180_000  # for what comes after the networks have loaded, on a busy machine
WIDTHS = {"desk": (1280, 900), "phone": (390, 844)}
TABS = {  # of the page of a run, each with words that it shows
    "Scores": "By class, whole test set",
    "Data": "Images by split and class",
    "Twins and probes": "Pairs of twins (near-duplicates)",
    "Calibration": "Temperature scaling",
    "Outlines": "K-means inside the brain, on the grid",
    "Cases": "Prediction in orange, truth in blue",
    "Params": "learning_rate",
}


def png(seed=1, label="glioma", suffix=".png"):
    return bytes(cv2.imencode(suffix, draw_scan(np.random.default_rng(seed), label)[0])[1])


def upload(page, *files):
    """Bring files, each a name and its bytes."""
    payloads = [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files]
    page.locator("input[type=file]").set_input_files(payloads)


def answered(page):
    """Wait for an answer and for the page to come to rest."""
    expect(page.get_by_text(re.compile(r"Answered in \d"))).to_be_visible(timeout=WAIT_MS)
    settled(page)


def settled(page):
    page.wait_for_timeout(300)
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=WAIT_MS)


def unroll(page):
    """Make the window as tall as what the page shows."""
    across, down = page.viewport_size["width"], page.viewport_size["height"]
    height = page.evaluate("Math.max(...[...document.querySelectorAll('main, section')].map(e => e.scrollHeight))")
    page.set_viewport_size({"width": across, "height": max(down, min(int(height) + 80, 6000))})
    settled(page)


def cut_off(page):
    """Return the names of the tables in sight that are cut off at a side or at the bottom."""
    return page.evaluate(
        """[...document.querySelectorAll('.scroll')]
            .filter(part => part.scrollWidth > part.clientWidth || part.scrollHeight > part.clientHeight)
            .map(part => part.ariaLabel)"""
    )


def open_tab(page, title):
    """Open a tab of the page of a run and wait for what it shows."""
    page.get_by_role("tab", name=title, exact=True).click()
    expect(page.get_by_role("tabpanel").get_by_text(TABS[title]).first).to_be_visible(timeout=WAIT_MS)


def compare(page):
    """Let the page of a run compare two revisions."""
    page.get_by_role("tab", name="Compare").click()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("button", name="Download the comparison (Markdown)")).to_be_visible(timeout=WAIT_MS)
