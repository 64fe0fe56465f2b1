"""The page of `dvc plots diff`, opened in a browser without a network: it draws all that dvc.yaml names."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_project import commit, sh

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """The page for two revisions of this project's plots, open in a browser that is offline; and what it asked for."""
    place = tmp_path_factory.mktemp("plots")
    for name in (".dvc/config", ".dvc/plots.html"):
        (place / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, place / name)
    shutil.copytree(ROOT / "plots", place / "plots")
    content = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    (place / "dvc.yaml").write_text(yaml.safe_dump({"plots": content["plots"]}, sort_keys=False))
    sh(place, "git", "init", "--quiet", "--initial-branch", "main")
    commit(place, "first")
    sh(place, "git", "checkout", "--quiet", "-b", "shorter")
    curves = (place / "plots/curves.csv").read_text().splitlines()
    (place / "plots/curves.csv").write_text("\n".join(curves[:4]) + "\n")
    commit(place, "three epochs")
    sh(place, "dvc", "plots", "diff", "main", "shorter", "--out", "compared")
    context = browser.new_context(offline=True, viewport={"width": 1400, "height": 1000})
    opened = context.new_page()
    asked, failed = [], []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("pageerror", lambda error: failed.append(str(error)))
    opened.goto((place / "compared/index.html").as_uri())
    assert failed == []
    yield opened, asked
    context.close()


def test_the_page_asks_for_nothing_but_its_own_pictures(page):
    opened, asked = page
    assert all(url.startswith("file:") for url in asked)
    assert len(asked) > 10
    widths = opened.evaluate("[...document.images].map((image) => image.naturalWidth)")
    assert len(widths) > 10
    assert min(widths) > 100
    assert "cdn." not in opened.content()
    assert "this page draws lines" not in opened.inner_text("body")  # what dvc.yaml names, it can


def test_curves_of_both_revisions_are_drawn_over_each_other(page):
    opened, _ = page
    drawn = opened.locator("#loss_by_epoch svg")
    epochs = len((ROOT / "plots/curves.csv").read_text().splitlines()) - 1
    assert drawn.locator("circle").count() == 2 * (epochs + 3)  # training and validation, of each revision
    text = drawn.text_content()
    for part in ("Loss by epoch", "main, loss", "main, val_loss", "shorter, loss", "shorter, val_loss", "nats"):
        assert part in text
    assert len({drawn.locator("circle").nth(at).get_attribute("fill") for at in (0, 2 * epochs)}) == 2


def test_confusion_of_both_revisions_is_counted(page):
    opened, _ = page
    drawn = opened.locator("#confusion svg")
    assert drawn.count() == 2
    table = (ROOT / "plots/predictions.csv").read_text().splitlines()
    at = [table[0].split(",").index(name) for name in ("label", "predicted")]
    rows = [tuple(line.split(",")[column] for column in at) for line in table[1:]]
    first = drawn.nth(0)
    assert first.locator("rect").count() == 16
    titles = first.locator("rect title").all_text_contents()
    assert (
        f"glioma called glioma: {rows.count(('glioma', 'glioma'))} of {sum(row[0] == 'glioma' for row in rows)}"
        in titles
    )
    assert sum(int(title.split(": ")[1].split(" of ")[0]) for title in titles) == len(rows)


def test_a_chart_of_another_kind_is_named(page):
    opened, _ = page
    other = {"data": {"values": [{"a": "1", "b": "x"}]}, "title": "Bars", "encoding": {
        "x": {"field": "a", "type": "quantitative"}, "y": {"field": "b", "type": "nominal"}}}  # fmt: skip
    said = opened.evaluate(
        "(spec) => { const box = document.createElement('div'); box.id = 'bars'; document.body.append(box);"
        " vegaEmbed('#bars', spec); return box.textContent; }",
        other,
    )
    assert said == "Bars: this page draws lines and confusion alone, and this is neither"


def test_the_plain_page_of_dvc_would_not_do(page):
    """The reason for all this: should DVC's own page stop loading from the net, ours is not needed any more."""
    own = subprocess.run(
        [sys.executable, "-c", "from dvc_render.vega import VegaRenderer; print(VegaRenderer.SCRIPTS)"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "cdn.jsdelivr.net" in own
