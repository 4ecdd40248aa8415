"""``odinw-bench search``: better words for a prompt, or a better recipe, in numbers, files and a figure."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glip_core.errors import InputError
from odinw_bench.cli._console import print_json, write_line
from odinw_bench.cli._grids import is_on_command_line
from odinw_bench.cli._names import DEFAULT_IN_WORDS, paths_first, pick_suite
from odinw_bench.cli._options import SUITES, DataRoot, Debug, Device, Json, Listed, Weights, parse_shots, split_list
from odinw_bench.cli._search_results import show, show_recipes

if TYPE_CHECKING:
    from odinw_bench.search import Search, SearchSettings

LINE_SECONDS = 10.0
app = typer.Typer()


@app.command()
def search(
    context: typer.Context,
    dataset: Annotated[Listed, typer.Option("--dataset", help="Task names, COCO folders, or 'all' of the suite.")],
    suite: Annotated[str, typer.Option("--suite", help=f"{SUITES}. {DEFAULT_IN_WORDS}")] = "",
    space: Annotated[
        str, typer.Option("--space", help="prompt: words of a prompt; tuning: hyper-parameters of a tuning mode.")
    ] = "prompt",
    mode: Annotated[str, typer.Option("--mode", help="With --space tuning: the mode that is tuned.")] = "prompt",
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="With --space tuning: the recipe to begin with.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", help="One that reads a prompt; with --space tuning any.")
    ] = "glip-nano",
    shots: Annotated[str, typer.Option("--shots", help="Images per class to search on, or 'all'.")] = "5",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the subset and the search.")] = 3,
    weights: Weights = None,
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="Prompts or recipes to try, of all workers together.")
    ] = 60,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0, help="Seconds after which the search begins no new trial.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option("--storage", help="Database of the study: sqlite:///FILE, postgresql://... Default: a journal."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that share the study.")] = 1,
    hints: Annotated[
        bool,
        typer.Option(
            "--hints/--from-scratch",
            help="Try the task's hand-written prompt first, or what is nearest to it; or never.",
        ),
    ] = True,
    control: Annotated[
        bool,
        typer.Option(
            "--control/--no-control",
            help="Prompts: also search with shuffled labels, a control: what chance alone gains.",
        ),
    ] = True,
    old_control: Annotated[
        bool | None, typer.Option("--luck/--no-luck", hidden=True, help="The earlier name of --control.")
    ] = None,
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
    r"""Search for a better prompt, or for better hyper-parameters; the test split is looked at once, at the end.

    Prompts: each class gets words for its colour, texture, shape ... before or after its name, evaluated on the k
    labelled images per class and the validation images. Hyper-parameters: learning rate, weight decay, epochs and
    repeats of a tuning mode, each tried by tuning with them, evaluated on the validation images. The same command
    resumes a killed search, and several workers (here or elsewhere, with --storage) share one study. For example:

    ```
    odinw-bench search --suite mini --dataset aquarium --shots 5 --trials 60
    odinw-bench search --dataset pothole --space tuning --mode prompt \
        --shots 5 --trials 20
    odinw-bench search --suite odinw13 --data-root DATA --model glip-t \
        --dataset aquarium --trials 200 --device cuda
    ```
    """
    from odinw_bench.datasets.names import load_tasks
    from odinw_bench.datasets.registry import list_tasks
    from odinw_bench.search import SearchSettings
    from odinw_bench.utils.hardware import pick_device

    for option in ("mode", "protocol"):
        if space == "prompt" and is_on_command_line(context, option):
            raise InputError(f"--{option} is for --space tuning; what was asked for is a search for words")
    control = control if old_control is None else old_control
    arguments = _Arguments(workers, control, explain, hints, quiet, as_json)
    suite = pick_suite(suite, data_root, quiet=quiet or as_json)
    named = paths_first(split_list(dataset), quiet=quiet or as_json)
    names = list_tasks(suite) if "all" in named else named
    load_tasks(names, suite)  # a slip in the last name is found before the first is searched on
    found = []
    for name in names:
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
        found.append(_search(settings, arguments))
    if as_json:
        print_json(found[0] if len(found) == 1 else found)


@dataclass(frozen=True)
class _Arguments:
    """What the command line gives beside the settings."""

    workers: int
    control: bool
    explain: bool
    hints: bool
    quiet: bool
    as_json: bool


def _search(settings: SearchSettings, arguments: _Arguments) -> dict[str, Any]:
    """Search, test, print; returns what ``--json`` prints of it."""
    from odinw_bench.report.searches import history_figure
    from odinw_bench.search.workers import clear_workers
    from odinw_bench.utils.io import write_bytes, write_text

    say = _Sayer(quiet=arguments.quiet or arguments.as_json)
    if settings.space == "tuning":
        folder, content = _search_recipes(settings, arguments, say)
    else:
        folder, content = _search_prompts(settings, arguments, say)
    figure, history = history_figure([content]), folder / "history.png"
    write_bytes(history, figure.png)
    write_text(history.with_suffix(".svg"), figure.svg)
    for place in (folder, folder / "shuffled_control"):
        clear_workers(place)
    printed = content | {"folder": str(folder)}
    if arguments.as_json:
        return printed
    if settings.space == "tuning":
        show_recipes(content)
    else:
        show(content)
        write_line(f"best prompt: {folder / 'best.yaml'} (run --mode manual --attributes FILE)")
    write_line(f"written: {folder / 'search.json'}, {history}, {history.with_suffix('.svg')}")
    return printed


def _search_prompts(settings: SearchSettings, arguments: _Arguments, say: _Sayer) -> tuple[Path, dict[str, Any]]:
    from odinw_bench.search import begin, set_up, shuffled_control, work
    from odinw_bench.search.outcome import conclude

    search = set_up(settings)
    begin(search, hints=arguments.hints)
    say.always(f"{search.name}: {settings.trials} prompts on {_images(search)} labelled images; the test split is not")
    with _others(settings, arguments.workers):
        work(search, say)
    control = None
    if arguments.control:
        say.always("shuffled-label control: what the same search gains by chance alone")
        control = shuffled_control(search, say)
    return search.folder, conclude(search, control, explain=arguments.explain, say=say.always)


def _search_recipes(settings: SearchSettings, arguments: _Arguments, say: _Sayer) -> tuple[Path, dict[str, Any]]:
    from odinw_bench.search.tuning import begin_tuning, conclude_tuning, set_up_tuning, work_tuning

    search = set_up_tuning(settings)
    begin_tuning(search)
    images = len(search.prepared.validation or ())
    say.always(
        f"{search.name}: {settings.trials} recipes, evaluated on {images} validation images; the test split is not"
    )
    with _others(settings, arguments.workers):
        work_tuning(search, say)
    return search.folder, conclude_tuning(search, say.always)


@contextmanager
def _others(settings: SearchSettings, workers: int) -> Iterator[None]:
    """Run further worker processes beside this one; all have ended when the block ends."""
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_help, args=(settings,), daemon=True) for _ in range(workers - 1)]
    for other in others:
        other.start()
    try:
        yield
        for other in others:
            other.join()
    finally:
        for other in others:
            if other.is_alive():
                other.terminate()
                other.join()


def _help(settings: SearchSettings) -> None:
    """What another worker does."""
    from glip_core.memory import keep_freed_memory
    from odinw_bench.search import set_up, work
    from odinw_bench.search.tuning import set_up_tuning, work_tuning

    keep_freed_memory()
    if settings.space == "tuning":
        work_tuning(set_up_tuning(settings))
    else:
        work(set_up(settings))


def _images(search: Search) -> int:
    return len(search.prepared.train or ()) + len(search.prepared.validation or ())


class _Sayer:
    """Says where a search is: the best so far at once, the rest now and then."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet, self.last = quiet, 0.0

    def always(self, text: str) -> None:
        """Whatever was said last."""
        if not self.quiet:
            write_line(text, file=sys.stderr, flush=True)

    def __call__(self, text: str) -> None:
        if time.monotonic() > self.last + LINE_SECONDS:
            self.last = time.monotonic()
            self.always(text)
