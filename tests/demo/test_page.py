"""The demo in a real browser, by clicking: no complaint, and no request but to its own server."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from PIL import EpsImagePlugin, Image

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    pytest.importorskip("gradio", reason="the demo is tested with the extra 'demo'")
    import uvicorn

    from odinw_bench.demo import Detectors
    from odinw_bench.demo.page import application

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = application(Detectors(), tmp_path_factory.mktemp("scenes"))
    server = uvicorn.Server(uvicorn.Config(served, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(600):
        if server.started:
            break
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_clicking_through(browser, address, width, scheme):
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(90_000)
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request", lambda r: None if r.url.startswith((address, "data:", "blob:")) else complaints.append(r.url[:99])
    )
    page.goto(address)
    page.wait_for_selector("#detect")
    prompts = page.locator("#prompts textarea")
    prompts.fill("fish, which is blue\nshark")
    page.click("#detect")
    page.wait_for_selector("#table th:has-text('shark')")
    assert page.locator("#pictures img").count() >= 2
    prompts.fill("raccoon, which is gray and striped and ring shaped")
    page.click("#words")
    page.wait_for_selector("#table th:has-text('names alone: raccoon')")
    prompts.fill("raccoon")
    page.click("#words")
    page.wait_for_selector("text=no attributes in the first prompt")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    context.close()
    assert not complaints


def test_a_photo_is_read_as_it_was_sent(tmp_path, monkeypatch):
    """Gray, turned by EXIF or PostScript by another name: the checks of the detectors see the file itself."""
    gr = pytest.importorskip("gradio", reason="the demo is tested with the extra 'demo'")
    from odinw_bench.demo import Detectors
    from odinw_bench.demo.page import build

    asked = []
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", "gs")
    monkeypatch.setattr(EpsImagePlugin.subprocess, "check_call", lambda command, **_: asked.append(command))
    page = build(Detectors(), tmp_path)
    (component,) = [one for one in page.blocks.values() if getattr(one, "label", None) == "Photo"]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.linear_gradient("L").save(tmp_path / "gray.jpg")
    Image.new("RGB", (8, 4)).save(tmp_path / "turned.jpg", exif=exif)
    (tmp_path / "script.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    for name in ("gray.jpg", "turned.jpg", "script.png"):
        sent = gr.components.image.ImageData(path=str(tmp_path / name), orig_name=name)
        assert component.preprocess(sent) == str(tmp_path / name)
    with pytest.raises(OSError, match="Ghostscript"):
        Image.open(tmp_path / "script.png").load()
    assert not asked
