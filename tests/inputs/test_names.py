"""Hostile names through every output: terminal, Markdown, HTML, LaTeX, CSV, SVG, YAML, JSON, file names."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
import yaml

from odinw_bench.cli._console import console, table
from odinw_bench.cli._search_results import show as show_search
from odinw_bench.profiling.figure import draw_stages
from odinw_bench.report import ReportSettings, build_report
from odinw_bench.search.outcome import write_best
from odinw_bench.utils import escape
from tests.cli.conftest import write_dataset
from tests.inputs.answers import sound
from tests.report import made

NAMES = {
    "closing markup": "[/red]x",
    "markup": "[bold red]loud[/]",
    "a link": "[link=file:///etc]here[/link]",
    "emoji code": ":smile:",
    "mathematics": "$x^{$",
    "a formula": "=HYPERLINK(1)",
    "a command": "@SUM(1+9)*cmd|' /C calc'!A0",
    "plus": "+1+cmd",
    "minus": "-1+cmd",
    "spaces before": "  =1+1",
    "an escape": "red\x1b[31m\x1b]0;title\x07",
    "a C1 escape": "red\x9b31m",
    "a bell, a delete": "\x07\x7f\x08\x00",
    "a line break": "cat\nhacked: true",
    "a carriage return": "cat\rdog",
    "another line break": "cat\u2028dog\x85cow",
    "right to left": "cat\u202egpj.exe",
    "a script": "</script><script>alert(1)</script>",
    "an attribute": "\" onload='alert(1)",
    "a comment": "--><svg onload=alert(1)>",
    "TeX": r"\input{/etc/passwd}\write18{x}^^5c",
    "a TeX option": "[1cm]*",
    "a TeX comment": "50% & more # _x_ ~",
    "Markdown": "![x](javascript:alert(1)) `y` *z* | w",
    "a list": "- 1",
    "a heading": "# one",
    "a fence": "~~~",
    "format codes": "{0} %s {{7*7}} {% x %}",
    "hidden": "_hidden",
    "a path": "../../x",
    "not a character": "a\ufffeb\uffff",
}
UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufffe\uffff]")


def is_clean(text: str) -> bool:
    """Nothing in a text moves a cursor, turns its direction or cannot be written."""
    return UNSEEN.search(text) is None and "\r" not in text


# -- each writer by itself -----------------------------------------------------------------------------------------

WRITERS = [
    escape.visible,
    escape.one_line,
    escape.for_markdown,
    escape.for_latex,
    escape.for_csv,
    escape.for_figure,
]


@pytest.mark.parametrize("write", WRITERS)
def test_no_control_character_is_left(write, tried):
    for code in [*range(0x3000), *range(0xD7F0, 0xE010), *range(0xFE00, 0x10010)]:
        text = write(f"a{chr(code)}b")
        assert "\n" not in text
        assert is_clean(text), hex(code)
        text.encode()
        assert not {unicodedata.category(sign) for sign in text} & {"Cc", "Cs", "Zl", "Zp"}, hex(code)
    tried("input: hostile name", len(NAMES))


def test_json_is_the_same_value(tried):
    for name in [*NAMES.values(), "half \ud83d", "\u0600"]:
        text = escape.for_json(json.dumps({name: name}, ensure_ascii=False, indent=1))
        assert is_clean(text)
        text.encode()
        assert json.loads(text) == {name: name}
        tried("input: hostile name")


def test_symbols_tell_names_apart():
    assert escape.visible("a\x1b[1m\n\x7f\x9b\u202e\ud83d") == "a␛[1m␊␡<U+009B><U+202E><U+D83D>"
    assert escape.for_latex("\x1b") == r"\textless{}U+001B\textgreater{}"
    assert len({escape.for_csv(f"a{chr(code)}b") for code in range(128)}) == 128
    assert escape.visible("naïve 猫 🐕\u200d🦺 قطة") == "naïve 猫 🐕\u200d🦺 قطة"


def test_numbers_stay_numbers_in_csv():
    for text in ("-1", "+2.5", "-1e-3", "", "1-2", "a=b"):
        assert escape.for_csv(text) == text
    for text in ("=1", "+1+1", "-a", "@x", "\t=1", "\r=1", " =1", "＝1", "－x"):
        assert escape.for_csv(text).startswith("'")


def test_markdown_begins_no_list_or_rule():
    for text in ("- a", "+ a", "1. a", "12) a", "---", "===", "-"):
        assert escape.for_markdown(text) != text
        assert escape.for_markdown(text).replace("\\", "") == text
    for text in ("-1.5", "3.5 AP", "a - b", "2 test images"):
        assert escape.for_markdown(text) == text


# -- the terminal --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_tables_on_screen_show_what_is_there(capsys, tried, name):
    text = NAMES[name]
    console().print(table(text, ["name", text], [[text, "1"]]))
    out = capsys.readouterr().out
    assert is_clean(out)
    assert out.count(escape.visible(text).strip()) >= 2
    tried("input: hostile name")


@pytest.fixture
def hostile(tmp_path):
    """A data set whose classes have hostile names, those that annotations may hold."""
    return write_dataset(tmp_path / "set [/red]", names=list(NAMES.values()), images=len(NAMES))


def test_commands_on_a_data_set(cli, hostile, tmp_path, tried):
    for words in (
        ("data", "check", "--dataset", hostile, "--shots", "1"),
        ("run", "--dataset", hostile, "--mode", "zero-shot", "--dry-run", "--results", tmp_path / "r"),
        ("data", "list", "--suite", hostile.parent),
    ):
        answer = cli(*words)
        sound(answer)
        assert is_clean(answer.out + answer.err), words
        json_answer = cli(*words, "--json")
        assert is_clean(json_answer.out)
        tried("input: hostile name", len(NAMES))


def test_commands_on_records(cli, tmp_path, tried):
    for number, name in enumerate(NAMES.values()):
        per_class = {name: 50.0, "x": 10.0}
        record = made.record(made.spec(dataset="d", model=name), made.metrics(50.0, **per_class))
        record["data"]["annotation_notes"] = {"test": [name]}
        record["environment"]["device_name"] = name
        failed = made.record(made.spec(dataset=name, mode="full"), error=f"RuntimeError: {name}")
        for one in (record, failed):
            folder = tmp_path / f"{number}-{one['status']}"
            folder.mkdir()
            (folder / "run.json").write_text(json.dumps(one))
            for words in ((), ("--json",)):
                answer = cli("show", folder, *words)
                assert sound(answer) is None
                assert is_clean(answer.out + answer.err), name
            tried("input: hostile name")


# -- the report ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A report on records with every name as model, mode, task, class and error; one search."""
    place = tmp_path_factory.mktemp("hostile")
    results = place / "results"
    drawn = [NAMES[key] for key in ("mathematics", "an escape", "not a character", "hidden", "a comment", "a script")]
    for number, name in enumerate(NAMES.values()):
        for dataset in (name, "plain"):
            for mode, shots in ((name, 1), ("prompt", 5)):
                model = name if name in drawn else "glip-nano"  # a model has figures of its own, which take time
                spec = made.spec(dataset=dataset, model=model, mode=mode, shots=shots, seed=number, suite="mine")
                record = made.record(spec, made.metrics(20.0 + number, **{name: 20.0, "x": 10.0}))
                record["protocol"]["hyperparameters"] = {name: name}
                record["environment"]["device_name"] = name
                _write(results / f"{number}-{len(list(results.glob('*'))) if results.is_dir() else 0}", record)
        failed = made.record(made.spec(dataset=name, model=name, mode="full", suite="mine"), error=name)
        _write(results / f"{number}-failed", failed)
        _write(results / "search" / str(number), _search(name), "search.json")
    written = build_report(ReportSettings(results, place / "out" / "deep", title=NAMES["a script"]))
    return place, written


