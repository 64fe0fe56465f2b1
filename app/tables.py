"""Tables that scroll by themselves on a narrow screen, by the keyboard too, which Streamlit's own tables do not."""

import streamlit as st

from brainmri.reporting.documents import Table, html_table

# Cells stay in one line each, so that numbers can be compared, but for headings of rows and ends of intervals, which go
# below their number where there is no room beside it; on a phone words break too. Colours follow the theme.
STYLE = """\
.scroll { overflow: auto; max-height: 64rem; }
.scroll:focus-visible { outline: 2px solid currentColor; }
.scroll table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
.scroll :is(td, th) { padding: .3rem .5rem; text-align: left; white-space: nowrap;
  border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
.scroll caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
.scroll thead th { white-space: normal; vertical-align: bottom; }
.scroll tbody th { white-space: normal; min-width: 8rem; }
.scroll td.ends { white-space: normal; }
.scroll td.ends span { white-space: nowrap; }
@media (max-width: 40rem) {
  .scroll table { font-size: .8rem; }
  .scroll :is(td, th) { padding: .3rem .25rem; }
  .scroll td { white-space: normal; }
  .scroll tbody th { min-width: 5rem; }
}
"""


def show(table: Table) -> None:
    """Show a table of a document."""
    st.html(html_table(table))
