"""Runs for the Hugging Face hub: folders of tuned parts, model cards, evaluation results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glip_core.errors import InputError
from odinw_bench.models import UNTUNED
from odinw_bench.report.variants import variant_of
from odinw_bench.runs.record import RECORD, RunRecord
from odinw_bench.runs.seal import open_sealed
from odinw_bench.utils.escape import for_markdown
from odinw_bench.utils.io import is_file_name, read_json, write_bytes, write_json, write_text

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_ADAPTER = ("adapter_rank", "adapter_alpha", "adapter_where")


def check_empty(folder: Path) -> None:
    """Check that a folder is new or empty, so that nothing else is shared with what is written.

    Raises:
        InputError: it holds something, or is a file.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"'{folder}' exists and is not an empty folder; give another one with --out")


def check_benchmark(name: str | None) -> str | None:
    """The part of a data set's name on the hub that files are called by; None for None.

    Raises:
        InputError: it is not ``OWNER/NAME``.
    """
    if name is None:
        return None
    owner, _, rest = name.partition("/")
    if not owner or not rest or not is_file_name(rest):
        raise InputError(f"--benchmark wants OWNER/NAME of a data set on the hub, not '{name}'")
    return rest


def write_tuned(record: RunRecord, out: Path, benchmark: str | None = None) -> list[str]:
    """A folder of what a run tuned, for the hub: kilobytes on top of its base.

    :func:`odinw_bench.load_run` reads it, and ``load_tuned`` of :class:`glip_core.hf.GlipForObjectDetection`.
    The record is the run's own, sealed as it was.

    Args:
        record: of a finished run.
        out: the folder, new or empty.
        benchmark: see :func:`write_results`; None: no evaluation results.

    Returns:
        the names of the files.

    Raises:
        InputError: the run failed or tuned nothing, its files are missing or changed, or ``out`` holds something.
    """
    from glip_core.hf.tuned import CONFIG, TENSORS

    spec = record.spec
    if not record.is_done:
        raise InputError(f"the run in '{record.folder}' failed: {record.error}")
    if spec.mode in UNTUNED:
        raise InputError(
            f"the run in '{record.folder}' tuned nothing ({spec.mode}): share the model itself, "
            "odinw-bench models convert"
        )
    check_empty(out)
    check_benchmark(benchmark)
    tuned, words = open_sealed(record, TENSORS), open_sealed(record, "prompt.json")
    write_bytes(out / TENSORS, tuned.read_bytes())
    write_bytes(out / words.name, words.read_bytes())
    used = record.protocol.get("hyperparameters") or {}
    config = {
        "base_model": spec.model,
        "base_weights_sha256": record.get("weights_sha256"),
        "mode": spec.mode,
        "adapter": {name: used[name] for name in _ADAPTER if name in used},
        "prompt": read_json(words, what="prompt"),
    }
    write_json(out / CONFIG, config)
    write_bytes(out / RECORD, (words.parent / RECORD).read_bytes())  # as it is: it is sealed
    write_text(out / "README.md", _tuned_card(record))
    if benchmark is not None:
        write_results([record], out, benchmark)
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def write_results(records: Sequence[RunRecord], out: Path, benchmark: str) -> Path | None:
    """The hub's evaluation results of runs, ``.eval_results/NAME.yaml``: one entry a run that has a result, in percent.

    The format is that of https://huggingface.co/docs/hub/eval-results.

    Args:
        records: of finished runs.
        out: the folder of the model's repository.
        benchmark: ``OWNER/NAME`` of the data set on the hub; the name of a run's data set is the task in it.

    Returns:
        the file; None: no run has a result, and there is none.

    Raises:
        InputError: it is no such name.
    """
    import yaml

    name = check_benchmark(benchmark)
    rows: list[dict[str, Any]] = []
    for record in records:
        if record.result is None:
            continue
        row = {"dataset": {"id": benchmark, "task_id": record.spec.dataset}, "value": record.result}
        if isinstance(record.get("finished"), str):
            row["date"] = record["finished"]
        rows.append({**row, "notes": f"{_metric(record)} in percent; {_way(record)}"})
    if not rows:
        return None
    path = out / ".eval_results" / f"{name}.yaml"
    write_text(path, yaml.safe_dump(rows, sort_keys=False, allow_unicode=True))
    return path


