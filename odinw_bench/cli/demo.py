"""``odinw-bench demo``: a page to try prompts on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odinw_bench.cli._console import write_line
from odinw_bench.cli._options import Debug, Device, Weights

app = typer.Typer()


@app.command()
def demo(
    model: Annotated[str, typer.Option("--model", help="The detector; one that reads prompts.")] = "glip-nano",
    weights: Weights = None,
    results: Annotated[
        Path | None, typer.Option("--results", help="A results folder whose tuned runs can be chosen.")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on; 0.0.0.0 shows the page to your network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port to listen on.")] = 7860,
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    r"""Show a page in the browser: photo and prompts in, boxes side by side (pip extra `demo`).

    It listens on this computer alone unless `--host` says otherwise, has no login, and sends nothing anywhere.

    For example:

    ```
    odinw-bench demo
    odinw-bench demo --model glip-t --results results
    ```
    """
    import socket
    from tempfile import TemporaryDirectory

    from glip_core.errors import InputError
    from odinw_bench.demo.looking import Detectors
    from odinw_bench.demo.page import gradio, serve
    from odinw_bench.utils.hardware import pick_device

    gradio()  # before anything is loaded for nothing
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            free.bind((host, port))
        except OSError as error:
            raise InputError(f"cannot listen on {host}, port {port}: {error.strerror}; give another --port") from None
    detectors = Detectors.of(model, weights, pick_device(device), results)
    write_line(f"http://{host}:{port}   Ctrl-C ends it")
    with TemporaryDirectory(prefix="odinw-bench-demo-") as folder:
        serve(detectors, Path(folder), host, port)