def _write(folder, content, name="run.json"):
    folder.mkdir(parents=True)
    (folder / name).write_text(json.dumps(content))


def _search(name):
    entry = {"search_AP": 40.0, "test_AP": 30.0, "test_per_class": {name: 30.0}, "digest": "0" * 64, "caption": name}
    trials = [
        {"number": n, "AP": 30.0 + n, "state": "complete", "given": given, "caption": name}
        for n, given in enumerate((name, None))
    ]
    return {
        "schema": 1,
        "kind": "search",
        "space": "prompt",
        "spec": made.spec(dataset=name, model=name, suite="mine"),
        "images": {"searched_on": 4},
        "prompts": {"plain names": entry, "best found": entry},
        "best_parts": [],
        "shuffled_control": {"gain": 0.5},
        "words": [{"class": name, "words": name, "difference": 1.0, "low": 0.0, "high": 2.0, "class_difference": None}],
        "trials": trials,
    }


def test_files_stay_in_their_folder(reported):
    place, written = reported
    out = place / "out" / "deep"
    assert all(re.fullmatch(r"[a-z0-9.-]+", path.name) and path.is_relative_to(out) for path in written)
    assert {path for path in (place / "out").rglob("*") if path.is_file()} == set(written)


def test_text_files_are_clean(reported, tried):
    for path in reported[1]:
        if path.suffix != ".png":
            assert is_clean(path.read_text(encoding="utf-8")), path
            tried("input: hostile name")


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.scripts, self.handlers = 0, []

    def handle_starttag(self, tag, attributes):
        self.scripts += tag == "script"
        self.handlers += [name for name, value in attributes if name.startswith("on")]
        self.handlers += [value for name, value in attributes if name == "href" and value and ":" in value[:30]]


