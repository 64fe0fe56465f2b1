"""Read one section of `params.yaml` through the typed model of the stage that owns it."""

import difflib
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from brainmri.core.errors import ParamsError


class Section(BaseModel):
    """A section of `params.yaml`: no unknown keys, no coercion between types, no defaults hidden in code."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


S = TypeVar("S", bound=Section)
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Count = Annotated[int, Field(ge=1, le=4096)]  # of channels, images at once and the like


def parse_yaml(text: str) -> Any:
    """Return the content of a YAML text as DVC reads it, by the same library.

    That is YAML 1.2, in which `1e-3` is a number, and `yes` and `1:30` are text; a key may stand once.
    """
    return YAML(typ="safe").load(text)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file; raise `ParamsError` where there is none that can be read."""
    try:
        return parse_yaml(path.read_text())
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the project's folder or name it with --params") from None
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ParamsError(f"{path}: not a readable YAML file: {' '.join(str(error).split())}") from None


def load(path: Path, name: str, model: type[S]) -> S:
    """Return section `name` of the YAML file at `path`, checked.

    Raises
    ------
    ParamsError
        With every problem of the section at once: the key, the rule and the value received.
    """
    return check_section(read_yaml(path), name, model, path)


def check_section(content: Any, name: str, model: type[S], path: Path) -> S:
    """Return section `name` of the content of the file at `path`, checked; errors are those of `load`."""
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
