"""Which data set a record is of: its name, and its folder where the user has two of one name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from odinw_bench.datasets.names import unique_names
from odinw_bench.datasets.task import BUILT_IN_SUITES
from odinw_bench.runs.record import RunRecord

Versions = Mapping[tuple[str, ...], set[str]]
"""By what is hashed (split, subset): the hashes that records state."""


def dataset_names(records: Sequence[RunRecord]) -> list[str]:
    """The data set of each record, by a name that no other data set of these records has.

    Data sets of the user's own are distinguished by the folders that the records name. Folders whose records state the
    same hashes hold the same data, moved or copied: they are one data set. A record without a folder (of an earlier
    version) counts to the first folder whose hashes its own agree with.

    Returns:
        a name for each record: that of its spec, or a longer one where two data sets share that.
    """
    folders: dict[tuple[str, str], dict[str, dict[tuple[str, ...], set[str]]]] = {}
    for record in records:
        spec = record.spec
        if spec.suite not in BUILT_IN_SUITES:
            versions = folders.setdefault((spec.suite, spec.dataset), {}).setdefault(record.data_folder, {})
            for key, found in _versions(record).items():
                versions.setdefault(key, set()).add(found)
    names: dict[tuple[str, str, str], str] = {}
    for (suite, dataset), paths in folders.items():
        first = _one_folder_each(paths)
        distinct = sorted({*first.values()})
        labels = dict(zip(distinct, unique_names([(dataset, path) for path in distinct]), strict=True))
        names |= {(suite, dataset, path): labels[first[path]] for path in paths}
    return [
        names.get((record.spec.suite, record.spec.dataset, record.data_folder), record.spec.dataset)
        for record in records
    ]


def _one_folder_each(paths: Mapping[str, Versions]) -> dict[str, str]:
    """From each folder to the first with the same data."""
    first: dict[str, str] = {}
    for path in sorted(paths, key=lambda path: (not path, path)):  # unknown ones last
        same = (other for other in {*first.values()} if _agree(paths[path], paths[other]))
        first[path] = min(same, default=path)
    return first


def _agree(one: Versions, other: Versions) -> bool:
    common = one.keys() & other.keys()
    return bool(common) and all(one[key] & other[key] for key in common)


def _versions(record: RunRecord) -> dict[tuple[str, ...], str]:
    spec = record.spec
    subset = (str(spec.shots), str(spec.seed), str(record.data.get("few_shot")))
    found: dict[tuple[str, ...], str] = {}
    for kind in ("annotations_sha256", "pictures_sha256"):
        hashes = record.data.get(kind)
        for split, value in hashes.items() if isinstance(hashes, Mapping) else ():
            of_test = (spec.eval_split,) if split in ("test", spec.eval_split) else subset
            found[kind, "test" if split == spec.eval_split else split, *of_test] = str(value)
    return found
