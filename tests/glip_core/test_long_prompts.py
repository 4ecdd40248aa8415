"""More classes than the model reads at a time: several prompts, one answer, nothing cut off."""

from __future__ import annotations

import pytest
import torch

import glip_core
from glip_core import Detections, InputError, Prompt
from glip_core.config import get_config
from glip_core.postprocess import merge


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(0)
    made = glip_core.build("glip-nano")
    with torch.no_grad():
        made.head.bias0.zero_()  # so that it finds things
    return made


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(2, 3, 96, 128, generator=torch.Generator().manual_seed(0))


SIZES = [(96, 128), (90, 120)]
MANY = [{"name": f"thing {number}", "suffix": ", which is odd" if number % 3 else ""} for number in range(300)]


def test_the_parts_fit_and_are_the_whole(detector):
    prompt = Prompt.from_parts(MANY)
    parts = detector.chunks(prompt)
    assert len(parts) > 3
    assert [name for part in parts for name in part.names] == list(prompt.names)
    lengths = [len(detector.language.tokenize(part).ids) for part in parts]
    assert max(lengths) <= get_config("glip-nano").max_tokens
    assert min(lengths[:-1]) > get_config("glip-nano").max_tokens - 15  # filled as far as they go
    for part in parts:
        for (begin, end), name in zip(part.spans, part.names, strict=True):
            assert part.caption[begin:end] == name
    assert ". ".join(part.caption for part in parts) == prompt.caption


def test_a_class_has_the_same_tokens_in_a_part(detector):
    prompt = Prompt.from_parts(MANY[:20])
    part, whole = detector.language, prompt
    ids = part.tokenize(whole).ids
    alone = whole.part(5, 8)
    start = part.token_map(whole)[5][0]
    mine = part.tokenize(alone).ids[1:-1]
    assert ids[start : start + len(mine)] == mine


def test_one_part_changes_nothing(detector, pixels):
    prompt = Prompt.from_classes(["fish", "stingray", "puffin"])
    assert detector.chunks(prompt) == [prompt]
    with torch.no_grad():
        plain = detector.detections_from_raw(detector.forward_raw(pixels, prompt), SIZES, prompt)
    for a, b in zip(detector.detect(pixels, SIZES, prompt), plain, strict=True):
        assert a.boxes.equal(b.boxes) and a.scores.equal(b.scores) and a.labels.equal(b.labels)


def test_all_classes_can_be_found_best_first(detector, pixels):
    prompt = Prompt.from_parts(MANY)
    found = detector.detect(pixels, SIZES, prompt)
    for one in found:
        assert 100 <= len(one.scores) < 200  # ties with the hundredth stay
        assert (one.scores[:-1] >= one.scores[1:]).all()
    labels = torch.cat([one.labels for one in found])
    assert int(labels.max()) >= 200  # beyond the first parts
    by_hand = []
    first = 0
    for part in detector.chunks(prompt):
        (one, _) = detector.detect(pixels, SIZES, part)
        by_hand.append(Detections(one.boxes, one.scores, one.labels + first))
        first += len(part)
    again = merge(by_hand, 100)
    assert again.scores.allclose(found[0].scores, atol=1e-6)
    encoded = detector.encode(prompt)
    assert [part.prompt for part in encoded.parts] == detector.chunks(prompt)
    for one, two in zip(found, detector.detect(pixels, SIZES, encoded), strict=True):
        assert one.scores.equal(two.scores) and one.labels.equal(two.labels)
    with pytest.raises(InputError, match="at most 256"):
        detector.encode_text(encoded)


def test_a_sentence_and_a_class_that_is_too_long_are_refused(detector, pixels):
    words = " ".join(["odd"] * 300)
    with pytest.raises(InputError, match="at most 256"):
        detector.detect(pixels, SIZES, Prompt.from_classes(["fish", words, "cat"]))
    with pytest.raises(InputError, match="at most 256"):
        detector.detect(pixels, SIZES, Prompt.from_caption(words + " fish", [(0, 3)]))
    with pytest.raises(InputError, match="cannot be split"):
        Prompt.from_caption("a fish", [(2, 6)]).part(0, 1)
