"""The model card of a converted model: what it is, how it is used, and what it reached."""

from __future__ import annotations

from collections.abc import Sequence

from huggingface_hub import EvalResult, ModelCardData

from glip_core.hf.config import GlipConfig

README = "README.md"


def model_card(config: GlipConfig, results: Sequence[EvalResult] = (), notes: str = "") -> str:
    """A card as Markdown with the hub's metadata.

    Args:
        config: of the model.
        results: for the metadata.
        notes: Markdown for people about the results.
    """
    preset = config.detector_config
    data = ModelCardData(
        library_name="odinw-bench",
        pipeline_tag="zero-shot-object-detection",
        tags=["glip", "object-detection", "odinw"],
        model_name=preset.name if results else None,
        eval_results=list(results) or None,
    )
    source = (
        f"converted from a checkpoint with SHA-256 `{config.weights_sha256}`"
        if config.weights_sha256
        else "trained further from a converted checkpoint, or with random weights"
    )
    return f"""---
{data.to_yaml()}
---

# {preset.name}

{preset.title or "A GLIP"}, {source}.

```python
import glip_core.hf  # pip install odinw-bench; registers the classes
from transformers import pipeline

detector = pipeline("zero-shot-object-detection", model="FOLDER_OR_REPOSITORY")
detector("photo.jpg", candidate_labels=["fish", "stingray"])
```

Boxes have inclusive corners in the photo's pixels. The pipeline asks for one class at a time; GlipProcessor puts all
classes into one caption, as GLIP was trained and is evaluated.

## Results

{notes or "No results were given."}
"""
