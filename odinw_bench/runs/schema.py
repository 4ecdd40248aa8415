"""What a run record holds: its fields, their types and their ranges, for every schema so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import class_labels
from odinw_bench.datasets.fewshot import Shots
from odinw_bench.runs import record_fields as fields
from odinw_bench.utils.io import canonical_json, sha256_bytes
from odinw_bench.utils.text import shorten

SCHEMA = 2
"""Of the records that are written."""

SCHEMAS = (1, 2)
"""Of those that are read. Schema 1 has no ``files``: whether those are whole is not known."""

TUNED = "tuned.safetensors"
"""The file beside a record that holds what the run trained."""

SEAL = "seal"
"""The field that holds :func:`seal_of` of the others. Records of schema 1, and early ones of schema 2, have none."""


def seal_of(content: Mapping[str, Any]) -> str:
    """SHA-256 (64 hex digits) of what a ``run.json`` holds but for the seal itself; spaces and order do not count.

    It finds careless edits and damage. Who means to deceive computes it again.
    """
    return sha256_bytes(canonical_json({name: value for name, value in content.items() if name != SEAL}))


@dataclass(frozen=True)
class RecordedSpec:
    """What a record says was run; unlike a :class:`~odinw_bench.runs.spec.RunSpec` it may name a model of others.

    Attributes:
        suite, dataset, model, mode: names.
        shots: images per class, or ``"all"``; 0 where nothing was tuned.
        seed: of subset and tuning.
        protocol: name of the recipe; None: not known.
        weights, attributes: as the user gave them.
        overrides: hyper-parameters that differ from the protocol's.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        eval_split: the split that was tested on.
        model_source: the ``hf:`` or ``onnx:`` name of the model, where it was given by one.
        model_class, mode_class: ``PACKAGE.MODULE:NAME`` of a model or a mode of another package.
    """

    suite: str
    dataset: str
    model: str
    mode: str
    shots: Shots
    seed: int
    protocol: str | None = None
    weights: str | None = None
    attributes: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict, hash=False)
    precision: str = "fp32"
    eval_split: str = "test"
    model_source: str | None = None
    model_class: str | None = None
    mode_class: str | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RecordedSpec:
        """The ``spec`` of a record.

        Raises:
            InputError: a field is missing or cannot be.
        """
        where = "spec."
        shots: Shots = "all" if values.get("shots") == "all" else fields.count(values, "shots", where)
        return cls(
            suite=fields.text(values, "suite", where),
            dataset=fields.text(values, "dataset", where),
            model=fields.text(values, "model", where),
            mode=fields.text(values, "mode", where),
            shots=shots,
            seed=fields.count(values, "seed", where),
            protocol=fields.optional_text(values, "protocol", where),
            weights=fields.optional_text(values, "weights", where),
            attributes=fields.optional_text(values, "attributes", where),
            overrides=fields.mapping(values, "overrides", where),
            precision=fields.optional_text(values, "precision", where) or "fp32",
            eval_split=fields.optional_text(values, "eval_split", where) or "test",
            model_source=fields.optional_text(values, "model_source", where),
            model_class=fields.optional_text(values, "model_class", where),
            mode_class=fields.optional_text(values, "mode_class", where),
        )


@dataclass(frozen=True, eq=False)
class RunRecord(Mapping[str, Any]):
    """A record, checked when it is read; as a mapping it is what ``run.json`` holds.

    Attributes:
        content: the JSON as it was read.
        folder: of the record; None: it was read from no file.
        spec: what was run.
        status: ``done`` or ``failed``.
        evaluation: how it was tested: ``name``, ``headline``, ``shown`` and what else identifies it; empty: COCO's AP.
        metrics: percentages 0..100 or None by name, and ``per_class``; empty where the run failed.
        cost: seconds, bytes and counts; empty where the run failed or was not tuned here.
        data: numbers of images, hashes of the annotations.
        protocol: name of the recipe and its hyper-parameters.
        environment: versions and hardware.
        digest: of everything that can change the numbers.
        files: the other files of the run by name, with ``size`` in bytes and ``sha256``; empty in schema 1.
        error: one line; None where the run did not fail.
    """

    content: Mapping[str, Any] = field(repr=False)
    folder: Path | None
    spec: RecordedSpec
    status: str
    evaluation: Mapping[str, Any]
    metrics: Mapping[str, Any]
    cost: Mapping[str, Any]
    data: Mapping[str, Any]
    protocol: Mapping[str, Any]
    environment: Mapping[str, Any]
    digest: str
    files: Mapping[str, Any]
    error: str | None

    @classmethod
    def from_json(cls, content: Any, folder: Path | None = None) -> RunRecord:
        """A record of any schema so far.

        Optional parts may be missing; what is there must be of its type and in its range.

        Raises:
            InputError: it is no record, a field is missing or cannot be (the message names it), or the content was
                changed after the run.
        """
        schema = content.get("schema") if isinstance(content, Mapping) else None
        if type(schema) is not int or schema not in SCHEMAS:
            found = "none" if schema is None else shorten(schema)
            raise InputError(f"it has schema {found}, this version reads {', '.join(map(str, SCHEMAS))}")
        status = fields.text(content, "status")
        if status not in ("done", "failed"):
            raise InputError(f"status must be 'done' or 'failed', not {shorten(status)}")
        metrics, cost = fields.mapping(content, "metrics"), fields.mapping(content, "cost")
        evaluation = fields.mapping(content, "evaluation")
        headline = fields.check_evaluation(evaluation, metrics) if evaluation else "AP"
        if status == "done" or metrics:
            fields.check_metrics(metrics, headline, objects=bool(evaluation))
        fields.check_cost(cost)
        data, protocol = fields.mapping(content, "data"), fields.mapping(content, "protocol")
        fields.optional_text(data, "folder", "data.")
        for name in ("train_images", "validation_images", "test_images", "leaks", "selection_leaks"):
            fields.number(data, name, "data.")
        hashes = fields.mapping(data, "annotations_sha256", "data.")
        for name in hashes:
            fields.optional_text(hashes, name, "data.annotations_sha256.")
        names = fields.mapping(data, "classes", "data.")
        for name in names:
            fields.text(names, name, "data.classes.")
        fields.mapping(protocol, "hyperparameters", "protocol.")
        retention = fields.mapping(content, "retention")
        for name in ("retained_AP", "base_AP"):
            fields.number(retention, name, "retention.", high=100)
        files = fields.mapping(content, "files")
        if schema > 1 and "files" not in content:
            raise InputError("files is missing")
        for name in files:
            entry = fields.mapping(files, name, "files.")
            fields.count(entry, "size", f"files.{name}.")
            fields.text(entry, "sha256", f"files.{name}.")
        if SEAL not in content:
            fields.check_encodable(content)
            seal = None
        else:
            with fields.encodable():  # writes all but the seal, so once is enough
                seal = seal_of(content)
        if seal is not None and content[SEAL] != seal:
            raise InputError(
                "its content is not what the run wrote (its seal differs): it was edited or damaged; restore the file, "
                "or do the run again"
            )
        return cls(
            content=content,
            folder=folder,
            spec=RecordedSpec.from_json(fields.mapping(content, "spec")),
            status=status,
            evaluation=evaluation,
            metrics=metrics,
            cost=cost,
            data=data,
            protocol=protocol,
            environment=fields.mapping(content, "environment"),
            digest=fields.optional_text(content, "digest") or "",
            files=files,
            error=fields.optional_text(content, "error"),
        )

    @property
    def retention(self) -> Mapping[str, Any]:
        """What tuning destroyed: ``tasks``, ``retained_AP``, ``base_AP``, ``by_task``; empty: it was not asked for."""
        return fields.mapping(self.content, "retention")

    @property
    def ap(self) -> float | None:
        """AP in percent; None where the run failed or its test split holds nothing to find."""
        return self.metrics.get("AP")

    @property
    def headline(self) -> str:
        """The metric that tables show: AP, or what takes its place in the record's evaluation."""
        return str(self.evaluation.get("headline", "AP"))

    @property
    def shown(self) -> tuple[str, ...]:
        """The metrics that its evaluation says tables print; empty: it does not say."""
        return tuple(self.evaluation.get("shown") or ())

    def number(self, metric: str) -> float | None:
        """A metric; None where the record has none of that name, or has an object there."""
        value = self.metrics.get(metric)
        return None if value is None or isinstance(value, Mapping) else float(value)

    @property
    def result(self) -> float | None:
        """The headline metric in percent; None where the run failed or there was nothing to find."""
        return self.metrics.get(self.headline)

    @property
    def per_class(self) -> dict[str, float | None]:
        """AP by the name of the class, with its id where two classes share one; records of before 0.2.0 are so."""
        found = fields.mapping(self.metrics, "per_class", "metrics.")
        names = fields.mapping(self.data, "classes", "data.")
        labels = class_labels({key: fields.text(names, key, "data.classes.") for key in names})
        return {labels.get(key, key): ap for key, ap in found.items()}

    @property
    def kept_bytes(self) -> int | None:
        """Size of what the run trained; None: it trained nothing, or its record does not say."""
        return self.files[TUNED]["size"] if TUNED in self.files else None

    @property
    def is_done(self) -> bool:
        """Whether the run came to its end."""
        return self.status == "done"

    @property
    def is_sealed(self) -> bool:
        """Whether it says what files belong to it."""
        return "files" in self.content

    @property
    def seals_itself(self) -> bool:
        """Whether a change of its own content would be noticed."""
        return SEAL in self.content

    @property
    def protocol_name(self) -> str:
        """Name of the recipe; empty: not known."""
        return str(self.protocol.get("name") or self.spec.protocol or "")

    @property
    def data_folder(self) -> str:
        """Path of the data set's folder when it was run; empty: not known, or not one of the user's own."""
        return fields.optional_text(self.data, "folder", "data.") or ""

    @property
    def test_sha256(self) -> str:
        """Hash of the annotations it was tested on; empty: not known.

        ``score`` once wrote it under the split's own name.
        """
        hashes = fields.mapping(self.data, "annotations_sha256")
        return str(hashes.get("test") or hashes.get(self.spec.eval_split) or "")

    def to_json(self) -> dict[str, Any]:
        """The content of ``run.json``."""
        return dict(self.content)

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.content)

    def __len__(self) -> int:
        return len(self.content)
