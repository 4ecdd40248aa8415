"""Arguments of the command that tunes and tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odinw_bench.cli._options import DataRoot, Debug, Device, Json, Listed, Weights, split_list, split_pairs

app = typer.Typer()


@app.command()
def run(
    model: Annotated[Listed, typer.Option("--model", help="Detectors; see `odinw-bench models list`.")] = ["glip-nano"],
    suite: Annotated[
        str, typer.Option("--suite", help="mini, odinw13, odinw35, or a folder of COCO datasets.")
    ] = "mini",
    dataset: Annotated[Listed, typer.Option("--dataset", help="Task names, 'all', or the path of a COCO folder.")] = [
        "all"
    ],
    mode: Annotated[
        Listed,
        typer.Option(
            "--mode",
            help="zero-shot, manual, prompt, linear, prompt+linear, language, language+linear, full, or 'all'.",
        ),
    ] = ["prompt"],
    shots: Annotated[Listed, typer.Option("--shots", help="Images per class: numbers or 'all' (images).")] = ["5"],
    seed: Annotated[Listed, typer.Option("--seed", help="Seeds of subset and training; 'all' is 3,30,300.")] = ["3"],
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="odinw-glip, quick or mini; see `protocol`.")
    ] = None,
    weights: Weights = None,
    attributes: Annotated[
        Path | None, typer.Option("--attributes", help="Mode manual: YAML of class name -> prefix, name, suffix.")
    ] = None,
    data_root: DataRoot = None,
    results: Annotated[Path, typer.Option("--results", help="Folder of the run records.")] = Path("results"),
    device: Device = "auto",
    precision: Annotated[str, typer.Option("--precision", help="fp32, bf16 or fp16.")] = "fp32",
    eval_split: Annotated[str, typer.Option("--eval-split", help="The split that is reported.")] = "test",
    override: Annotated[Listed, typer.Option("--set", help="Hyper-parameters, such as lr=0.01.")] = [],
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
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only the table.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Tune and test: every combination of the given models, datasets, modes, shots and seeds.

    Lists are separated by commas, or the option is repeated. A finished run is never done twice; a run that fails is
    recorded and the others go on. Exit code 0: all done; 1: some run failed; 2: unusable input.

    For example:

    ```
    odinw-bench run --mode prompt --shots 5
    odinw-bench run --dataset aquarium,raccoon --mode zero-shot,prompt,full \
        --shots 1,5,all --seed all
    odinw-bench run --suite odinw13 --data-root DATA --model glip-t \
        --mode prompt --shots 5 --device cuda
    torchrun --nproc-per-node 8 -m odinw_bench run --dataset pascalvoc \
        --mode full --shots all --device cuda
    odinw-bench run --dataset my/coco/folder --mode full --shots all \
        --set lr=0.0003,epochs=20
    ```
    """
    from odinw_bench.cli._run import RunArguments, command

    raise typer.Exit(
        command(
            RunArguments(
                models=split_list(model),
                suite=suite,
                datasets=split_list(dataset),
                modes=split_list(mode),
                shots=split_list(shots),
                seeds=split_list(seed),
                protocol=protocol,
                weights=weights,
                attributes=None if attributes is None else str(attributes),
                data_root=data_root,
                results=results,
                device=device,
                precision=precision,
                eval_split=eval_split,
                overrides=split_pairs(override),
                cache_gb=cache_gb,
                cache_disk_gb=cache_disk_gb,
                cache_dir=cache_dir,
                checkpointing=checkpointing,
                engine=engine,
                workers=workers,
                ray_address=ray_address,
                force=force,
                dry_run=dry_run,
                quiet=quiet,
                as_json=as_json,
                debug=debug,
            )
        )
    )
