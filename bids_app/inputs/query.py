"""The one query of a call: which runs were asked for, at the participant level and at the group level alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .bids_names import BidsFile
from .filters import ANY, Criterion, criteria, nearest, nearest_misses, refused_by

if TYPE_CHECKING:
    from ..settings.settings import Settings

__all__ = ["Query"]


@dataclass(frozen=True)
class Query:
    """Labels and the content of a filter file, as criteria on the names of BOLD files.

    Parameters
    ----------
    criteria : tuple of Criterion
        All of which a file has to fulfil.
    """

    criteria: tuple[Criterion, ...] = ()

    @classmethod
    def of(cls, *, filters: Mapping[str, Any] | None = None, **labels: Collection[str]) -> Query:
        """Make one from what `criteria` takes.

        >>> str(Query.of(tasks=["rest"], run_labels=["1"]))
        'task-rest (--task-id), run-1 (--run-id)'
        """
        return cls(tuple(criteria(filters=filters, **labels)))

    @classmethod
    def of_settings(cls, settings: Settings) -> Query:
        """Make the one that the command line asks for.

        Raises
        ------
        UsageError
            If the filter file cannot be used.
        """
        return cls.of(
            participants=settings.participants,
            sessions=settings.sessions,
            tasks=settings.tasks,
            run_labels=settings.runs,
            spaces=settings.spaces,
            filters=settings.read_filters(),
        )

    def __str__(self) -> str:
        return ", ".join(map(str, self.criteria)) or "any"

    def takes(self, file: BidsFile) -> bool:
        """Tell whether a file fulfils all criteria."""
        return not refused_by(file, self.criteria)

    def nearest_misses(self, files: Iterable[BidsFile]) -> str:
        """Describe in one sentence the files that fail the fewest criteria."""
        return nearest_misses(files, self.criteria)

    @property
    def participants(self) -> list[str]:
        """The participants who were named by their option."""
        return [label for c in self.criteria if c.option == "--participant-label" for label in c.wanted if label]

    @property
    def names_description(self) -> bool:
        """Whether ``desc-`` was asked for."""
        return any(criterion.key == "desc" for criterion in self.criteria)

    @property
    def names_spaces(self) -> bool:
        """Whether spaces were asked for by name."""
        return any(criterion.key == "space" and ANY not in criterion.wanted for criterion in self.criteria)

    def unmet(self, files: Collection[BidsFile]) -> list[str]:
        """Name labels that were asked for beside others and that no file has, with the nearest that one has."""
        return [
            f"{criterion.key}-{wanted} ({criterion.option}): no BOLD file has it"
            + "".join(f"; {criterion.key}-{near}?" for near in nearest(wanted, criterion.labels(files), 1))
            for criterion in self.criteria
            if criterion.key != "sub"
            for wanted in criterion.wanted
            if wanted not in (None, ANY) and not any(criterion.is_met(wanted, file) for file in files)
        ]
