"""What a model's card says of its tests."""

from __future__ import annotations

from glip_core.checkpoint import EMBEDDED
from glip_core.files import file_sha256
from odinw_bench.pretraining.modelcard import model_card
from odinw_bench.runs.record import RunRecord
from tests.report import made


def test_of_several_protocols_the_newest_counts():
    sha256 = file_sha256(EMBEDDED / "glip-nano.safetensors")

    def record(ap: float, **said) -> RunRecord:
        return RunRecord.from_json(made.record(made.spec(**said), made.metrics(ap), weights_sha256=sha256))

    card = model_card(
        "glip-nano",
        [
            record(20.0, mode="zero-shot"),
            record(50.0, protocol="mini-1"),
            record(60.0, protocol="mini-2"),
            record(60.0, protocol="mini-2"),  # the same run in another folder
            record(70.0, protocol="mini-1", shots=10),
        ],
    )
    rows = [line for line in card.splitlines() if line.startswith(("| prompt", "| zero-shot"))]
    assert rows == [
        "| prompt | 5 | 60.0 | 1 | 1 | mini-2 |",
        "| prompt | 10 | 70.0 | 1 | 1 | mini-1 |",
        "| zero-shot | 0 | 20.0 | 1 | 1 | – |",
    ]
