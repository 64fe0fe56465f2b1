"""The page that takes scans, uploaded or simulated; `answers_page` answers for them.

It imports next to nothing, so that it stands before the networks and the libraries that read scans are loaded.
"""

from typing import TYPE_CHECKING

import streamlit as st

from app import trained
from app.examples import EXAMPLES
from brainmri.core.labels import NOT_CLINICAL

if TYPE_CHECKING:
    from app.answers_page import File

MAX_UPLOAD_MB = 100  # as in .streamlit/config.toml


def show() -> None:
    """Show the page."""
    st.title("Brain MRI: class and tumour outline")
    st.warning(f"**{NOT_CLINICAL}.** Nothing here has been tested for diagnosis.", icon=":material/warning:")
    left, right = st.columns(2)
    with left:
        uploads = _uploads()
    with right:
        given = [*uploads, *_examples()]
    if given:
        from app import answers_page

        answers_page.show(given)
    else:
        st.session_state.pop("memory", None)
        _introduce()
        trained.warm()


def _uploads() -> "list[File]":
    files = st.file_uploader(
        "Drop scans here, one or many, or choose them: JPEG, PNG, TIFF, BMP, WebP, DICOM, NIfTI, a zip or tar of these",
        accept_multiple_files=True,
        max_upload_size=MAX_UPLOAD_MB,
        help="A DICOM series is brought as a zip, or as all its files at once. Nothing is sent from the machine that "
        "this page runs on, and nothing is kept: what you bring is gone when you close the page.",
    )
    return [(file.file_id, file.name, file.getvalue()) for file in files]


def _examples() -> "list[File]":
    names = st.pills("Or simulated examples, made on the spot", list(EXAMPLES), selection_mode="multi", wrap=True)
    with st.spinner("Simulating"):
        return [(f"example {name}", *EXAMPLES[name]()) for name in names]


def _introduce() -> None:
    st.markdown(
        "Bring a scan, or choose an example. You will see its class with calibrated probabilities, where the "
        "classifier sees its evidence, and the outline of a tumour with its size.\n\n"
        "- **Slices**: a picture (JPEG, PNG, TIFF) or a DICOM file. Areas are in mm² where the file states its pixel "
        "size, in pixels otherwise.\n"
        "- **Volumes**: a NIfTI file, or a DICOM series as a zip or as many files at once. Three planes, the tumour's "
        "volume in ml, and the mask to download.\n"
        "- **Many at once**: a table to download.\n\n"
        "Nothing leaves the machine that this page runs on, and nothing is kept. Fields of DICOM and NIfTI files that "
        "identify a person are never read."
    )
