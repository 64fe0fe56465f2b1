"""A grid of params as text, such as `train.dropout=0,0.2 train.epochs=10,20`: its combinations, checked."""

import copy
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dvc.utils.hydra import to_hydra_overrides
from hydra.errors import OverrideParseException

from brainmri.core.errors import InputError, ParamsError
from brainmri.core.params import Section, check

# Of these sections validation images know something. A choice among the params of the others could only be made on
# test images, or between different images.
SECTIONS = ("preprocess", "augment", "train", "train_unet")


def combinations(grid: str) -> list[dict[str, str]]:
    """Return each combination of a grid as values by param, the last param varying fastest.

    Commas within brackets and quotes belong to a value.

    Raises
    ------
    InputError
        If a part is no `param=value,value`, or a param or one of its values stands twice.
    """
    rule = "grid: should be params with values such as `train.dropout=0,0.2 train.learning_rate=0.001,0.002`, received"
    axes: dict[str, list[str]] = {}
    for part in grid.split():
        key, _, given = part.partition("=")
        values = re.findall(r"((?:\[[^]]*\]|\"[^\"]*\"|'[^']*'|[^,])+)", given)
        if not key or not values or ",".join(values) != given:
            raise InputError(f"{rule} `{part}`")
        if key in axes or len(set(values)) < len(values):
            raise InputError(f"grid: each param and each of its values should stand once, received `{part}`")
        axes[key] = values
    if not axes:
        raise InputError(f"{rule} nothing")
    return [dict(zip(axes, chosen, strict=True)) for chosen in itertools.product(*axes.values())]


def require_valid(
    trials: Sequence[Mapping[str, str]], params: dict[str, Any], models: Mapping[str, type[Section]]
) -> None:
    """Raise `ParamsError` with every problem of every combination, before hours of work.

    Parameters
    ----------
    trials : sequence of mapping
        As `combinations` gives them.
    params : dict
        The content of params.yaml.
    models : mapping
        The typed model of each section.
    """
    found = [problem for key in trials[0] if (problem := _key_problem(key, params))]
    for values in trials if not found else ():
        try:
            changed = _changed(params, values)
        except ParamsError as error:
            found.append(str(error))
            continue
        for section in dict.fromkeys(key.partition(".")[0] for key in values):
            try:
                check(changed[section], models[section], where=title(values))
            except ParamsError as error:
                found.append(str(error))
    if found:
        raise ParamsError("\n".join(f"grid: {problem}" for problem in found))


def value_of(key: str, text: str) -> Any:
    """Return what `dvc exp run --set-param key=text` writes to params.yaml, by the grammar of Hydra, which it uses."""
    try:
        (override,) = to_hydra_overrides([f"{key}={text}"])
    except OverrideParseException as error:
        raise ParamsError(f"{key}={text} should be one value, received: {' '.join(str(error).split())}") from None
    if override.is_sweep_override():
        raise ParamsError(f"{key}={text} should be one value, received several; name each, with commas between them")
    return override.value()


def title(values: Mapping[str, str]) -> str:
    """Return params and their values on one line."""
    return " ".join(f"{key}={value}" for key, value in values.items())


def _changed(params: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    changed = copy.deepcopy(params)
    for key, value in values.items():
        *above, last = key.split(".")
        place = changed
        for part in above:
            place = place[part]
        place[last] = value_of(key, value)
    return changed


def _key_problem(key: str, params: dict[str, Any]) -> str:
    place: Any = params
    for part in key.split("."):
        if not isinstance(place, dict) or part not in place:
            return f"{key} should be a param of params.yaml, which has none of that name"
        place = place[part]
    if isinstance(place, dict):
        return f"{key} should be one param, received the section of {', '.join(place)}"
    if key.partition(".")[0] not in SECTIONS:
        return f"{key} should be of {', '.join(SECTIONS)}: validation images cannot choose it, and test images must not"
    return ""
