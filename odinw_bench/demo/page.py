"""The page, of Gradio, and its server. Nothing on it is asked of another server than its own."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glip_core.errors import InputError
from glip_core.images import load_image
from odinw_bench.demo.looking import MOST_PROMPTS, Detectors, Shown, counts, what_words_add, with_prompts

if TYPE_CHECKING:
    from fastapi import FastAPI

LARGEST_UPLOAD = "20mb"
MOST_PIXELS = 50_000_000
FONTS = ["system-ui", "sans-serif"]

# The template of Gradio's page asks for fonts and a script from other servers: those tags go, and the policy
# forbids what is left.
_ELSEWHERE = re.compile(
    r"<(?:script|link|meta)\b[^>]*(?:src|href|content)=[\"']?https?://(?!127\.0\.0\.1|localhost)[^>]*>(?:\s*</script>)?"
)
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; worker-src 'self' blob:; font-src 'self' data:; "
    "connect-src 'self' ws: wss: data: blob:; frame-ancestors 'self'"
)


def gradio() -> Any:
    """Gradio, without its analytics and without an interpreter of PostScript.

    Raises:
        InputError: it is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when it is imported
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import gradio as module
    except ImportError as error:
        raise InputError(f"the demo needs Gradio: pip install 'odinw-bench[demo]' ({error})") from None
    from PIL import EpsImagePlugin

    EpsImagePlugin.gs_binary = False  # Gradio decodes what it is sent, whatever it is called
    return module


def scenes(folder: Path) -> list[tuple[Path, str]]:
    """Scenes of the miniature as files, each with a prompt in which attributes matter."""
    from odinw_bench.datasets.prompts import task_prompt
    from odinw_bench.datasets.registry import load_task
    from odinw_bench.mini.suite import render_split

    found = []
    for name in ("raccoon", "aquarium", "mushrooms", "packages"):
        annotations, picture = render_split(name, "test")
        file = folder / f"{name}.png"
        picture(annotations["images"][0]["file_name"]).save(file)
        found.append((file, task_prompt(load_task(name, "mini"), "manual").caption))
    return found


def build(detectors: Detectors, folder: Path) -> Any:
    """The page as Gradio's blocks.

    Args:
        detectors: what can be chosen.
        folder: for the example scenes.
    """
    gr = gradio()
    examples = scenes(folder)
    with gr.Blocks(title="odinw-bench demo", analytics_enabled=False) as page:
        gr.Markdown("# odinw-bench\nA photo and words in, boxes out. `glip-nano` knows drawn scenes only.")
        with gr.Row():
            with gr.Column(scale=1, min_width=320):
                photo = gr.Image(
                    str(examples[0][0]),
                    label="Photo",
                    type="filepath",
                    image_mode=None,  # the file as it was sent: Gradio would decode, turn and encode it again
                    sources=["upload", "webcam"],
                )
                text = gr.Textbox(
                    examples[0][1],
                    label=f"Prompts: one a line, up to {MOST_PROMPTS}; words after a comma are attributes",
                    lines=3,
                    max_length=4000,
                    elem_id="prompts",
                )
                threshold = gr.Slider(0, 1, 0.3, step=0.01, label="Least score", elem_id="threshold")
                detector = gr.Dropdown(
                    detectors.names, value=detectors.model, label="Detector", info="A tuned run: --results FOLDER"
                )
                with gr.Row():
                    detect = gr.Button("Detect", variant="primary", elem_id="detect")
                    words = gr.Button("What did the words add?", elem_id="words")
            with gr.Column(scale=2, min_width=320):
                pictures = gr.Gallery(
                    label="Boxes", columns=2, object_fit="contain", height="auto", elem_id="pictures", format="png"
                )
                table = gr.HTML(elem_id="table")
        gr.Examples([[str(file), words_] for file, words_ in examples], [photo, text], label="Drawn scenes")
        inputs = [photo, text, threshold, detector]
        detect.click(_answer(gr, detectors, with_prompts), inputs, [pictures, table], api_name="detect")
        words.click(_answer(gr, detectors, what_words_add), inputs, [pictures, table], api_name="words")
    return page


def _answer(gr: Any, detectors: Detectors, look: Callable[..., list[Shown]]) -> Callable[..., Any]:
    def answer(photo: str | None, text: str, threshold: float, name: str) -> tuple[list[tuple[Any, str]], str]:
        try:
            if photo is None:
                raise InputError("choose a photo first, or one of the drawn scenes below")
            picture = load_image(Path(photo))  # never an address
            if picture.width * picture.height > MOST_PIXELS:
                raise InputError(f"the photo has more than {MOST_PIXELS:,} pixels; make it smaller")
            shown = look(detectors, name, picture, text, threshold)
        except InputError as error:
            raise gr.Error(html.escape(str(error)), print_exception=False) from None
        return [(one.picture, one.caption) for one in shown], table_of(shown)

    return answer


def table_of(shown: Sequence[Shown]) -> str:
    """How many of each class, as HTML; every name is escaped."""
    heads = "".join(f"<th>{html.escape(one.caption)}</th>" for one in shown)
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in counts(shown))
    return f"<table><thead><tr><th>class</th>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def application(detectors: Detectors, folder: Path) -> FastAPI:
    """The page in a server of its own, without requests to others."""
    gr = gradio()
    from fastapi import FastAPI, Request, Response

    served = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @served.middleware("http")
    async def stay_here(request: Request, call_next: Callable[..., Any]) -> Response:
        # Gradio answers a page in whatever encoding is asked for: a plain one can be read here.
        is_page = request.url.path == "/"
        if is_page:
            wanted = [pair for pair in request.scope["headers"] if pair[0] != b"accept-encoding"]
            request.scope["headers"] = wanted
        response = await call_next(request)
        response.headers["content-security-policy"] = POLICY
        if not is_page or not response.headers.get("content-type", "").startswith("text/html"):
            return response
        body = b"".join([part async for part in response.body_iterator]).decode()
        headers = {key: value for key, value in response.headers.items() if key != "content-length"}
        return Response(_ELSEWHERE.sub("", body), response.status_code, headers)

    theme = gr.themes.Default(font=FONTS, font_mono=["monospace"])
    return gr.mount_gradio_app(
        served,
        build(detectors, folder).queue(max_size=20),
        path="/",
        max_file_size=LARGEST_UPLOAD,
        theme=theme,
        footer_links=[],
    )


def serve(detectors: Detectors, folder: Path, host: str, port: int) -> None:
    """Serve the page until it is interrupted."""
    served = application(detectors, folder)
    import uvicorn

    uvicorn.run(served, host=host, port=port, log_level="warning")
