"""Read one section of `params.yaml` through the typed model of the stage that owns it."""

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from brainmri.errors import ParamsError


class Section(BaseModel):
    """A section of `params.yaml`: no unknown keys, no coercion between types, no defaults hidden in code."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


S = TypeVar("S", bound=Section)


def load(path: Path, name: str, model: type[S]) -> S:
    """Return section `name` of the YAML file at `path`, checked.

    Raises
    ------
    ParamsError
        With every problem of the section at once: the key, the rule and the value received.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the project's folder or name it with --params") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not isinstance(content.get(name), dict):
        raise ParamsError(f"{path}: section `{name}` is missing or is not a mapping")
    return check(content[name], model, where=f"{path}: section `{name}`")


def check(values: dict[str, Any], model: type[S], where: str) -> S:
    """Return `values` as a `model`; raise `ParamsError` that begins with `where` and names every problem."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_sentence(problem, model) for problem in error.errors())
        raise ParamsError(f"{where}: {problems}") from None


def _sentence(problem: Any, model: type[Section]) -> str:
    key = ".".join(str(part) for part in problem["loc"]) or "the section"
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(problem["loc"][-1]), list(model.model_fields), n=1)
        return f"{key} is not a known key" + (f" (did you mean {near[0]}?)" if near else "")
    rule = problem["msg"].replace("Value error, ", "Input should be ").partition(" should ")[2] or problem["msg"]
    return f"{key} should {rule}, received {problem['input']!r}"
