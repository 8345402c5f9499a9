"""What the parts of a study are called, in its grids and in its report."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from protocol.plugins import nearest
from simulator.study.tables import Generator, Initial, Network, Optimizer, Study


@dataclass(frozen=True, slots=True)
class Search:
    """One way of searching: an optimizer's label, name and parameters."""

    label: str
    name: str
    parameters: dict[str, Any]
    of: str
    """The label of the optimizer that this is a sweep's variant of; of others, their own."""


def label_of(table: Network | Generator | Initial) -> str:
    """Return what a part is called."""
    return table.label or (table.model if isinstance(table, Network) else table.name)


def searches(optimizers: Iterable[Optimizer]) -> list[Search]:
    """Return the ways of searching: each optimizer, and one more for each value that it is to be tried with."""
    found = []
    for each in optimizers:
        label = each.label or each.name
        found.append(Search(label, each.name, each.parameters, label))
        for key, values in each.sweep.items():
            found += [
                Search(f"{label} {key}={value}", each.name, each.parameters | {key: value}, label) for value in values
            ]
    return found


def check_labels(study: Study) -> list[str]:
    """Return a sentence for each label that is used twice, or in a grid without being there."""
    known = {
        "networks": [label_of(each) for each in study.networks],
        "layers": list(dict.fromkeys(layer for each in study.networks for layer in each.layers)),
        "generators": [label_of(each) for each in study.generators],
        "optimizers": [each.label for each in searches(study.optimizers)],
        "initials": [label_of(each) for each in study.initials],
    }
    problems = [
        f"two {kind} are labelled {label!r}: give each a label of its own."
        for kind, labels in known.items()
        for label in sorted({each for each in labels if labels.count(each) > 1})
    ]
    for number, grid in enumerate(study.grids, 1):
        for kind, labels in known.items():
            problems += [
                f"[[grid]] number {number}, {kind}: no {each!r}.{nearest(each, labels)} Known: {', '.join(labels)}."
                for each in getattr(grid, kind)
                if not chosen((each,), labels)
            ]
    return problems


def chosen(wanted: Sequence[str], labels: Iterable[str]) -> list[str]:
    """Return the labels that are wanted, in their order; nothing wanted means all, "GA *" all that begin so."""
    starts = tuple(each[:-1] for each in wanted if each.endswith("*"))
    return [each for each in labels if not wanted or each in wanted or (starts and each.startswith(starts))]
