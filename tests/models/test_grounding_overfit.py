"""That a tiny Grounding DINO, from random weights, learns ten drawn images by heart."""

from __future__ import annotations

import pytest
import torch

from glip_core import Prompt
from glip_core.modes import TuningMode
from odinw_bench import load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.engine.data import ImageRequest, prepare_image, request_targets
from odinw_bench.engine.predict import detect_split
from odinw_bench.metrics.coco import evaluate
from odinw_bench.models import find_model
from tests.models.hub_models import save_grounding

pytestmark = pytest.mark.slow


class Decoder(TuningMode):
    """Decoder, queries and heads.

    transformers does not train which places of the encoder become queries. While a random encoder is trained too they
    jump from place to place, and ten images take far longer to learn.
    """

    name = "decoder"
    frozen_tower = True

    def is_trainable(self, name: str) -> bool:
        return name.startswith(("model.decoder.", "model.query_position_embeddings.", "rpn.head."))


@pytest.mark.parametrize("kind", ["GroundingDino", "MMGroundingDino"])
def test_ten_images_are_learnt_by_heart(kind, tmp_path):
    folder = save_grounding(tmp_path / "tiny", kind, dropout=0.0, num_queries=40)
    model = find_model(f"hf:{folder}").load(None, "cpu")
    task = load_task("raccoon", "mini")
    split = open_split(task, "train")
    split = split.subset(split.trainable_ids()[:10])
    mode, prompt = Decoder(), Prompt.from_classes([one.name for one in task.classes])
    trained = list(model.trainable(mode, prompt).values())
    encoded = model.encode_frozen(mode, prompt)
    groups = {}
    for image_id in split.image_ids:
        request = ImageRequest(image_id)
        one = model.features(mode, prepare_image(split, request, model), encoded)
        targets = request_targets(split, request, one.hw, torch.device("cpu"))
        groups.setdefault(one.batch_key, []).append((one, targets))
    boxes = {"boxes": float(sum(len(targets.labels) for group in groups.values() for _, targets in group))}
    steps = 600
    optimiser = torch.optim.AdamW(trained, lr=2e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, pct_start=0.1)
    ap = 0.0
    for step in range(1, steps + 1):
        model.train()
        optimiser.zero_grad()
        for group in groups.values():
            losses = model.losses([one for one, _ in group], [targets for _, targets in group], encoded, boxes)
            torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            found = detect_split(model, prompt, split)
            ap = evaluate(split.annotations, found, official_ids=False)["AP"]
            if ap > 80:
                break
    assert ap > 80
