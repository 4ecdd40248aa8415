"""Words that earn nothing are left out, words that find things stay."""

from __future__ import annotations

from odinw_bench.search import SearchSettings, set_up
from odinw_bench.search.simplest import simplify


def test_a_word_that_is_worth_nothing_goes_and_one_that_finds_stays(tmp_path):
    search = set_up(SearchSettings("packages", shots=1, results=tmp_path))
    space = search.space
    (group,) = (name for name in space.groups if name.startswith("0 "))
    best, best_ap = None, -1.0
    for colour in space.pools["colour"][:6]:  # the word that finds most
        params = space.plain() | {f"{group}/colour": colour}
        ap = search.scorer.score(space.candidate(params).prompt())["AP"]
        if ap > best_ap:
            best, best_ap = params, ap
    plain = simplify(search, space.plain())
    assert plain.words == []
    assert not plain.is_shorter
    found = simplify(search, best)
    (row,) = found.words
    assert row["kept"] is (row["low"] > 0)
    assert found.is_shorter is not row["kept"]
    if row["kept"]:
        assert found.search_ap == best_ap
