"""The documentation site: it builds without a warning, has every public name, and asks no other server."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module

import pytest

from tests.docs.blocks import ROOT, blocks

SITE_PAGES = ["docs/start.md", "docs/own-data.md", "docs/prompts.md"]
NOTEBOOKS = sorted(path.name for path in (ROOT / "docs/notebooks").glob("*.ipynb"))
_FETCHED = re.compile(r"""<(?:script|img|link|iframe|source|video)\b[^>]*?\b(?:src|href)=["']?(https?:)?//[^>]*>""")


@pytest.fixture
def photo_folder(tmp_path, monkeypatch):
    """An empty folder with a drawn ``photo.jpg``, as the current one."""
    from odinw_bench.mini.suite import render_split

    annotations, picture = render_split("aquarium", "test")
    picture(annotations["images"][0]["file_name"]).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", SITE_PAGES)
def test_python_of_the_pages_runs(name, photo_folder):
    found = blocks((ROOT / name).read_text(), "python")
    assert found
    for block in found:
        exec(block.text, {})


def test_pictures_of_the_pages_are_made_by_the_stated_command(tmp_path):
    from tools.mode_picture import PARTS, trained

    assert set(trained("prompt")) == {"prompt offset"}
    assert set(trained("linear")) == {"heads"}
    assert {"fusion", "heads"} <= set(trained("lora")) <= {"fusion", "tower", "heads"}
    assert set(trained("full")) >= set(PARTS) - {"prompt offset"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs", reason="the site is built with the extra 'docs'")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.integration
def test_every_public_name_is_on_the_site(site):
    for package in ("glip_core", "odinw_bench"):
        page = (site / "api" / f"{package}.html").read_text()
        for name in import_module(package).__all__:
            assert re.search(rf'id="{package}[\w.]*\.{name}"', page), f"{package}.{name} is not on the site"


@pytest.mark.integration
def test_nothing_on_the_site_comes_from_another_server(site):
    for page in site.rglob("*.html"):
        fetched = [m[0] for m in _FETCHED.finditer(page.read_text()) if 'rel="canonical"' not in m[0]]
        assert not fetched, (page.name, fetched[:3])


@pytest.mark.integration
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_run(name, tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="notebooks are executed with the extra 'docs'")
    nbclient = pytest.importorskip("nbclient", reason="notebooks are executed with the extra 'docs'")
    notebook = nbformat.read(ROOT / "docs/notebooks" / name, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "commit notebooks without their outputs"
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
