"""The page's tables: text stays text, whatever it holds; each table has a name, and the keyboard reaches it."""

import re

import pytest
from servers import require

from brainmri.reporting import markdown

try:
    import streamlit as st
except ImportError:
    st = None

pytestmark = pytest.mark.servers


@pytest.fixture
def shown(monkeypatch):
    """What was shown, as pairs of a kind and a text."""
    require(st is not None, "streamlit (requirements-all.lock)")
    calls = []
    for kind in ("html", "markdown", "header"):
        monkeypatch.setattr(st, kind, lambda text, kind=kind: calls.append((kind, text)))
    return calls


def test_a_table_has_a_name_the_focus_and_headings(shown):
    from app import tables

    tables.show('What "it" tells', ["Fact", "Value"], [["<b>", "a & b"]])
    [(kind, text)] = shown
    assert kind == "html"
    assert text.startswith('<div class="scroll" role="region" tabindex="0" aria-label="What &quot;it&quot; tells">')
    assert re.findall(r"<th scope=.*?</th>|<td>.*?</td>", text) == [
        '<th scope="col">Fact</th>',
        '<th scope="col">Value</th>',
        '<th scope="row">&lt;b&gt;</th>',
        "<td>a &amp; b</td>",
    ]


def test_tables_of_a_text_are_called_by_their_headings(shown):
    from app import tables

    cell = markdown.text("<img src=x> ![x](http://example.org/x.png) @you | *it*")
    first, second = markdown.table(["", "A"], [["data", cell]]), markdown.table(["Score"], [["1"]])
    tables.show_markdown(f"**All equal**\n\n{first}\n\n### Scores\n\nA line.\n\n{second}\n", "Revisions")
    assert [kind for kind, _ in shown] == ["markdown", "html", "header", "markdown", "html"]
    assert shown[2] == ("header", "Scores")
    assert 'aria-label="Revisions"' in shown[1][1]
    assert 'aria-label="Scores"' in shown[4][1]
    assert "<th></th>" not in shown[1][1]
    assert "<img" not in shown[1][1]
    assert "@you | *it*" in shown[1][1]
