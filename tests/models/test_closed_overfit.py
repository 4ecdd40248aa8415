"""How far a tiny RT-DETRv2, from random weights, learns ten drawn images by heart: not yet above 80 AP."""

from __future__ import annotations

import pytest

from glip_core.modes import MODES
from tests.models.hub_models import save_closed
from tests.models.overfit import learn_by_heart

pytestmark = pytest.mark.slow


def test_ten_images_are_nearly_learnt(tmp_path):
    folder = save_closed(tmp_path / "tiny", "RTDetrV2", num_denoising=40)
    # 78.6 when this was written: its photos are 64 pixels wide
    assert learn_by_heart(folder, MODES["full"], steps=600) > 70
