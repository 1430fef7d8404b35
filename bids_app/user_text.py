"""What people write: text files of any Unicode encoding, as JSON and YAML."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, UsageError
from ..opening import DEEPEST, read_bytes

if TYPE_CHECKING:
    import yaml

__all__ = ["compose_yaml", "load_yaml", "read_user_file"]

LARGEST = 2**18
"""Bytes of the largest file of options that anybody writes: 20,000 labels. YAML is read at 50 kB a second."""

MOST_ENTRIES = 10_000
"""Entries of a YAML file, those that its aliases stand for included."""


def read_user_file(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark (or in UTF-16 with one).

    Raises
    ------
    UsageError
        If it cannot be read, or is in another encoding; the message does not name the file.
    """
    try:
        content = read_bytes(path, most=LARGEST)
    except InputError as error:
        raise UsageError(str(error).removeprefix(f"{path}: ")) from error
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UsageError(f"is not UTF-8 text (line {line}); save it as UTF-8.") from error


def load_yaml(text: str, loader: Callable[[str], Any], tree: yaml.Node | None = None) -> Any:
    """Read YAML that anybody may have written.

    Parameters
    ----------
    text : str
    loader : class
        Of yaml's loaders.
    tree : Node, optional
        What `compose_yaml` makes of it, if it has been asked already.

    Raises
    ------
    ValueError
        If it is no YAML, grows without end, or a value is not of the type that it says it is (``!!bool maybe``).

    >>> import yaml
    >>> load_yaml("a: [1, 2]", yaml.SafeLoader)
    {'a': [1, 2]}
    """
    import yaml

    try:
        if tree is None:
            compose_yaml(text, loader)
        return yaml.load(text, Loader=loader)  # type: ignore[arg-type]
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except (LookupError, AttributeError, TypeError) as error:  # of constructors that believe a tag
        raise ValueError("a value is not of the type that its tag says") from error


def compose_yaml(text: str, loader: Callable[[str], Any]) -> yaml.Node | None:
    """Take YAML apart without making anything of it; refuse what would become endless, or fills the memory.

    Parameters
    ----------
    text : str
    loader : class
        Of yaml's loaders.

    Returns
    -------
    Node or None
        None of an empty file.

    Raises
    ------
    ValueError
        If entries lie too deep in each other, or aliases of aliases stand for too many of them.
    yaml.YAMLError
        If it is no YAML.
    """
    import yaml

    try:
        tree = yaml.compose(text, Loader=loader)  # type: ignore[arg-type]
    except RecursionError as error:
        raise ValueError(f"its entries are nested more than {DEEPEST} deep") from error
    level, count = [tree], 0
    for _ in range(DEEPEST):
        inside: list[Any] = []
        for node in level:
            if isinstance(node, yaml.MappingNode):
                inside += [part for pair in node.value for part in pair]
            elif isinstance(node, yaml.SequenceNode):
                inside += node.value
            if count + len(inside) > MOST_ENTRIES:
                raise ValueError(f"it holds more than {MOST_ENTRIES} entries; are there aliases of aliases?")
        count += len(inside)
        level = inside
        if not level:
            return tree
    raise ValueError(f"its entries are nested more than {DEEPEST} deep")
