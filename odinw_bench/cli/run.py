"""``odinw-bench run``: tune and test the cells of a grid."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glip_core.errors import InputError
from odinw_bench.cli._config import take_config
from odinw_bench.cli._console import write_line
from odinw_bench.cli._grids import NamedGrid, named_grids
from odinw_bench.cli._names import DEFAULT_IN_WORDS, paths_first, pick_suite
from odinw_bench.cli._options import (
    SUITES,
    DataRoot,
    Debug,
    Device,
    Json,
    LenientWeights,
    Listed,
    Weights,
    split_list,
)

if TYPE_CHECKING:
    from odinw_bench.runs.options import RunOptions

app = typer.Typer()


@app.command()
def run(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            callback=take_config,
            is_eager=True,
            help="A YAML file of these options: 'mode: [prompt, full]'; several grids under 'grids'. Options given "
            "beside it go first.",
        ),
    ] = None,
    model: Annotated[Listed, typer.Option("--model", help="Detectors; see `odinw-bench models list`.")] = ["glip-nano"],
    suite: Annotated[
        str,
        typer.Option(
            "--suite", help=f"{SUITES} of data sets; all-paper: the grids of grids/paper.yaml. {DEFAULT_IN_WORDS}"
        ),
    ] = "",
    dataset: Annotated[Listed, typer.Option("--dataset", help="Task names, 'all', or paths of data sets.")] = ["all"],
    mode: Annotated[
        Listed,
        typer.Option(
            "--mode",
            help="zero-shot, manual, prompt, linear, prompt+linear, language, language+linear, full, bias, norm, lora, "
            "dora, prompt+lora, or 'all'.",
        ),
    ] = ["prompt"],
    shots: Annotated[Listed, typer.Option("--shots", help="Images per class: numbers or 'all' (images).")] = ["5"],
    seed: Annotated[Listed, typer.Option("--seed", help="Seeds of subset and training; 'all' is 3,30,300.")] = ["3"],
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="odinw-glip, quick or mini; see `protocol`.")
    ] = None,
    weights: Weights = None,
    lenient_weights: LenientWeights = False,
    attributes: Annotated[
        Path | None, typer.Option("--attributes", help="Mode manual: YAML of class name -> prefix, name, suffix.")
    ] = None,
    data_root: DataRoot = None,
    results: Annotated[Path, typer.Option("--results", help="Folder of the run records.")] = Path("results"),
    device: Device = "auto",
    precision: Annotated[
        str, typer.Option("--precision", help="fp32, bf16 or fp16; recipes may train in another one (train_precision).")
    ] = "fp32",
    eval_split: Annotated[
        str, typer.Option("--eval-split", help="The split that is reported; official: each task's own.")
    ] = "test",
    prompt_style: Annotated[
        str | None,
        typer.Option(
            "--prompt-style",
            help="names or written, in any mode. Default: that of the official task files (odinw35 writes four).",
        ),
    ] = None,
    retention: Annotated[
        Listed,
        typer.Option(
            "--retention",
            help="What tuning destroys: data sets asked again zero-shot after tuning. mini (seen names of "
            "the other tasks), coco (500 images), SUITE/TASK or paths.",
        ),
    ] = [],
    override: Annotated[Listed, typer.Option("--set", help="Hyper-parameters, such as lr=0.01.")] = [],
    metric: Annotated[
        Listed, typer.Option("--metric", help="Metrics beside COCO's: functions, as PACKAGE.MODULE:FUNCTION.")
    ] = [],
    log: Annotated[
        Listed,
        typer.Option(
            "--log",
            help="Also write losses and results to tensorboard, wandb, mlflow or trackio (pip extras of these names).",
        ),
    ] = [],
    cache_gb: Annotated[
        float, typer.Option("--cache-gb", min=0, help="Memory for frozen features while tuning, of each worker.")
    ] = 2.0,
    cache_disk_gb: Annotated[
        float, typer.Option("--cache-disk-gb", min=0, help="Disk for them beyond that, shared by all runs. 0: none.")
    ] = 0.0,
    cache_dir: Annotated[
        Path | None, typer.Option("--cache-dir", help="Folder of that disk cache. Default: the user's cache folder.")
    ] = None,
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Tune in less memory and more time; the numbers are the same.")
    ] = False,
    tf32: Annotated[
        bool, typer.Option("--tf32", help="On GPUs, round float32 products to TF32: faster, wrong by some 1e-3.")
    ] = False,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help="local: one after the other; processes: side by side; ray: on a cluster; auto: processes for small "
            "models.",
        ),
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option("--workers", help="Processes at a time. Default: one per GPU, else one per core."),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option("--ray-address", help="A Ray cluster to join, HOST:PORT or 'auto'. Default: one started here."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Do finished runs again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    profile_official: Annotated[
        bool,
        typer.Option(
            "--profile-official",
            help="Only print caption, files, sizes, thresholds and recipe of every task of odinw13 and odinw35.",
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only the table.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Tune and test: every combination of the given models, datasets, modes, shots and seeds.

    Lists are separated by commas, or the option is repeated. A finished run is never done twice; a run that fails is
    recorded and the others continue. Exit code 0: all done; 1: some run failed; 2: unusable input.

    For example:

    ```
    odinw-bench run --mode prompt --shots 5
    odinw-bench run --dataset aquarium,raccoon --mode zero-shot,prompt,full \
        --shots 1,5,all --seed all
    odinw-bench run --suite odinw13 --data-root DATA --model glip-t \
        --mode prompt --shots 5 --device cuda
    torchrun --nproc-per-node 4 -m odinw_bench run --dataset pascalvoc \
        --mode full --shots all --device cuda
    odinw-bench run --dataset my/coco/folder --mode full --shots all \
        --set lr=0.0003,epochs=20
    odinw-bench run --mode prompt,full --dry-run --json > grid.json
    odinw-bench run --config grid.json
    ```
    """
    from odinw_bench.engine.cache_settings import CacheSettings
    from odinw_bench.runs.launchers import device_for
    from odinw_bench.runs.options import RunOptions

    suite = pick_suite(suite, data_root, quiet=quiet or as_json or not _is_by_name(dataset))
    grids = named_grids(
        context,
        {
            **{
                "model": model,
                "suite": suite,
                "dataset": paths_first(split_list(dataset), quiet=quiet or as_json),
                "mode": mode,
                "shots": shots,
                "seed": seed,
            },
            **{"protocol": protocol, "weights": weights, "attributes": attributes, "override": override},
            **{"precision": precision, "eval_split": eval_split, "prompt_style": prompt_style},
            "retention": retention,
        },
    )
    if profile_official:
        from odinw_bench.cli._official import print_official

        print_official(grids[0].grid, as_json=as_json)
        return
    options = RunOptions(
        results=results,
        data_root=data_root,
        device=device_for(device, engine, ray_address),
        force=force,
        cache=CacheSettings(_bytes(cache_gb, "--cache-gb"), _bytes(cache_disk_gb, "--cache-disk-gb"), cache_dir),
        checkpointing=checkpointing,
        tf32=tf32,
        lenient_weights=lenient_weights,
        engine=engine,
        workers=workers,
        ray_address=ray_address,
        quiet=quiet,
        metrics=split_list(metric),
        log=split_list(log),
    )
    raise typer.Exit(_run_grids(grids, options, dry_run=dry_run, as_json=as_json, debug=debug))


