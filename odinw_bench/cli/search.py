"""Arguments of ``odinw-bench search``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odinw_bench.commands.options import DataRoot, Debug, Device, Json, Listed, Weights, parse_shots, split_list

app = typer.Typer()


@app.command()
def search(
    dataset: Annotated[Listed, typer.Option("--dataset", help="Task names, COCO folders, or 'all' of the suite.")],
    suite: Annotated[str, typer.Option("--suite", help="mini, odinw13, odinw35, or a folder.")] = "mini",
    space: Annotated[
        str, typer.Option("--space", help="prompt: words of a prompt; tuning: hyper-parameters of a tuning mode.")
    ] = "prompt",
    mode: Annotated[str, typer.Option("--mode", help="With --space tuning: the mode that is tuned.")] = "prompt",
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="With --space tuning: the recipe to begin with.")
    ] = None,
    model: Annotated[str, typer.Option("--model", help="A GLIP model; with --space tuning any.")] = "glip-nano",
    shots: Annotated[str, typer.Option("--shots", help="Images per class to search on, or 'all'.")] = "5",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the subset and the search.")] = 3,
    weights: Weights = None,
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="Prompts or recipes to try, of all workers together.")
    ] = 60,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0, help="Seconds after which no new trial begins.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option("--storage", help="Database of the study: sqlite:///FILE, postgresql://... Default: a journal."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that share the study.")] = 1,
    hints: Annotated[
        bool, typer.Option("--hints/--from-scratch", help="Try the task's hand-written prompt first, or never.")
    ] = True,
    check_luck: Annotated[
        bool, typer.Option("--luck/--no-luck", help="Prompts: also search with shuffled labels: what luck alone finds.")
    ] = True,
    explain: Annotated[
        bool, typer.Option("--explain/--no-explain", help="Prompts: also say which class's words matter.")
    ] = True,
    data_root: DataRoot = None,
    results: Annotated[Path, typer.Option("--results", help="Folder of records and searches.")] = Path("results"),
    device: Device = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only the tables.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Search for a better prompt, or for better hyper-parameters; the test split is looked at once, at the end.

    Prompts: each class gets words for its colour, texture, shape ... before or after its name, judged on the k
    labelled images per class and the validation images. Hyper-parameters: learning rate, weight decay, epochs and
    copies of a tuning mode, each tried by tuning with them, judged on the validation images. A killed search goes on
    with the same command, and several workers (here or elsewhere, with --storage) share one study. For example:

        odinw-bench search --suite mini --dataset aquarium --shots 5 --trials 60
        odinw-bench search --dataset pothole --space tuning --mode prompt --shots 5 --trials 20
        odinw-bench search --suite odinw13 --data-root DATA --model glip-t --dataset aquarium --trials 200 --device cuda
    """
    from odinw_bench.commands.search import SearchArguments, command
    from odinw_bench.datasets.registry import list_tasks
    from odinw_bench.search import SearchSettings
    from odinw_bench.utils.hardware import pick_device

    named = split_list(dataset)
    for name in list_tasks(suite) if "all" in named else named:
        settings = SearchSettings(
            name,
            model,
            suite,
            parse_shots(shots),
            seed,
            weights,
            trials,
            timeout,
            storage,
            results,
            data_root,
            pick_device(device),
            space,
            mode,
            protocol,
        )
        command(settings, SearchArguments(workers, check_luck, explain, hints, quiet, as_json))
