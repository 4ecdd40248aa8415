"""That a tiny Grounding DINO, from random weights and tuned in ``full``, learns ten drawn images by heart."""

from __future__ import annotations

import pytest

from glip_core.modes import MODES
from tests.models.hub_models import save_grounding
from tests.models.overfit import learn_by_heart

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["GroundingDino", "MMGroundingDino"])
def test_ten_images_are_learnt_by_heart(kind, tmp_path):
    """Needed were the gradient of the encoder's proposals (see ``odinw_bench/models/hub/proposals.py``), no dropout,
    and 40 queries in place of 20. Without that gradient AP stood at 22 after 400 steps, since nothing trained which
    places of the encoder become queries; with it, it is above 80 after 200 (MM-Grounding-DINO) and 400.
    """
    folder = save_grounding(tmp_path / "tiny", kind, dropout=0.0, num_queries=40)
    assert learn_by_heart(folder, MODES["full"], steps=600) > 80
