"""Finished runs of other evaluations than COCO's: what sets each apart, and which of them count."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from odinw_bench.report.variants import variant_of
from odinw_bench.runs.record import RunRecord


@dataclass(frozen=True)
class OtherRun:
    """A finished run of another evaluation.

    Attributes:
        folder: of the record, relative to the results.
        record: of the run.
        variant: what sets it apart from the model's usual run, in words; the split that was tested on does not.
    """

    folder: str
    record: RunRecord
    variant: str

    @property
    def model_name(self) -> str:
        """The model, with what sets the run apart."""
        return f"{self.record.spec.model} ({self.variant})" if self.variant else self.record.spec.model

    @property
    def shots(self) -> str:
        """Images per class, and whether they are those that a benchmark gives."""
        shots = str(self.record.spec.shots)
        return f"{shots}, given" if shots not in ("0", "all") and self.record.data.get("few_shot") == "given" else shots

    @property
    def seed(self) -> int:
        """Of the run; 0 where nothing is tuned: there another seed is no repetition."""
        return 0 if self.record.spec.shots == 0 else self.record.spec.seed

    @property
    def config(self) -> tuple[str, str, str, str, str, str]:
        """Suite, task, split, model with its variant, mode, shots: what runs of several seeds have in common."""
        spec = self.record.spec
        return spec.suite, spec.dataset, spec.eval_split, self.model_name, spec.mode, self.shots


def other_runs(found: Sequence[tuple[str, RunRecord]]) -> tuple[list[OtherRun], list[str]]:
    """The runs that count, distinguished by recipe, weights, precision and data; of two of one cell it is the newest.

    Args:
        found: finished runs of other evaluations than COCO's, each with its folder.

    Returns:
        the runs in the order of ``found``, and a note for each that was passed over.
    """
    runs = _by_data(
        _by_weights([OtherRun(folder, record, variant_of(record, split=False)) for folder, record in found])
    )
    newest: dict[Hashable, str] = {}
    for run in sorted(runs, key=lambda run: (str(run.record.get("finished") or ""), run.folder)):
        newest[_cell(run)] = run.folder
    kept = [run for run in runs if newest[_cell(run)] == run.folder]
    counted = {run.folder for run in kept}
    older = sorted(run.folder for run in runs if run.folder not in counted)
    return kept, [f"passed over {folder}: a newer run of the same cell counts" for folder in older]


def _cell(run: OtherRun) -> Hashable:
    return run.record.evaluation["name"], run.config, run.seed


def _by_weights(runs: Sequence[OtherRun]) -> list[OtherRun]:
    """With the hash of the weights where runs of one name had different ones; unknown ones are no usual ones then."""
    hashes = [str(run.record.get("weights_sha256") or "") for run in runs]
    names = [(run.record.spec.suite, run.model_name) for run in runs]
    known = _kinds(names, hashes)
    distinct = []
    for run, name, sha256 in zip(runs, names, hashes, strict=True):
        if known[name] and not sha256:
            distinct.append(_with(run, "weights not known"))
        else:
            distinct.append(_with(run, f"weights {sha256[:8]}") if len(known[name]) > 1 else run)
    return distinct


def _by_data(runs: Sequence[OtherRun]) -> list[OtherRun]:
    """With the hash of the test data where one split's differ."""
    hashes = [run.record.test_sha256 for run in runs]
    splits = [(run.record.spec.suite, run.record.spec.dataset, run.record.spec.eval_split) for run in runs]
    known = _kinds(splits, hashes)
    return [
        _with(run, f"test data {sha256[:8]}") if sha256 and len(known[split]) > 1 else run
        for run, split, sha256 in zip(runs, splits, hashes, strict=True)
    ]


def _kinds(names: Sequence[Hashable], hashes: Sequence[str]) -> dict[Hashable, set[str]]:
    """The known hashes of each name."""
    kinds: dict[Hashable, set[str]] = {name: set() for name in names}
    for name, sha256 in zip(names, hashes, strict=True):
        kinds[name] |= {sha256} - {""}
    return kinds


def _with(run: OtherRun, part: str) -> OtherRun:
    return replace(run, variant=f"{run.variant}, {part}" if run.variant else part)
