"""Records in one compressed file: read like folders, the same bytes every time, errors in one line."""

from __future__ import annotations

import gzip
import json

import pytest

from glip_core import InputError
from odinw_bench.report import ReportSettings, build_report
from odinw_bench.report.pairs import find_runs
from odinw_bench.runs.archive import ARCHIVE, write_archive
from odinw_bench.runs.record import find_records, is_done, read_record
from tests.report import made


@pytest.fixture
def both(tmp_path):
    """The same records as folders and as an archive."""
    folders, archived = tmp_path / "folders", tmp_path / "archived"
    for model in ("glip-nano", "dyhead-nano"):
        for seed, ap in ((3, 40.0), (30, 50.0)):
            made.write(folders, made.record(made.spec(model=model, mode="linear", seed=seed), made.metrics(ap)))
    write_archive(archived / ARCHIVE, [(path.relative_to(folders), record) for path, record in find_records(folders)])
    return folders, archived


def relative(results):
    return [(path.relative_to(results), record) for path, record in find_records(results)]


def test_archived_records_are_found_like_folders(both, tmp_path):
    folders, archived = both
    assert relative(archived) == relative(folders)
    assert len(relative(folders)) == 4
    inner = "mini/glip-nano"
    assert relative(archived / inner) == relative(folders / inner)
    for path, record in find_records(folders):
        place = archived / path.relative_to(folders)
        assert read_record(place) == read_record(place / "run.json") == record
        assert is_done(place)
        assert list(record["metrics"]) == list(read_record(place)["metrics"])  # the order of keys too


def test_the_report_is_the_same(both, tmp_path):
    for results in both:
        build_report(ReportSettings(results, tmp_path / f"of-{results.name}"))
    for path in (tmp_path / "of-folders").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "of-archived" / path.relative_to(tmp_path / "of-folders")).read_bytes()


def test_show_prints_an_archived_record(both, cli):
    folders, archived = both
    path, record = relative(folders)[0]
    assert json.loads(cli("show", archived / path, "--json").out) == record


def test_a_folder_goes_before_the_archive(both):
    folders, archived = both
    path, record = relative(folders)[0]
    (archived / path).mkdir(parents=True)
    newer = dict(record) | {"finished": "2030-01-01T00:00:00+00:00"}
    (archived / path / "run.json").write_text(json.dumps(newer))
    assert relative(archived) == [(path, newer), *relative(folders)[1:]]
    assert read_record(archived / path) == newer


def test_equal_records_give_equal_bytes(both, tmp_path):
    folders, archived = both
    write_archive(tmp_path / "again" / ARCHIVE, reversed(relative(folders)))
    assert (tmp_path / "again" / ARCHIVE).read_bytes() == (archived / ARCHIVE).read_bytes()


def test_comparing_archived_runs_says_what_is_missing(both):
    folders, archived = both
    with pytest.raises(InputError, match="archived without its predictions"):
        find_runs(str(archived / relative(folders)[0][0]))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no gzip", "damaged"),
        (gzip.compress(b'{"folder": "a", "record": {}}\n' * 100)[:-20], "damaged"),
        (gzip.compress(b'{"folder": "a", "record": {}}\nno JSON\n'), "line 2"),
        (gzip.compress(b'{"folder": "../../a", "record": {}}\n'), "line 1"),
        (gzip.compress(b'{"folder": "/a", "record": {}}\n'), "line 1"),
        (gzip.compress(b'{"folder": "a", "record": []}\n'), "line 1"),
        (gzip.compress(b'{"record": {}}\n'), "line 1"),
        (gzip.compress(b"[" * 100_000), "line 1"),
        (gzip.compress(b"\xff\xfe\n"), "line 1"),
    ],
    ids=lambda value: "content" if isinstance(value, bytes) else None,  # compressed bytes hold the time
)
def test_a_damaged_archive_is_named_in_one_line(content, why, tmp_path, cli):
    (tmp_path / ARCHIVE).write_bytes(content)
    line = cli("report", "--results", tmp_path, "--out", tmp_path / "out").refused()
    assert str(tmp_path / ARCHIVE) in line
    assert why in line


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("odinw_bench.runs.archive.MAX_JSON_BYTES", 1000)
    (tmp_path / ARCHIVE).write_bytes(gzip.compress(b" " * 2000))
    with pytest.raises(InputError, match="more than 1,000 bytes"):
        list(find_records(tmp_path))


def test_records_of_another_version_are_passed_over(tmp_path):
    write_archive(tmp_path / ARCHIVE, [("a", {"schema": 99})])
    assert list(find_records(tmp_path)) == []
    with pytest.raises(InputError, match="schema 99"):
        read_record(tmp_path / "a")
