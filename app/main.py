"""The page: `make app`, or `python -m streamlit run app/main.py` in the project's folder. Not for clinical use."""

import streamlit as st

from app import scans_page, tables

st.set_page_config(page_title="Brain MRI", layout="wide", initial_sidebar_state="collapsed")

st.html(f"<style>{tables.STYLE}</style>")


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
