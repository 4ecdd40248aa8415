"""Pictures for tests of detectors."""

from __future__ import annotations

import pytest
import torch
from PIL import Image


@pytest.fixture(scope="module")
def photos():
    torch.manual_seed(1)
    noise = torch.randint(0, 256, (3, 60, 90, 3), dtype=torch.uint8).numpy()
    return [Image.fromarray(one) for one in noise]
