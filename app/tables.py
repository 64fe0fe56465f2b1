"""Tables that scroll by themselves on a narrow screen, by the keyboard too, which Streamlit's own tables do not."""

import html
from collections.abc import Iterable, Sequence

import streamlit as st
from markdown_it import MarkdownIt

# Cells stay in one line each, so that numbers can be compared, but for the rows' headings, which would fill a phone.
# Colours follow the theme.
STYLE = """\
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid currentColor; }
.scroll table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
.scroll :is(td, th) { padding: .3rem .7rem; text-align: left; white-space: nowrap;
  border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
.scroll tbody th { white-space: normal; min-width: 8rem; }
"""


def show(name: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Show a table of plain text; the first cell of each row is the row's own heading."""
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in header)
    lines = [
        f'<tr><th scope="row">{html.escape(first)}</th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    ]
    _show(name, f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>")


def show_markdown(text: str, name: str) -> None:
    """Show Markdown in which each table and each heading is a paragraph; HTML within it is shown, not obeyed.

    A table is called by the heading that it stands under, and `name` where there is none. Headings are those of
    sections of the page, whatever their level in the text.
    """
    convert = MarkdownIt("commonmark", {"html": False}).enable("table")
    for part in text.split("\n\n"):
        if part.startswith("#"):
            name = part.lstrip("# ")
            st.header(name)
        elif part.startswith("|"):
            _show(name, convert.render(part).replace("<th></th>", "<td></td>"))  # an empty corner heads nothing
        else:
            st.markdown(part)


def _show(name: str, table: str) -> None:
    label = html.escape(name)
    st.html(f'<div class="scroll" role="region" tabindex="0" aria-label="{label}">{table}</div>')
