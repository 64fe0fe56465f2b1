"""The HTTP API: `make serve`, or `python -m uvicorn app.api:api` in the project's folder. Not for clinical use.

It answers as `brainmri predict` does, one scan a request. Nothing that is sent is kept.
"""

import io
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import anyio
import anyio.to_thread
import fastapi_offline
import numpy as np
from fastapi import FastAPI, File, Query, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from PIL import Image
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from app import api_page, limits
from app.shedding import Shedding
from app.trained import trained
from brainmri.core.errors import ArtifactError, BrainMRIError
from brainmri.core.labels import NOT_CLINICAL
from brainmri.prediction.answer import Answer, answer, as_dict
from brainmri.prediction.volume_masks import mask_bytes
from brainmri.segmentation.methods import AUTO, NONE, choices, usable, without_outline

WAITING = 32  # requests at once, at work and in line; more are turned away
SECONDS = 30.0  # to send the next part of a request

T = TypeVar("T")
Scan = Annotated[UploadFile, File(description="A picture, a DICOM or NIfTI file, or a zip with one DICOM series")]
Way = Annotated[
    str,
    Query(
        description=f"How the tumour is outlined; {AUTO}: by the U-Net where there is one, and not otherwise",
        json_schema_extra={"enum": choices()},
    ),
]
Gate = Annotated[
    bool, Query(description="Whether nothing is outlined where the classifier is sure that there is no tumour")
]


class Answered(BaseModel):
    """What is said of one scan; for volumes there is more: probabilities by slice, and the affine."""

    name: str = Field(description="Of the file")
    kind: Literal["image", "volume"]
    class_: str = Field(alias="class", description="The likeliest class")
    probabilities: dict[str, float] = Field(description="Calibrated, by class")
    abstain: bool = Field(description="Whether the answer is not to be relied on")
    unlike: float | None = Field(
        description="How unlike the images that the classifier learnt from, 1 is usual; null where it cannot tell"
    )
    unlike_above: float | None = Field(description="Above it a scan is called unlike, and the classifier abstains")
    remarks: list[str] = Field(
        description="Sentences that belong to the answer: the scan is unlike, an outline unsure or not made"
    )
    mask: dict[str, Any] | None = Field(
        description="The outline: method, whether it was emptied (gated) or is unsure, size in px and mm², or voxels "
        "and ml; null where there is none"
    )
    slice_probabilities: list[list[float]] | None = Field(None, description="Of a volume, by slice and class")
    affine: list[list[float]] | None = Field(None, description="Of a volume, indices (slice, row, column) to mm")
    scan: dict[str, Any] = Field(description="Facts of the file; none that names a person")
    seconds: dict[str, float] = Field(description="By step")
    note: str


class Problem(BaseModel):
    """Why there is no answer, in a sentence."""

    detail: str


class Health(BaseModel):
    """The process runs."""

    status: Literal["ok"] = "ok"
    note: str = NOT_CLINICAL


class Ready(BaseModel):
    """The networks are loaded."""

    classes: list[str]
    methods: list[str]
    note: str = NOT_CLINICAL


WRONG: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": text}
    for code, text in {
        400: "The form cannot be taken apart",
        408: f"The next part of the request did not come within {SECONDS:.0f} s",
        413: f"More than {limits.MAX_UPLOAD_BYTES} bytes were sent",
        422: "The request, or the file in it, cannot be used",
        503: "Too many requests at once, or the networks are loading: try again after `Retry-After` seconds; without "
        "that header they cannot be loaded, and the answer says why",
    }.items()
}


@asynccontextmanager
async def _lifetime(_: FastAPI) -> AsyncIterator[None]:
    """Load the networks while the first requests already learn that they are not there yet."""
    threading.Thread(target=_load, name="load", daemon=True).start()
    yield


def _load() -> None:
    try:
        trained()
    except BrainMRIError as error:
        _state["problem"] = str(error)
    except Exception:
        # Nobody waits for this thread: what it raised would be lost, and `/ready` say for ever that it is loading.
        logging.getLogger(__name__).exception("the networks could not be loaded")
        _state["problem"] = "the networks could not be loaded, for a reason nobody foresaw; the log has it"
    else:
        _state["ready"] = "yes"


