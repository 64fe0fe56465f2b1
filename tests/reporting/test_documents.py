"""One document, two forms: nothing in it can break a table or start a tag, and the page can be used by everybody."""

import base64
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from brainmri.reporting.documents import (
    Commands,
    Heading,
    Items,
    Lead,
    Picture,
    Table,
    Text,
    as_html,
    as_markdown,
    html_table,
)

HOSTILE = 'a|b <script>alert(1)</script> [x](y) *z* "q" & `c|d <e>`'


@pytest.fixture
def blocks(tmp_path):
    cv2.imwrite(str(tmp_path / "dot.png"), np.zeros((2, 2), np.uint8))
    return [
        Heading("Title & more", 1),
        Lead("All in all."),
        Text("Mind this.", strong=True),
        Heading("First <one>"),
        Text(HOSTILE),
        Items(["one", HOSTILE]),
        Heading("Second"),
        Heading("Below", 3),
        Table("Counts", ["What", "How many"], [["images", "3"], [HOSTILE, "4"]]),
        Commands(["ls <folder>"]),
        Picture(tmp_path / "dot.png", 'A "dot"', "Dot"),
    ]


class Page(HTMLParser):
    """Collects the tags of a page with their attributes; fails where an end does not fit."""

    def __init__(self):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def parsed(text):
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return page


def test_the_page_is_well_formed_and_holds_the_text_unchanged(blocks):
    page = parsed(as_html(blocks))
    assert page.text.count(HOSTILE.replace("`", "")) == 3
    assert "$ ls <folder>" in page.text
    assert "script" not in {tag for tag, _ in page.tags}


def test_the_ends_of_an_interval_may_go_below_their_number_and_are_not_parted():
    cells = html_table(Table("Scores", ["Part", "Dice", "Size"], [["all", "0.9 (<0.8 to 1)", "2 px (in both)"]]))
    assert '<td class="ends"><span>0.9</span> <span>(&lt;0.8 to 1)</span></td><td>2 px (in both)</td>' in cells


def test_the_page_can_be_used_without_seeing_it(blocks):
    page = parsed(as_html(blocks))
    named = dict(page.tags)
    assert named["html"]["lang"] == "en"
    assert [tag for tag, _ in page.tags if tag in ("h1", "h2", "h3")] == ["h1", "h2", "h2", "h3"]
    assert named["img"]["alt"] == 'A "dot"'
    assert [attrs["scope"] for tag, attrs in page.tags if tag == "th"] == ["col", "col", "row", "row"]
    assert any(attrs.get("role") == "region" and attrs["tabindex"] == "0" for _, attrs in page.tags)
    targets = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    links = [attrs["href"].removeprefix("#") for tag, attrs in page.tags if tag == "a"]
    assert links == ["main", "s1", "s2"]
    assert set(links) <= targets


def test_the_page_carries_its_pictures(blocks, tmp_path):
    source = dict(parsed(as_html(blocks)).tags)["img"]["src"]
    kind, data = source.split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == (tmp_path / "dot.png").read_bytes()


def test_the_page_may_load_and_run_nothing(blocks):
    [policy] = [attrs["content"] for tag, attrs in parsed(as_html(blocks)).tags if "http-equiv" in attrs]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_an_empty_corner_of_a_table_heads_nothing():
    page = parsed(as_html([Heading("Title", 1), Table("Named", ["", "A"], [["data", "x"]])]))
    assert [tag for tag, _ in page.tags if tag in ("th", "td")] == ["td", "th", "th", "td"]


def test_markdown_keeps_its_tables_whatever_stands_in_them(blocks):
    text = as_markdown(blocks, "../plots")
    rows = [line.replace(r"\|", "") for line in text.splitlines() if line.startswith("|")]
    assert [line.count("|") for line in rows] == [3, 3, 3, 3]
    assert "<script>" not in text
    assert '![A "dot"](../plots/dot.png)' in text
    assert text.startswith("# Title & more\n\n**All in all.**\n\n**Mind this.**\n\n## First &lt;one>\n")
    assert "\n\n```console\n$ ls <folder>\n```\n\n" in text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a | b", r"a \| b"),
        ("<img src=x> @you", "&lt;img src=x> &#64;you"),
        ("p < 0.001", "p < 0.001"),
        ("![x](y) *z*", r"!\[x](y) \*z\*"),
        ("kmeans_brain _x_ a__b", r"kmeans_brain \_x\_ a\_\_b"),  # inside a word it emphasises nothing
        ("a & b &lt; &#64;", r"a & b \&lt; \&#64;"),
        ("`a|b <c> @d` e`", r"`a\|b <c> @d` e\`"),  # code is shown as it is
        ("```<img src=x>`", r"\`\`\`&lt;img src=x>\`"),  # no code to Markdown, where the runs differ
        ("\\`<b>`", r"\\`<b>`"),
        ("a\n# b", "a # b"),
    ],
)
def test_text_is_shown_as_given_and_signs_nothing(text, written):
    assert as_markdown([Text(text)]) == f"{written}\n"
    assert as_markdown([Table("Named", [text], [])]) == f"Named:\n\n| {written} |\n| --- |\n"


def test_headings_can_stand_below_others():
    assert as_markdown([Heading("One"), Heading("Two", 3)], below=1) == "### One\n\n#### Two\n"


def test_a_picture_of_the_same_folder_is_named_alone(tmp_path):
    assert as_markdown([Picture(tmp_path / "dot.png", "A dot", "Dot")]) == "![A dot](dot.png)\n\nDot\n"
