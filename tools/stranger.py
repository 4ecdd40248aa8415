"""The wheel in an empty environment, used by someone who has nothing else: ``python -m tools.stranger dist``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

SCRIPT = """
import glip_core, glip_core.hf, onnxruntime, subprocess, sys
from transformers import pipeline
from odinw_bench.mini.suite import render_split
annotations, picture = render_split("raccoon", "test")
picture(annotations["images"][0]["file_name"]).save("photo.png")
words = "raccoon, which is gray and striped and ring shaped"
found = glip_core.load("glip-nano").predict("photo.png", words, threshold=0.3)
print(found, found.to_supervision(), found.to_pandas(), sep="\\n")
glip_core.hf.convert(glip_core.load("glip-nano"), "nano-hf")
print(pipeline("zero-shot-object-detection", model="nano-hf")("photo.png", candidate_labels=["raccoon"])[:1])
export = ["export", "model", "glip-nano", "--format", "onnx", "--prompt", words, "--out", "nano.onnx"]
subprocess.run([sys.executable, "-m", "odinw_bench", *export], check=True)
print([one.name for one in onnxruntime.InferenceSession("nano.onnx").get_inputs()], len(found))
assert len(found)
"""
PACKAGES = ("supervision",)  # what the script uses beside the wheel and its extra 'export'


def run(wheel: Path, environment: Path) -> None:
    """Install a wheel into an environment, which is made if there is none, and run the script in an empty folder.

    Raises:
        subprocess.CalledProcessError: pip or the script failed.
    """
    if not environment.exists():
        venv.create(environment, with_pip=True)
    python = environment / "bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", f"{wheel.resolve()}[export]", *PACKAGES], check=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-c", SCRIPT], cwd=folder, check=True)


if __name__ == "__main__":
    newest = max(Path(sys.argv[1]).glob("odinw_bench-*.whl"), key=lambda file: file.stat().st_mtime)
    print(f"{newest.name}: {newest.stat().st_size / 1e6:.1f} MB")
    if len(sys.argv) > 2:
        run(newest, Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as made:
            run(newest, Path(made) / "environment")
