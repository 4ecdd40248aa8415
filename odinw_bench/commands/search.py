"""``odinw-bench search``: better words for a prompt, in numbers, files and a figure."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from odinw_bench.commands.output import console, number, print_json, table
from odinw_bench.files import write_bytes, write_text
from odinw_bench.report.document import format_number
from odinw_bench.report.searches import history_figure
from odinw_bench.search import PLAIN, Search, SearchSettings, begin, luck, set_up, work
from odinw_bench.search.outcome import BEST, conclude

LINE_SECONDS = 10.0


@dataclass(frozen=True)
class SearchArguments:
    """What the command line gives beside the settings."""

    workers: int
    check_luck: bool
    explain: bool
    hints: bool
    quiet: bool
    as_json: bool


def command(settings: SearchSettings, arguments: SearchArguments) -> None:
    """Search, test, print."""
    search = set_up(settings)
    say = _Sayer(quiet=arguments.quiet or arguments.as_json)
    begin(search, hints=arguments.hints)
    say.always(f"{search.name}: {settings.trials} prompts on {_images(search)} labelled images; the test split is not")
    with_others(search, arguments.workers, say)
    lucky = None
    if arguments.check_luck:
        say.always("the same search with shuffled labels: what luck alone would find")
        lucky = luck(search, say)
    content = conclude(search, lucky, explain=arguments.explain, say=say.always)
    figure, history = history_figure([content]), search.folder / "history.png"
    write_bytes(history, figure.png)
    write_text(history.with_suffix(".svg"), figure.svg)
    if arguments.as_json:
        print_json(content | {"folder": str(search.folder)})
        return
    show(content)
    print(f"best prompt: {search.folder / 'best.yaml'} (run --mode manual --attributes FILE)")
    print(f"written: {search.folder / 'search.json'}, {history}, {history.with_suffix('.svg')}")


def with_others(search: Search, workers: int, say: _Sayer) -> None:
    """Do the trials in so many processes, this one among them."""
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_help, args=(search.settings,), daemon=True) for _ in range(workers - 1)]
    for other in others:
        other.start()
    try:
        work(search, say)
        for other in others:
            other.join()
    finally:
        for other in others:
            if other.is_alive():
                other.terminate()
                other.join()


def _help(settings: SearchSettings) -> None:
    """The life of another worker."""
    work(set_up(settings))


def show(content: Mapping[str, Any]) -> None:
    """Print what came out."""
    tried = sorted((t for t in content["trials"] if t["AP"] is not None), key=lambda t: -t["AP"])
    given_up = sum(trial["state"] == "pruned" for trial in content["trials"])
    rows = [[str(t["number"] + 1), number(t["AP"]), t["given"] or "", t["caption"]] for t in tried[:8]]
    title = f"The best of {len(content['trials'])} prompts tried ({given_up} given up early): AP on the labelled images"
    console().print(table(title, ["trial", "AP", "", "prompt"], rows, numbers=("trial", "AP")))
    rows = [[what, number(entry["search_AP"]), number(entry["test_AP"])] for what, entry in content["prompts"].items()]
    numbers = ("labelled images", "test split")
    console().print(table("AP in percent", ["prompt", *numbers], rows, numbers=numbers))
    prompts, lucky = content["prompts"], content["luck"]
    if lucky is not None:
        gain = (prompts[BEST]["search_AP"] or 0) - (prompts[PLAIN]["search_AP"] or 0)
        print(
            f"the search gained {format_number(gain, sign=True)} AP on the images it saw; with shuffled labels, "
            f"where there is nothing to find, {format_number(lucky['gain'], sign=True)}"
        )
    if content["words"]:
        rows = [_word_row(entry) for entry in content["words"]]
        values = ("AP of the task", "low", "high", "AP of the class")
        title = "What each class's words are worth on the labelled images (95 % intervals over images)"
        console().print(table(title, ["words", *values], rows, numbers=values))


def _word_row(entry: Mapping[str, Any]) -> list[str]:
    values = [entry["difference"], entry["low"], entry["high"]]
    alone = entry["class_difference"]
    shown = [format_number(value, sign=True) for value in values]
    return [entry["words"], *shown, "-" if alone is None else format_number(alone, sign=True)]


def _images(search: Search) -> int:
    return len(search.prepared.train or ()) + len(search.prepared.validation or ())


class _Sayer:
    """Says where a search is: the best so far at once, the rest now and then."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet, self.last = quiet, 0.0

    def always(self, text: str) -> None:
        """Whatever was said last."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def __call__(self, text: str) -> None:
        if time.monotonic() > self.last + LINE_SECONDS:
            self.last = time.monotonic()
            self.always(text)
