"""What `rtseg eval` measures on: samples and predictors brought to one set of classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rtseg.errors import InputError, ModelError, RecipeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtseg.classes import LabelSet
    from rtseg.cli.evaluate_models import Candidate
    from rtseg.evaluation import Comparison, Evaluation
    from rtseg.evaluation.document import Ground
    from rtseg.evaluation.measuring import Labelled, Predictor
    from rtseg.training.datasets import Split


@dataclass(frozen=True, slots=True)
class Task:
    """One or two predictors of `classes`, and samples whose labels are mapped to them.

    table: (256,) uint8 from the data's ids to those of `classes`, None if they are the same.
    """

    split: Split
    classes: LabelSet
    predictors: tuple[Predictor, ...]
    table: NDArray[np.uint8] | None

    @property
    def ground(self) -> Ground:
        """What is measured on, for the report."""
        from rtseg.evaluation.document import Ground

        return Ground(self.split.title, self.split.split, self.table is not None)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Labelled:
        name, image, labels = self.split[index]
        return name, image, labels if self.table is None else self.table[labels]

    def __iter__(self) -> Iterator[Labelled]:
        return (self[i] for i in range(len(self)))

    def measure(self, label: str) -> tuple[Evaluation, Comparison | None]:
        """Run all predictors over all samples, with a progress bar on a terminal."""
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import track

        from rtseg.evaluation import compare, evaluate

        terminal = Console(stderr=True)
        samples = track(
            self, escape(label), total=len(self), console=terminal, transient=True,
            disable=not terminal.is_terminal,
        )  # fmt: skip
        first, *others = self.predictors
        if not others:
            return evaluate(first, samples, self.classes), None
        comparison = compare(first, others[0], samples, self.classes)
        return comparison.first, comparison


def task_of(candidates: Sequence[Candidate], split: Split) -> Task:
    """The candidates on a split. Classes that differ from the data's are mapped, both ways.

    Raises ModelError, naming the file, for a model that shares no class with the data, and
    InputError if two candidates share different classes with it.
    """
    found = [_mapped(candidate, split) for candidate in candidates]
    first = found[0]
    for candidate, other in zip(candidates, found, strict=True):
        if other.classes.names != first.classes.names or other.key() != first.key():
            raise InputError(
                f"{candidates[0].path} and {candidate.path} share different classes with "
                f"{split.title} ({len(first.classes)} and {len(other.classes)} of them); expected "
                "two models of the same classes"
            )
    return Task(split, first.classes, tuple(m.predict for m in found), first.table)


class _Mapped(NamedTuple):
    """A predictor of `classes`, and the table from the data's ids to theirs if it needs one."""

    classes: LabelSet
    predict: Predictor
    table: NDArray[np.uint8] | None

    def key(self) -> bytes | None:
        return None if self.table is None else self.table.tobytes()


def _mapped(candidate: Candidate, split: Split) -> _Mapped:
    if candidate.classes.names == split.classes.names:
        return _Mapped(split.classes, candidate, None)
    from rtseg.training.datasets.mapping import common

    try:
        shared = common(candidate.classes, split.classes)
    except RecipeError as exc:
        raise ModelError(f"{candidate.path} cannot be measured on {split.title}: {exc}") from exc
    of_model = shared.of_model
    return _Mapped(shared.classes, lambda image: of_model[candidate(image)], shared.of_data)
