"""Read one section of `params.yaml` through the typed model of the stage that owns it."""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from brainmri.core.errors import ParamsError


class Section(BaseModel):
    """A section of `params.yaml`: no unknown keys, no coercion between types, no defaults hidden in code."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


S = TypeVar("S", bound=Section)
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, but `1e-05` is a number, as it is in the YAML 1.2 that DVC writes."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file; raise `ParamsError` where there is none that can be read."""
    try:
        return yaml.load(path.read_text(), _Loader)  # noqa: S506
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the project's folder or name it with --params") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParamsError(f"{path}: not a readable YAML file: {' '.join(str(error).split())}") from None


def load(path: Path, name: str, model: type[S]) -> S:
    """Return section `name` of the YAML file at `path`, checked.

    Raises
    ------
    ParamsError
        With every problem of the section at once: the key, the rule and the value received.
    """
    content = read_yaml(path)
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


def _known_keys(model: type[BaseModel]) -> list[str]:
    """Return the keys of a model and of the models inside it."""
    inner = [field.annotation for field in model.model_fields.values()]
    nested = [
        key for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel) for key in _known_keys(kind)
    ]
    return [*model.model_fields, *nested]


def _sentence(problem: Any, model: type[Section]) -> str:
    key = ".".join(str(part) for part in problem["loc"]) or "the section"
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(problem["loc"][-1]), _known_keys(model), n=1)
        return f"{key} is not a known key" + (f" (did you mean {near[0]}?)" if near else "")
    rule = problem["msg"].replace("Value error, ", "Input should be ").partition(" should ")[2] or problem["msg"]
    return f"{key} should {rule}, received {problem['input']!r}"
