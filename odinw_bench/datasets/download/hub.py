"""Official zips from the Hugging Face hub: resumed where a download was cut off, compared with the hub's hash."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from glip_core.errors import InputError
from glip_core.files import file_sha256
from odinw_bench.datasets.download.resume import whole
from odinw_bench.datasets.task import HubFile

_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Fetched:
    """A file from the hub.

    Attributes:
        path: where it lies.
        revision: commit of the repository it is from; None: the server did not say.
        sha256: its hash, as computed here.
    """

    path: Path
    revision: str | None
    sha256: str


def fetch(file: HubFile, folder: Path) -> Fetched:
    """Download a file, or resume what an earlier try left in the same folder. A complete one is kept.

    The server is the hub's, or that of the environment variable ``HF_ENDPOINT``; a token for it is found where
    huggingface_hub looks for one.

    Args:
        file: what to fetch.
        folder: where to; what is unfinished stays there too.

    Raises:
        InputError: there is no network, no such file, or what came is not what the hub says it holds; the message
            says how to continue.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError

    url = hf_hub_url(file.repo, file.file)
    path = folder / PurePosixPath(file.file).name
    try:
        facts = get_hf_file_metadata(url)
        wanted = _sha256_of(facts.etag)
        here = whole(path, sha256=wanted, size=facts.size)
        if here is not None:  # its unpacking was cut off
            return Fetched(path, facts.commit_hash, here)
        part = path.with_name(f"{path.name}.{(facts.etag or 'unknown')[:16]}.part")  # another version starts over
        _fetch_rest(facts.location, url, part, facts.size)
    except (EntryNotFoundError, RepositoryNotFoundError, GatedRepoError) as error:
        raise InputError(f"{url} is not there, or not open to you ({type(error).__name__})") from error
    except Exception as error:  # what a lost connection raises depends on huggingface_hub's version
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"could not download {url}: {reason[:300]}; the same command resumes where it stopped"
        ) from error
    found = file_sha256(part)
    if wanted is not None and found != wanted:
        part.unlink()
        raise InputError(f"{url} came broken: its SHA-256 is {found}, the hub says {wanted}; try again")
    part.replace(path)
    return Fetched(path, facts.commit_hash, found)


def _fetch_rest(location: str, url: str, part: Path, size: int | None) -> None:
    """What of a file is not here yet. huggingface_hub's own downloads start over after a kill; these are large."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    headers = build_hf_headers()
    if urlsplit(location).netloc != urlsplit(url).netloc:  # the token is for the hub, not for its storage
        headers.pop("authorization", None)
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as stream:
        if size is None or stream.tell() > size:
            stream.truncate(0)
        if size is None or stream.tell() < size:
            http_get(location, stream, resume_size=stream.tell(), headers=headers, expected_size=size)


def _sha256_of(etag: str | None) -> str | None:
    """The hub's mark of a large file is its SHA-256; that of a small one is something else."""
    return etag if etag is not None and len(etag) == 64 and set(etag) <= _HEX else None
