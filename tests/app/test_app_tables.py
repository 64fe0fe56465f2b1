"""The page's tables: text stays text, whatever it holds; each table has a name, and the keyboard reaches it."""

import re

import pytest
from servers import require

from brainmri.reporting.documents import Commands, Heading, Items, Lead, Table, Text

try:
    import streamlit as st
except ImportError:
    st = None

pytestmark = pytest.mark.servers


@pytest.fixture
def shown(monkeypatch):
    """What was shown, as pairs of a kind and a text."""
    require(st is not None, "streamlit (requirements-app.lock)")
    calls = []
    for kind in ("html", "markdown", "header", "subheader", "warning", "code"):
        monkeypatch.setattr(st, kind, lambda text, *_, kind=kind, **__: calls.append((kind, text)))
    return calls


def test_a_table_has_a_name_the_focus_and_headings(shown):
    from app import tables

    tables.show(Table('What "it" tells', ["", "Fact", "Value"], [["<b>", "a & b", "`x`"]]))
    [(kind, text)] = shown
    assert kind == "html"
    assert text.startswith('<div class="scroll" role="region" tabindex="0" aria-label="What &quot;it&quot; tells">')
    assert re.findall(r"<caption>.*?</caption>|<th scope=.*?</th>|<td>.*?</td>", text) == [
        "<caption>What &quot;it&quot; tells</caption>",
        "<td></td>",  # an empty corner heads nothing
        '<th scope="col">Fact</th>',
        '<th scope="col">Value</th>',
        '<th scope="row">&lt;b&gt;</th>',
        "<td>a &amp; b</td>",
        "<td><code>x</code></td>",
    ]


def test_a_document_is_shown_block_by_block_and_its_text_is_not_obeyed(shown):
    from app import blocks

    hostile = "```![x](http://example.org/x.png) :red[x] `a_b`"
    inert = r"\`\`\`\!\[x\]\(http\:\/\/example\.org\/x\.png\) \:red\[x\] `a_b`"
    blocks.show(
        [Lead(hostile), Heading("Scores"), Heading("Below", 3), Text("Mind.", strong=True), Items([hostile]),
         Table("Named", ["Score"], [["1"]]), Commands(["ls"])]
    )  # fmt: skip
    assert [kind for kind, _ in shown] == ["markdown", "header", "subheader", "warning", "markdown", "html", "code"]
    assert (shown[0][1], shown[4][1]) == (f"**{inert}**", f"- {inert}")
    assert 'aria-label="Named"' in shown[5][1]
    assert shown[6][1] == "ls"
