"""What all interfaces share: a function of the library as an interface, and inputs that count by what they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

from nipype import config, logging
from nipype.interfaces.base import BaseInterfaceInputSpec, SimpleInterface, isdefined
from nipype.interfaces.base.support import Bunch
from nipype.utils.filemanip import hash_infile, hash_timestamp, md5

from ..errors import UsageError
from ..files import read_json
from ..options import Group

__all__ = ["FunctionInputSpec", "FunctionInterface", "limit_threads", "taken"]


SomeGroup = TypeVar("SomeGroup", bound=Group)


class FunctionInputSpec(BaseInterfaceInputSpec):
    """Inputs of a function: checked together, and hashed by what they hold."""

    _read_beside: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Inputs beside whose files others are looked for, and the extensions of those."""

    def check_given(self) -> None:
        """Refuse what has been set so far where it contradicts itself (UsageError)."""

    def check_ready(self) -> None:
        """Refuse, before anything is computed, what is missing and lists that do not fit each other (UsageError)."""

    def given(self, *names: str) -> Any:
        """Give one input, or a tuple of several, with None for what was not set."""
        values = tuple(value if isdefined(value := getattr(self, name)) else None for name in names)
        return values[0] if len(values) == 1 else values

    def group(self, kind: type[SomeGroup]) -> SomeGroup:
        """Give the settings of a group that are set; refuse those that contradict each other (UsageError)."""
        return taken(self.all_given(), kind)

    def all_given(self) -> dict[str, Any]:
        """Give the inputs that are set, by name."""
        return {name: value for name, value in self.get().items() if isdefined(value)}

    def get_hashval(self, hash_method: str | None = None) -> tuple[list[tuple[str, Any]], str]:
        """Hash the inputs as Nipype does, and what it leaves out.

        Nipype takes a folder for its name, so that a model which was trained again would count as the same. Here a
        folder counts by its files, and so do files that are read because they lie beside an input.
        """
        listed, hashed = super().get_hashval(hash_method=hash_method)
        method = (hash_method or config.get("execution", "hash_method")).lower()
        hash_file = hash_timestamp if method == "timestamp" else hash_infile
        more = [
            (f"{name}: {path.name}", [(str(file), hash_file(str(file))) for file in _files(path)])
            for name, value in listed
            for path in self._also_read(name, value)
        ]
        if not more:
            return listed, hashed
        contents = [[hashes for _, hashes in files] for _, files in more]
        return listed + more, md5(f"{hashed}{contents}".encode()).hexdigest()

    def _also_read(self, name: str, value: Any) -> Iterator[Path]:
        """Give the folders that an input names, and the files beside the files that it names."""
        if isinstance(value, list):
            for entry in value:
                yield from self._also_read(name, entry)
            return
        path = value[0] if isinstance(value, tuple) and value else value  # a file comes with its hash
        if not isinstance(path, str) or not Path(path).is_absolute():
            return
        if Path(path).is_dir():
            yield Path(path)
        elif name in self._read_beside:
            stem = path.removesuffix(".gz")
            beside = (Path(stem).with_suffix(extension) for extension in self._read_beside[name])
            yield from (found for found in beside if found.is_file())


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


class FunctionInterface(SimpleInterface):
    """A function of the library as an interface.

    A subclass says which one: by its name, or in `_compute` where it needs more than the inputs and a folder to write
    into. Inputs that contradict each other are refused when the interface is made; what the function warns of goes
    into Nipype's log too.
    """

    input_spec: type[FunctionInputSpec]
    _function: ClassVar[str]
    """Module, relative to the package, and name: ``.evaluation:score_run``. It is imported when the node runs."""

    def __init__(self, **inputs: Any):
        super().__init__(**inputs)
        self._check(self.inputs.check_given)

    def _compute(self, given: dict[str, Any], folder: Path) -> Mapping[str, Any] | NamedTuple | Path:
        """Call the function with the inputs that are set; give outputs by name, or the path of the only one.

        What a named tuple has as ``metadata``, the account of what was done, is called ``out_metadata``.
        """
        module, _, name = self._function.partition(":")
        made: NamedTuple | Path = getattr(import_module(module, "scaae_nipype"), name)(**given, out_dir=folder)
        return made

    def _run_interface(self, runtime: Bunch) -> Bunch:
        self._check(self.inputs.check_given)
        self._check(self.inputs.check_ready)
        folder = Path.cwd()  # Nipype has gone there; what it calls the folder may be relative to where it came from
        made: Any = self._compute(self.inputs.all_given(), folder)
        if isinstance(made, Path):
            made = dict.fromkeys(self.output_spec().get(), made)
        elif hasattr(made, "_asdict"):
            made = {"out_metadata" if name == "metadata" else name: path for name, path in made._asdict().items()}
        self._results |= {name: _as_text(value) for name, value in made.items()}
        for warning in self._warnings():
            logging.getLogger("nipype.interface").warning("%s%s: %s", type(self).__name__, self._about(), warning)
        return runtime

    def _warnings(self) -> list[str]:
        """Give what the function warned of."""
        account = self._results.get("out_metadata")
        return [] if account is None else [str(text) for text in read_json(account).get("Warnings", [])]

    def _about(self) -> str:
        path = self.inputs.get().get("in_file")
        return f" ({Path(path).name})" if isinstance(path, str) else ""

    def _check(self, check: Any) -> None:
        try:
            check()
        except UsageError as error:
            raise UsageError(f"{type(self).__name__}: {error}") from None


def _as_text(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_as_text(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def taken(given: dict[str, Any], kind: type[SomeGroup]) -> SomeGroup:
    """Take the settings of a group out of what was given to an interface."""
    return kind(**{field.name: given.pop(field.name) for field in fields(kind) if field.name in given})


def limit_threads(n_threads: int) -> None:
    """Make torch keep to the node's threads; it takes all cores otherwise."""
    if n_threads > 0:
        import torch

        torch.set_num_threads(n_threads)
