"""That a tiny Grounding DINO, from random weights, learns ten drawn images by heart."""

from __future__ import annotations

import pytest

from glip_core.modes import TuningMode
from tests.models.hub_models import save_grounding
from tests.models.overfit import learn_by_heart

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
    assert learn_by_heart(folder, Decoder(), steps=600) > 80
