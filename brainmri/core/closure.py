"""Which of the project's own files a script reaches through imports, found in its text without running it.

A table that bears a module's name (`known_patients.csv` beside `known_patients.py`) is part of that module.
"""

import ast
from pathlib import Path

PACKAGES = ("brainmri", "stages", "app")


def reached(root: Path, script: Path) -> list[str]:
    """Return every project file that `script` needs: itself, the packages' `__init__.py` and modules' tables included.

    Imports inside functions and under conditions count: they run one day. Found are `import a.b`, `from a import b`,
    `from a.b import c` and relative forms; the project's rule is that there are no others (no `importlib`).

    Parameters
    ----------
    root : Path
        The project's folder, which holds the packages.
    script : Path
        Relative to `root`.

    Returns
    -------
    list of str
        Paths relative to `root`, sorted, with `/`.
    """
    found: set[Path] = set()
    waiting = [script, *_package_files(root, script)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += imported(root, path)
    tables = {path.with_suffix(".csv") for path in found}
    return sorted(path.as_posix() for path in found | {path for path in tables if (root / path).is_file()})


def imported(root: Path, path: Path) -> list[Path]:
    """Return the project files that one file imports itself, and the `__init__.py` around them."""
    return [file for module in _imports(root / path, path.parent) for file in _files(root, module)]


def _imports(path: Path, package: Path) -> set[str]:
    """Return the dotted names a file imports; of `from a import b` both `a` and `a.b`, whichever of them is a file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = list(package.parts[: len(package.parts) - node.level + 1]) if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return names


def _files(root: Path, module: str) -> list[Path]:
    parts = module.split(".")
    if parts[0] not in PACKAGES:
        return []
    candidates = (Path(*parts).with_suffix(".py"), Path(*parts, "__init__.py"))
    return [file for path in candidates if (root / path).is_file() for file in (path, *_package_files(root, path))]


def _package_files(root: Path, path: Path) -> list[Path]:
    """Return the `__init__.py` of every package around a file: Python runs them first."""
    inits = [folder / "__init__.py" for folder in path.parents]
    return [init for init in inits if init.parent != Path() and (root / init).is_file()]