def _bytes(gigabytes: float, option: str) -> int:
    """A budget of a cache; ``inf`` is without a limit."""
    if math.isnan(gigabytes):
        raise InputError(f"{option} must be a number of gigabytes, or inf, not nan")
    return int(min(gigabytes * 2**30, sys.maxsize))


def _is_by_name(datasets: list[str]) -> bool:
    """Whether the suite says which data sets are meant: paths need none."""
    from odinw_bench.datasets.folder import is_data_set

    return not all(name != "all" and is_data_set(Path(name).expanduser()) for name in split_list(datasets))


def _run_grids(grids: list[NamedGrid], options: RunOptions, *, dry_run: bool, as_json: bool, debug: bool) -> int:
    """Do the grids; returns the exit code."""
    from odinw_bench.cli._doing import do_plan
    from odinw_bench.cli._plan import plan_grids, print_plan
    from odinw_bench.runs.plan import joined

    planned = plan_grids(grids, options, quiet=as_json)
    if dry_run:
        print_plan(planned, options, as_json=as_json)
        return 0
    splits = list(dict.fromkeys(one.named.grid.eval_split for one in planned))
    try:
        together = joined([one.plan for one in planned if one.plan])
        return do_plan(together, options, eval_split=" and ".join(splits), as_json=as_json, debug=debug)
    except KeyboardInterrupt:
        again = "the same command resumes where this one stopped"
        if options.force:
            again = "--force begins every run from the start; without it finished ones count and others resume"
        write_line(f"interrupted; {again}", file=sys.stderr)
        return 130
