"""The page's tables: text stays text, whatever it holds; each table has a name, and the keyboard reaches it."""

import re
from types import SimpleNamespace as Stub

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
    for kind in ("html", "markdown", "header", "subheader", "warning", "code", "caption"):
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


@pytest.mark.parametrize(("abstain", "heading"), [(True, r"not sure\, perhaps \*a\*"), (False, r"\*a\*")])
def test_an_answer_that_is_not_to_be_relied_on_is_headed_so(shown, abstain, heading):
    from app import viewer

    shares = {"*a*": 0.6, "b": 0.4} if abstain else {"*a*": 0.9, "b": 0.1}
    found = Stub(label="*a*", abstain=abstain, is_unlike=False, probabilities=shares, mask=None, remarks=[])
    found.seconds = {"read": 1.0}
    viewer._verdict(found, Stub(classifier=Stub(abstain_below=0.8)))
    assert shown[0] == ("header", heading)
    warned = [text for kind, text in shown if kind == "warning"]
    assert bool(warned) == abstain
    assert all("probability of 0.600; below 0.800 an answer is not to be relied on" in text for text in warned)
