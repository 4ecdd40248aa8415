"""Passwords in addresses: in no error, wherever they stand."""

from __future__ import annotations

import pytest

from glip_core.errors import InputError, without_passwords
from odinw_bench.search.study import open_storage
from tests.inputs.answers import sound

SECRET = "s3cr3tword"
ADDRESSES = [
    f"postgresql://me:{SECRET}@host/db",
    f"postgresql://me:{SECRET}@host:5432/db",
    f"postgresql://me:p@{SECRET}@host/db",
    f"postgresql://me:a/{SECRET}@host/db",
    f"postgresql://me:a:{SECRET}@host/db",
    f"postgresql://me:a%20{SECRET}@host/db",
    f"postgresql://host/db?user=me&password={SECRET}",
    f"mysql://host/db?passwd={SECRET}",
    f"mysql://host/db?PWD={SECRET}&x=1",
    f"postgresql://host:{SECRET}/db",
    f"postgresql://me@host:{SECRET}/db",
    f"postgresq://me:{SECRET}@host/db",
    f"postgresql:/me:{SECRET}@host/db",
    f"postgresql//me:{SECRET}@host/db",
    f"postgresql:me:{SECRET}@host/db",
    f"sqlite+{SECRET[:0]}nosuch://me:{SECRET}@host",
    f"https://me:{SECRET}@hub.example/api",
    f"https://hub.example/api?token={SECRET}",
    f"https://hub.example/api?api_key={SECRET}",
    f"https://bucket.example/x?X-Amz-Signature={SECRET}",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_are_shown_without(address, tried):
    for text in (address, f"'{address}'", f"cannot open {address}: no", f"({address})"):
        assert SECRET not in without_passwords(text)
        assert SECRET not in str(InputError(text))
        assert "***" in without_passwords(text)
        tried("input: password in an address")


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_study_that_cannot_be_opened(address, tried):
    with pytest.raises(InputError) as caught:
        open_storage(address, None)
    assert SECRET not in str(caught.value)
    tried("input: password in an address")


def test_what_is_no_secret_stays():
    for text in (
        "http://host:8080/a/b?x=1&y=2",
        "sqlite:////tmp/study.db",
        "'C:/data/a@2x.png' not found",
        "mail a@b.example",
        "lr=0.1: must be 0 to 1",
        "--model PACKAGE.MODULE:CLASS",
        "image 'http://host:8080' has 3x4 pixels",
    ):
        assert without_passwords(text) == text


@pytest.mark.parametrize(
    "address",
    [
        f"http://me:{SECRET}@127.0.0.1:9/x.jpg?token={SECRET}",
        f"http://me:{SECRET}@127.0.0.1:9/a b.jpg?token={SECRET}",
        f"http://me:a {SECRET}@127.0.0.1:9/x.jpg",
        f"http://me:a/{SECRET} x@127.0.0.1:9/x.jpg",
        f"http://me:a'{SECRET} @127.0.0.1:9/x.jpg",
    ],
)
def test_pictures_from_an_address(cli, tmp_path, tried, address):
    answer = cli("predict", address, "--prompt", "x", "--out", tmp_path)
    assert sound(answer) is not None
    assert SECRET not in answer.out + answer.err
    tried("input: password in an address")


def test_a_space_in_an_address(cli, tmp_path):
    line = cli("predict", "http://127.0.0.1:9/a b.jpg", "--prompt", "x", "--out", tmp_path).refused()
    assert "'http://127.0.0.1:9/a%20b.jpg' has no valid address" in line