def test_html(reported):
    page = _Tags()
    page.feed((reported[0] / "out/deep/report.html").read_text(encoding="utf-8"))
    assert page.scripts == 1
    assert [one for one in page.handlers if not one.startswith("data:image/")] == []


def test_markdown(reported):
    text = (reported[0] / "out/deep/report.md").read_text(encoding="utf-8")
    assert "<" not in re.sub(r'<a id="[a-z0-9-]*"></a>', "", text)
    assert re.search(r"(?<!\\)\$|(?<!\\)~|(?<!\\)`", text) is None
    links = re.findall(r"(?<!\\)\]\(([^)]*)\)", text)
    assert all(re.fullmatch(r"report\.html|figures/[a-z0-9.-]+", link) for link in links)


def test_latex(reported):
    for path in reported[1]:
        if path.suffix == ".tex":
            for line in path.read_text(encoding="utf-8").splitlines():
                if line.startswith("%"):
                    continue
                body = re.sub(r"\\(?:text(?:backslash|asciitilde|asciicircum|less|greater|bar)\{\})", "", line)
                body = re.sub(r"\\text(?:it|bf|superscript)\{|\\[&%$#_{}\\]|\$-\$|\$\\pm\$|\$\\times\$", "", body)
                body = re.sub(
                    r"\\(?:begin|end)\{table\}(?:\[tb\])?|^\\label\{tab:|^\\caption\{|^\\centering$", "", body
                )
                body = re.sub(r"\\(?:begin|end)\{tabular\}|^\\(?:top|mid|bottom)rule$", "", body)
                assert not set(body) & set("\\%$#_~^"), (path, line)
                assert not line.startswith(("[", "*")), (path, line)


def test_csv(reported):
    for path in reported[1]:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as stream:
                rows = list(csv.reader(stream))
            assert len({len(row) for row in rows}) == 1
            for cell in (cell for row in rows for cell in row):
                try:
                    float(cell)
                except ValueError:
                    assert not cell.lstrip().startswith(("=", "+", "-", "@")), (path, cell)


def test_svg_is_xml(reported):
    drawn = [path for path in reported[1] if path.suffix == ".svg"]
    assert len(drawn) > 3
    for path in drawn:
        root = ET.fromstring(path.read_text(encoding="utf-8"))
        assert not [node for node in root.iter() if str(node.tag).endswith("script")]


# -- other files ---------------------------------------------------------------------------------------------------


def test_the_figure_of_a_profile(tmp_path):
    for name in NAMES.values():
        settings = {"model": name, "fusion": True, "phase": "test", "batch": 1, "precision": "fp32"}
        draw_stages([{"settings": settings, "stages": {"vision": 0.1}}], tmp_path / "p.svg")
        ET.fromstring((tmp_path / "p.svg").read_text(encoding="utf-8"))


def test_the_tables_of_a_search(capsys, tried):
    for name in NAMES.values():
        show_search(_search(name))
        captured = capsys.readouterr()
        assert is_clean(captured.out + captured.err)
        tried("input: hostile name")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_in_its_comment(tmp_path, tried, name):
    from types import SimpleNamespace as Made

    text = NAMES[name]
    parts = ({"prefix": "", "name": text, "suffix": ""},)
    search = Made(name=text, space=Made(classes=[Made(name=text)]))
    write_best(tmp_path / "best.yaml", search, Made(parts=parts, separator=". ", order=(0,)))
    content = yaml.safe_load((tmp_path / "best.yaml").read_text(encoding="utf-8"))
    assert content == {"parts": [dict(parts[0])], "separator": ". ", "order": [text]}
    tried("input: hostile name")
