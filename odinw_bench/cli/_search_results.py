"""What a search found, as the terminal shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from odinw_bench.cli._console import console, number, table, write_line


def show(content: Mapping[str, Any]) -> None:
    """Print what came out."""
    from odinw_bench.report.document import format_number
    from odinw_bench.search import PLAIN
    from odinw_bench.search.study import BEST

    tried = sorted((t for t in content["trials"] if t["AP"] is not None), key=lambda t: -t["AP"])
    given_up = sum(trial["state"] == "pruned" for trial in content["trials"])
    rows = [[str(t["number"] + 1), number(t["AP"]), t["given"] or "", t["caption"]] for t in tried[:8]]
    title = f"The best of {len(content['trials'])} prompts tried ({given_up} given up early): AP on the labelled images"
    console().print(table(title, ["trial", "AP", "", "prompt"], rows, numbers=("trial", "AP")))
    rows = [[what, number(entry["search_AP"]), number(entry["test_AP"])] for what, entry in content["prompts"].items()]
    numbers = ("labelled images", "test split")
    console().print(table("AP in percent", ["prompt", *numbers], rows, numbers=numbers))
    prompts, control = content["prompts"], content["shuffled_control"]
    if control is not None:
        gain = (prompts[BEST]["search_AP"] or 0) - (prompts[PLAIN]["search_AP"] or 0)
        write_line(
            f"the search gained {format_number(gain, sign=True)} AP on the images it saw; with shuffled labels, "
            f"where there is nothing to find, {format_number(control['gain'], sign=True)}"
        )
    if content["words"]:
        rows = [_word_row(entry) for entry in content["words"]]
        values = ("AP of the task", "low", "high", "AP of the class")
        title = "What each class's words are worth on the labelled images (95 % intervals over images)"
        console().print(table(title, ["words", *values], rows, numbers=values))
    if content.get("single_words"):
        write_line(words_in_short(content["single_words"]))


def words_in_short(words: Sequence[Mapping[str, Any]]) -> str:
    """Which words earned their place, on one line."""
    kept, gone = ([f"{one['word']} ({one['class']})" for one in words if one["kept"] is kept] for kept in (True, False))
    earned, idle = ", ".join(kept) or "none", ", ".join(gone) or "none"
    return f"words that earned their place: {earned}; left out in the simplest: {idle}"


def show_recipes(content: Mapping[str, Any]) -> None:
    """Print what a search for hyper-parameters found."""
    from odinw_bench.search.recipe import in_words
    from odinw_bench.search.study import BEST

    tried = sorted((t for t in content["trials"] if t["AP"] is not None), key=lambda t: -t["AP"])
    states = [trial["state"] for trial in content["trials"]]
    rows = [[str(t["number"] + 1), number(t["AP"]), t["caption"]] for t in tried[:8]]
    title = (
        f"The best of {len(states)} recipes tried ({states.count('pruned')} given up early, "
        f"{states.count('fail')} diverged): AP on the validation images"
    )
    console().print(table(title, ["trial", "AP", "recipe"], rows, numbers=("trial", "AP")))
    recipes = content["recipes"]
    rows = [[what, number(one["search_AP"]), number(one["test_AP"])] for what, one in recipes.items()]
    numbers = ("validation images", "test split")
    console().print(table("AP in percent", ["recipe", *numbers], rows, numbers=numbers))
    seen = _difference(recipes, "search_AP")
    write_line(
        f"the search gained {seen} AP on the images it saw, and {_difference(recipes, 'test_AP')} on the test split"
    )
    if content["importance"]:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in content["importance"].items())
        write_line(f"what changed the AP most: {shares}")
    found = recipes[BEST]["overrides"]
    write_line(
        f"best recipe: run --mode {content['spec']['mode']} --set {in_words(found)}" if found else "none was better"
    )


def _difference(recipes: Mapping[str, Any], what: str) -> str:
    from odinw_bench.report.document import format_number
    from odinw_bench.search.study import BEST
    from odinw_bench.search.tuning import PROTOCOL

    best, base = recipes[BEST][what], recipes[PROTOCOL][what]
    return "-" if best is None or base is None else format_number(best - base, sign=True)


def _word_row(entry: Mapping[str, Any]) -> list[str]:
    from odinw_bench.report.document import format_number

    values = [entry["difference"], entry["low"], entry["high"]]
    alone = entry["class_difference"]
    shown = [format_number(value, sign=True) for value in values]
    return [entry["words"], *shown, "-" if alone is None else format_number(alone, sign=True)]
