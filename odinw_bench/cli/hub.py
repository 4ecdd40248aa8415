"""``odinw-bench export hub``, ``export peft`` and ``models convert``: folders for the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glip_core.errors import InputError
from odinw_bench.cli._console import print_json, write_line
from odinw_bench.cli._options import Debug, Json, LenientWeights, Weights

Benchmark = Annotated[
    str | None,
    typer.Option(
        "--benchmark", help="OWNER/NAME of the benchmark's data set on the hub: writes .eval_results/NAME.yaml for it."
    ),
]


def hub(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's folder, or a pattern in quotes that fits one alone.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write, new or empty.")],
    benchmark: Benchmark = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Write what a run tuned as a repository for the Hugging Face hub: kilobytes, a model card, the results.

    Python reads it by load_run(FOLDER), transformers by model.load_tuned(FOLDER). For example:

    ```
    odinw-bench export hub \
        "results/mini/glip-nano/aquarium/prompt-5shot-seed3-*" \
        --out aquarium-prompt
    hf upload me/aquarium-prompt aquarium-prompt .
    ```
    """
    from odinw_bench.report.hub import write_tuned
    from odinw_bench.report.pairs import find_runs

    found = find_runs(run)
    if len(found) > 1:
        raise InputError(f"'{run}' are {len(found)} runs, among them '{found[0].folder}'; name one")
    files = write_tuned(found[0].record, out, benchmark)
    size = sum((out / name).stat().st_size for name in files)
    if as_json:
        print_json({"written": [str(out / name) for name in files], "bytes": size})
        return
    write_line(f"{out}: {len(files)} files, {size / 1e3:,.0f} kB")


def peft(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's folder, or a pattern in quotes that fits one alone.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write, new or empty.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Write what a run of the mode lora or dora tuned as the library peft does: PeftModel reads it.

    The base is a model of transformers: GLIP as `models convert` writes it, or a Grounding DINO. Needs the extra
    `peft`. For example:

    ```
    odinw-bench export peft \
        "results/mini/glip-nano/aquarium/lora-5shot-seed3-*" \
        --out aquarium-lora
    ```
    """
    from odinw_bench.report.pairs import find_runs
    from odinw_bench.runs.peft import export_peft

    found = find_runs(run)
    if len(found) > 1:
        raise InputError(f"'{run}' are {len(found)} runs, among them '{found[0].folder}'; name one")
    files = export_peft(found[0].folder, out)
    size = sum((out / name).stat().st_size for name in files)
    if as_json:
        print_json({"written": [str(out / name) for name in files], "bytes": size})
        return
    write_line(f"{out}: {len(files)} files, {size / 1e3:,.0f} kB")


def convert(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A GLIP, such as glip-t or glip-nano.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write, new or empty.")],
    weights: Weights = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", help="Folder of run records: zero-shot results of these weights go into the card."),
    ] = None,
    benchmark: Benchmark = None,
    lenient_weights: LenientWeights = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Write a model as a folder that transformers loads: config, safetensors, tokenizer, model card.

    `import glip_core.hf` makes the Auto classes and pipelines of transformers know it. For example:

    ```
    odinw-bench models convert glip-t \
        --weights glip_tiny_model_o365_goldg_cc_sbu.pth --out glip-t-hf
    ```
    """
    from glip_core.builder import load
    from odinw_bench.report import hub as made
    from odinw_bench.runs.record import find_records
    from odinw_bench.utils.io import write_text

    made.check_empty(out)
    made.check_benchmark(benchmark)
    detector = load(model, weights, lenient=lenient_weights)
    from glip_core import hf
    from glip_core.hf.card import README, model_card

    converted = hf.convert(detector, out)
    found = [] if results is None else [record for _, record in find_records(results)]
    own = made.base_results(found, model, detector.weights_sha256)
    if own:
        write_text(out / README, model_card(converted.config, made.metadata(own), made.results_table(own)))
        if benchmark is not None:
            made.write_results(own, out, benchmark)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    if as_json:
        print_json({"written": str(out), "bytes": size, "results": len(own)})
        return
    write_line(f"{out}: {model}, {size / 1e6:,.0f} MB, {len(own)} results in its card")
