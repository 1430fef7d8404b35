"""Cross-fitting: whose runs are left out of which model, and where the models of the folds are kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ...derivatives.names import participant_of
from ...errors import ModelError, ScaaeError, UsageError
from ...words import counted, duration
from .model_store import ModelStore, StoredModel

__all__ = [
    "Fold",
    "FoldModels",
    "check_participants",
    "check_training_runs",
    "checksums_of_folds",
    "fit_missing",
    "folds_of",
]


@dataclass(frozen=True)
class Fold:
    """One part of the participants, and the runs of all others, which train its model."""

    number: int  # from 1 on
    of: int  # how many there are
    participants: tuple[str, ...]  # labels of those whose temporal nulls go through this fold's model
    training_runs: tuple[str, ...]  # stems, in the order in which they trained the main model

    @property
    def name(self) -> str:
        """What the reader calls it."""
        return f"fold {self.number} of {self.of}"

    @property
    def label(self) -> str:
        """What files and workflows call it."""
        return f"fold{self.number}of{self.of}"


def folds_of(training_runs: Iterable[str], n_folds: int) -> tuple[Fold, ...]:
    """Split the participants whose runs (stems) train a model into folds: sorted, dealt out in turn.

    Dealing out, not cutting: neighbours in sorted order are often of one site, and every model is to see all sites.

    Raises
    ------
    UsageError
        If there are fewer participants than folds.

    >>> [fold.participants for fold in folds_of(["sub-a_run-1", "sub-a_run-2", "sub-b", "sub-c"], 2)]
    [('a', 'c'), ('b',)]
    """
    runs = tuple(training_runs)
    participants = sorted({participant_of(run) for run in runs})
    check_participants(participants, n_folds)
    parts = [tuple(participants[start::n_folds]) for start in range(n_folds)]
    return tuple(
        Fold(number, n_folds, part, tuple(run for run in runs if participant_of(run) not in part))
        for number, part in enumerate(parts, start=1)
    )


def check_participants(participants: Collection[str], n_folds: int) -> None:
    """See that every fold can have a participant.

    Raises
    ------
    UsageError
    """
    n = len(set(participants))
    if n == 1:
        raise UsageError(
            f"--cross-fit {n_folds}: usable runs are of one participant only (sub-{next(iter(participants))}), and its "
            "model has to come from others: run `scaae-bids BIDS_DIR OUTPUT_DIR train` with the same options and all "
            "participants first, give a model of others with --model instead, or leave --cross-fit out."
        )
    if n < n_folds:
        raise UsageError(
            f"--cross-fit {n_folds}: usable runs are of {n} participants only, and every fold needs one: "
            f"give --cross-fit {n} or less, or more participants."
        )


def check_training_runs(fold: Fold, here: Collection[str]) -> None:
    """See that a call has all runs (stems) that train the model of a fold.

    Raises
    ------
    ScaaeError
    """
    absent = [stem for stem in fold.training_runs if stem not in here]
    if absent:
        raise ScaaeError(
            f"{len(absent)} of the {len(fold.training_runs)} runs that train it are not among those of this call "
            f"({absent[0]} …): run `scaae-bids BIDS_DIR OUTPUT_DIR train` with the same options and all participants "
            "first."
        )


@dataclass(frozen=True)
class FoldModels:
    """The places of the models of the folds, beside the main model that they belong to.

    Its card says which runs trained it: folds follow from them, not from the runs of one call. Models that are to be
    replaced, and do not count, are `unwanted` (name to checksum); `fit_missing` takes them out.
    """

    main: StoredModel
    store: ModelStore  # of the main model
    n_folds: int
    unwanted: dict[str, str] = field(default_factory=dict)

    @property
    def folds(self) -> tuple[Fold, ...]:
        """All folds."""
        return folds_of(self.main.training_runs, self.n_folds)

    def store_of(self, fold: Fold) -> ModelStore:
        """Give the place of a fold's model, which counts only if its card names this main model."""
        card = {"Fold": fold.number, "NumberOfFolds": fold.of, "LeftOut": list(fold.participants)}
        return replace(
            self.store,
            name=f"{self.store.name}-{fold.label}",
            more_card={"CrossFit": card | {"MainModelChecksum": self.main.checksum}},
        )

    def there(self) -> dict[Fold, StoredModel]:
        """Give the models that are there already; of a damaged one `fit_missing` will say so."""
        found = {}
        for fold in self.folds:
            with suppress(ModelError):
                model = self.store_of(fold).find()
                if model is not None and model.checksum != self.unwanted.get(model.folder.name):
                    found[fold] = model
        return found

    def needed(self, participants: Collection[str] | None) -> list[Fold]:
        """Give the folds of these participants (None: all); who did not train the main model is in none."""
        return [
            fold for fold in self.folds if participants is None or not set(participants).isdisjoint(fold.participants)
        ]

    def cost_sentence(self, due: Collection[Fold]) -> str:
        """Say before it starts what training the models of these folds will cost."""
        many = counted(len(due), "further model")
        seconds = self.main.card.get("Training", {}).get("Seconds")
        known = (
            f": that one took {duration(seconds)}, so about {duration(seconds * len(due))} in all" if seconds else ""
        )
        return f"Cross-fitting: {many}, each trained like the main one, without the participants of its fold{known}."


def checksums_of_folds(store: ModelStore) -> dict[str, str]:
    """Give name and checksum of the models of folds that stand beside a main model, whichever it was."""
    folders = store.folder.parent.glob(f"{store.name}-fold*of*")
    models = [replace(store, name=folder.name, may_be_damaged=True).find() for folder in folders]
    return {model.folder.name: model.checksum for model in models if model is not None}


def fit_missing(
    models: FoldModels,
    folds: Iterable[Fold],
    *,
    make: Callable[[Fold], Path],
    fail: Callable[[str, str], object],
    say: Callable[[str], None] = print,
) -> dict[str, StoredModel]:
    """Give the models of folds by participant, and make those that nobody has made; one that fails stops no other.

    `make` trains a fold's model and gives its folder, or raises a `ScaaeError`; `fail` gets what failed, and why;
    `say` gets a line when this job waits for another.
    """
    found: dict[str, StoredModel] = {}
    for fold in folds:
        store = models.store_of(fold)
        try:
            model = store.get(partial(make, fold), replacing=models.unwanted.get(store.name), say=say)
        except ScaaeError as error:
            left = ", ".join(f"sub-{label}" for label in fold.participants)
            fail(f"model of {fold.name}", f"{error} Without it there is no temporal null of {left}.")
        else:
            models.unwanted.pop(store.name, None)
            found |= dict.fromkeys(fold.participants, model)
    return found
