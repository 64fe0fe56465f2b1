"""The page: `make app`, or `python -m streamlit run app/main.py` in the project's folder. Not for clinical use."""

import streamlit as st

from app import scans_page

st.set_page_config(page_title="Brain MRI", layout="wide", initial_sidebar_state="collapsed")

# Cells in one line each: a wide table scrolls by itself, where Streamlit would break every word of it on a phone.
st.html(
    "<style>[data-testid=stTable] :is(td, th, td *, th *), [data-testid=stMarkdown] :is(td, th)"
    " { white-space: nowrap !important } [data-testid=stMarkdown] table { display: block; overflow-x: auto }</style>"
)


def show_run() -> None:
    """Show what a run found."""
    from app import run_page  # here and not at the top: who looks at a scan need not wait for it

    run_page.show()


st.navigation(
    [
        st.Page(scans_page.show, title="Scans", url_path="scans", default=True),
        st.Page(show_run, title="Run", url_path="run"),
    ],
    position="top",
).run()