def base_results(records: Iterable[RunRecord], model: str, weights_sha256: str | None) -> list[RunRecord]:
    """The usual finished runs of a model's very weights that tuned nothing, by suite and data set.

    Runs with searched prompts are none of the model's own, nor are those of an unusual precision or prompt style. Of
    several runs of one kind it is the newest; another split is another kind.
    """
    own: dict[tuple[str, ...], RunRecord] = {}
    for record in sorted(records, key=lambda one: (str(one.get("finished") or ""), one.digest)):
        spec = record.spec
        if not record.is_done or record.result is None or spec.model != model or spec.mode not in UNTUNED:
            continue
        if weights_sha256 is not None and record.get("weights_sha256") == weights_sha256 and _is_usual(record):
            own[spec.suite, spec.dataset, spec.eval_split, spec.mode, _metric(record)] = record
    return [own[key] for key in sorted(own)]


def _is_usual(record: RunRecord) -> bool:
    """But for the name of its weights, which their hash makes the model's own."""
    unnamed = replace(record, spec=replace(record.spec, weights=None))
    return not variant_of(unnamed, split=False)  # which every row names


def results_table(records: Sequence[RunRecord]) -> str:
    """Markdown: the results of runs in percent, and AP50 where it was measured."""
    lines = ["| suite | data set | split | how | metric | result | AP50 |", "|---|---|---|---|---|---|---|"]
    for one in records:
        spec = one.spec
        texts = (spec.suite, spec.dataset, spec.eval_split, _way(one), _metric(one))
        cells = [*map(for_markdown, texts), _shown(one.result), _shown(one.number("AP50"))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def metadata(records: Sequence[RunRecord]) -> list[EvalResult]:
    """The results of runs for the metadata of a model card."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="object-detection",
            dataset_type=record.spec.dataset,
            dataset_name=f"{record.spec.suite}: {record.spec.dataset}",
            dataset_split=record.spec.eval_split,
            metric_type=record.headline,
            metric_name=f"{_metric(record)}, {_way(record)}",
            metric_value=round(float(record.result), 4),
        )
        for record in records
        if record.result is not None
    ]


def _tuned_card(record: RunRecord) -> str:
    """The model card of tuned parts."""
    from huggingface_hub import ModelCardData

    spec = record.spec
    name = f"{spec.model}-{spec.dataset}-{spec.mode}"
    data = ModelCardData(
        library_name="odinw-bench",
        pipeline_tag="object-detection",
        tags=["glip", "object-detection", "odinw", spec.mode],
        model_name=name,
        eval_results=metadata([record]) or None,
    )
    cost: Mapping[str, Any] = record.cost
    values, seconds = cost.get("tuned_parameters"), cost.get("tune_seconds")
    spent = [f"{values:,} values"] if values is not None else []
    device = for_markdown(str(record.environment.get("device_name", "one device")))
    spent += [f"{seconds:.0f} seconds on {device}"] if seconds else []
    model, mode, dataset = map(for_markdown, (spec.model, spec.mode, spec.dataset))
    return f"""---
{data.to_yaml()}
---

# {for_markdown(name)}

What tuning {model} (mode {mode}) on {dataset} changed{": " + ", ".join(spent) if spent else ""}.
The base's weights have SHA-256 {for_markdown(str(record.get("weights_sha256")))} and are not part of this repository.

```python
from odinw_bench import load_run

load_run("FOLDER").predict("photo.jpg")
```

In transformers the converted base takes it too (where it reads prompts): `prompt = model.load_tuned("FOLDER")`,
then `processor(images=photo, text=prompt)`.

## Results

{results_table([record])}
"""


def _way(record: RunRecord) -> str:
    """How a run adapted the model, in words."""
    spec = record.spec
    if spec.mode in UNTUNED:
        return spec.mode
    shots = "all images" if spec.shots == "all" else f"{spec.shots} shot{'s' if spec.shots != 1 else ''}"
    return f"{spec.mode}, {shots}, seed {spec.seed}"


def _metric(record: RunRecord) -> str:
    """What its result is called: AP alone would not say whose."""
    return f"{record.evaluation.get('name', 'COCO')} {record.headline}"


def _shown(percent: float | None) -> str:
    return "-" if percent is None else f"{percent:.1f}"
