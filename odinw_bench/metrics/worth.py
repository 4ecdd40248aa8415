"""Which parts of something earn their AP: those that earn nothing are left out, one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from odinw_bench.metrics.stats import Comparison, paired_bootstrap

SAMPLES = 500
Rows = list[dict[str, Any]]
"""COCO results."""


@dataclass(frozen=True)
class Worth:
    """What each part is worth.

    Attributes:
        alone: by name of the part, the AP with all parts minus the AP without this one.
        dropped: names of the parts that were left out.
    """

    alone: Mapping[str, Comparison]
    dropped: frozenset[str]


def drop_least(
    names: Sequence[str],
    detect_without: Callable[[frozenset[str]], Rows],
    annotations: Mapping[str, Any],
    seed: int,
) -> Worth:
    """Leave out parts one by one, the least useful first, as long as the AP is not clearly below that of all parts.

    A part may go whose own interval (95 %, paired bootstrap over the images) holds zero or lies below it. It goes if
    the AP without it, and without those that went before, is not clearly worse than with all of them.

    Args:
        names: of the parts, such as the words of a prompt.
        detect_without: COCO results without some of the parts.
        annotations: COCO ground truth of the images.
        seed: of the bootstrap.
    """
    whole = detect_without(frozenset())

    def worth(without: frozenset[str]) -> Comparison:
        return paired_bootstrap(annotations, whole, detect_without(without), SAMPLES, seed=seed)

    alone = {name: worth(frozenset({name})) for name in names}
    dropped: frozenset[str] = frozenset()
    for name in sorted(names, key=lambda one: alone[one].difference):
        if alone[name].low <= 0 and (not dropped or worth(dropped | {name}).low <= 0):
            dropped |= {name}
    return Worth(alone, dropped)