_state: dict[str, str] = {}
_workers = anyio.CapacityLimiter(os.cpu_count() or 1)  # more at once would only slow each other down
api = FastAPI(
    title="Brain MRI: class and tumour outline",
    description=f"{NOT_CLINICAL}. Send one scan, get its class with calibrated probabilities and the tumour's outline.",
    version="1",
    docs_url=None,  # FastAPI's own page loads its scripts from elsewhere; see `docs`
    redoc_url=None,
    lifespan=_lifetime,
)
api.mount("/swagger", StaticFiles(directory=Path(fastapi_offline.__file__).parent / "static"))
api.add_middleware(Shedding, waiting=WAITING, max_bytes=limits.MAX_UPLOAD_BYTES + 2**16, seconds=SECONDS)


@api.get("/", response_class=HTMLResponse, include_in_schema=False)
def page() -> str:
    """Say in words what the OpenAPI document says."""
    return api_page.page(api.openapi())


@api.get("/docs", include_in_schema=False)
def docs() -> HTMLResponse:
    """Show Swagger UI, from files of the package `fastapi-offline`; nothing comes from elsewhere or goes there."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title=api.title,
        swagger_js_url="swagger/swagger-ui-bundle.js",
        swagger_css_url="swagger/swagger-ui.css",
        swagger_favicon_url="swagger/favicon.png",
        swagger_ui_parameters={"validatorUrl": None},
    )


@api.get("/health")
def health() -> Health:
    """Tell that the process runs."""
    return Health()


@api.get("/ready", responses={503: WRONG[503]})
def ready() -> Ready:
    """Tell that the networks are loaded, and what they know."""
    _require_ready()
    models = trained()
    return Ready(classes=models.classifier.classes, methods=[AUTO, *usable(models.tools), NONE])


@api.post("/predict", responses=WRONG)
async def predict(file: Scan, method: Way = AUTO, gate: Gate = True) -> Answered:
    """Answer for one scan."""
    data = await file.read()
    return Answered.model_validate(await _worked(lambda: as_dict(_answered(file.filename, data, method, gate))))


@api.post(
    "/mask",
    response_class=Response,
    responses=WRONG
    | {200: {"content": {"image/png": {}, "application/gzip": {}}, "description": "PNG, of a volume NIfTI (gzip)"}},
)
async def mask(file: Scan, method: Way = AUTO, gate: Gate = True) -> Response:
    """Return the outline of one scan as a mask on its own pixels."""
    data = await file.read()
    return await _worked(lambda: _mask(_answered(file.filename, data, method, gate), method))


def _answered(name: str | None, data: bytes, method: str, gate: bool) -> Answer:
    name = name or "scan"
    limits.require_small_file(name, data)
    return answer((name, data), trained(), method, gate)


def _mask(found: Answer, method: str) -> Response:
    if found.mask is None:
        said = without_outline(method, trained().tools) or "the method should be one that outlines, received none"
        raise HTTPException(422, f"mask: {said}")
    if found.scan.kind == "volume" and found.scan.volume is not None:
        return Response(mask_bytes(found.scan.volume, found.mask, packed=True), media_type="application/gzip")
    place = io.BytesIO()
    Image.fromarray(found.mask[0].astype(np.uint8) * 255).save(place, "PNG")
    return Response(place.getvalue(), media_type="image/png")


def _require_ready() -> None:
    if "ready" not in _state:
        if problem := _state.get("problem"):
            raise HTTPException(503, problem)  # until somebody mends it and starts anew
        raise HTTPException(503, "the networks are still loading", {"Retry-After": "1"})


async def _worked(work: Callable[[], T]) -> T:
    """Do the work beside the loop that talks to clients, as many at once as there are processors."""
    _require_ready()
    return await anyio.to_thread.run_sync(work, limiter=_workers)


@api.exception_handler(BrainMRIError)
def _refused(_: Request, error: BrainMRIError) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 503 if isinstance(error, ArtifactError) else 422)


@api.exception_handler(RequestValidationError)
def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    said = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors())
    return JSONResponse({"detail": said}, 422)


@api.exception_handler(Exception)
def _unforeseen(_: Request, __: Exception) -> JSONResponse:
    # The server's log has the traceback.
    return JSONResponse({"detail": "could not be answered for, for a reason nobody foresaw; the log has it"}, 500)
