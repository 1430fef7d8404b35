"""Package faces whose names are imported when they are first asked for, so that importing a package costs nothing.

What a face shows stands once, in the stub beside its ``__init__.py``, as type checkers read it (SPEC 1 of Scientific
Python): ``from .prepare import prepare_run as prepare_run``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["attach"]


def attach(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make a package's ``__getattr__``, ``__dir__`` and ``__all__`` of its stub.

    Parameters
    ----------
    package, file : str
        The package's ``__name__`` and ``__file__``.
    """
    stub = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    module_of = {alias.name: "." * node.level + (node.module or "") for node in imports for alias in node.names}

    def __getattr__(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(module_of[name], package), name)

    return __getattr__, lambda: sorted(module_of), sorted(module_of)
