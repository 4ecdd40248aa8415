"""Query detectors that begin with our own backbones: the weights they borrow, and what they learn from."""

from __future__ import annotations

import itertools
import json

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.ops import box_iou

from glip_core import Prompt, Targets
from odinw_bench.models import find_model
from odinw_bench.pretraining import PretrainingData, get_recipe
from odinw_bench.pretraining.data import Item, load_named
from odinw_bench.pretraining.learners import new_learner, stream_config
from odinw_bench.pretraining.query import FACTS, NETWORKS
from odinw_bench.pretraining.query.assignment import Truth, assign_many, assign_one, corners
from odinw_bench.pretraining.query.borrowed import vocabulary, words
from odinw_bench.pretraining.query.learner import places, truth_of
from odinw_bench.pretraining.query.losses import dense_losses, matched_losses, token_loss


@pytest.fixture(scope="module", params=list(NETWORKS))
def made(request):
    torch.manual_seed(0)
    return request.param, new_learner(get_recipe(request.param))


def random(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape)))


# -- what is borrowed ------------------------------------------------------------------------------------------------


def test_the_borrowed_swin_sees_what_ours_sees(made):
    model, learner = made
    ours = load_named(NETWORKS[model].like).vision.swin
    backbone = learner.network.eval().model.backbone
    theirs = getattr(backbone, "conv_encoder", backbone).model
    pixels = random(1, 3, 160, 160)
    with torch.no_grad():
        pairs = zip(ours(pixels)[-3:], theirs(pixels.flip(1)).feature_maps, strict=True)
        for mine, other in pairs:
            torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)  # float32, sums in another order


def test_the_borrowed_text_encoder_reads_what_ours_reads():
    learner = new_learner(get_recipe("gdino-nano"))
    ours = load_named("glip-nano").language
    ids = torch.tensor([[5, 120, 300, 1000, 17]])
    moved = torch.tensor([[vocabulary()[words()[number]] for number in ids[0]]])
    with torch.no_grad():
        mine = ours.read(ids, torch.ones_like(ids, dtype=torch.bool)).hidden
        theirs = learner.network.eval().model.text_backbone(moved).last_hidden_state
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


def test_what_splits_a_caption_has_the_ids_that_are_written_into_the_networks():
    assert [vocabulary()[mark] for mark in ("[PAD]", "[CLS]", "[SEP]", ".", "?")] == [0, 101, 102, 1012, 1029]
    assert sorted(vocabulary().values()) == list(range(len(vocabulary())))
    assert set(words()) <= set(vocabulary())


# -- which place or query finds which box ----------------------------------------------------------------------------


@pytest.fixture
def truth():
    boxes = torch.tensor([[0.3, 0.3, 0.4, 0.4], [0.75, 0.7, 0.2, 0.3], [0.11, 0.9, 0.01, 0.01]])
    tokens = torch.zeros(3, 5)
    tokens[0, 1], tokens[1, 2:4], tokens[2, 1] = 1, 1, 1
    return Truth(boxes, tokens)


def test_one_query_for_each_box_is_the_choice_that_costs_least_in_all(truth):
    logits, boxes = random(6, 5) * 4 - 2, random(6, 4) * 0.5 + 0.2
    pairs = assign_one(logits, boxes, truth)

    def cost(row, box):
        chance = logits[row].sigmoid()
        positive = 0.25 * (1 - chance) ** 2 * -(chance + 1e-8).log()
        negative = 0.75 * chance**2 * -(1 - chance + 1e-8).log()
        tokens = truth.tokens[box] > 0
        distance = (boxes[row] - truth.boxes[box]).abs().sum()
        a, b = corners(boxes[row : row + 1]), corners(truth.boxes[box : box + 1])
        hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
        sizes = (a[:, 2:] - a[:, :2]).prod() + (b[:, 2:] - b[:, :2]).prod()
        overlap = box_iou(a, b).sum()
        union = sizes / (1 + overlap)
        general = overlap - (hull.prod() - union) / hull.prod()
        return float(2 * (positive - negative)[tokens].mean() + 5 * distance - 2 * general)

    best = min(itertools.permutations(range(6), 3), key=lambda rows: sum(cost(r, b) for b, r in enumerate(rows)))
    assert dict(zip(pairs.owners.tolist(), pairs.rows.tolist(), strict=True)) == dict(enumerate(best))


def test_several_queries_for_a_box_are_at_most_half_of_all(truth):
    pairs = assign_one(random(20, 5), random(20, 4), truth, repeat=4)
    assert pairs.owners.bincount().tolist() == [3, 3, 3]
    assert len(set(pairs.rows.tolist())) == 9


def test_places_get_the_box_they_overlap_most_and_lie_in_or_near(truth):
    spots = places((80, 80), 2)
    boxes = torch.cat([spots, torch.full_like(spots, 0.3)], dim=1)
    pairs = assign_many(random(len(spots), 5), boxes, spots, truth, most=4)
    assert len(set(pairs.rows.tolist())) == len(pairs.rows)
    overlap = box_iou(corners(boxes), truth.corners)
    for row, owner in zip(pairs.rows.tolist(), pairs.owners.tolist(), strict=True):
        low, high = truth.corners[owner, :2], truth.corners[owner, 2:]
        near = (spots[row] - truth.boxes[owner, :2]).abs().max() < 0.04
        assert near or bool(((spots[row] > low) & (spots[row] < high)).all())
    counts = pairs.owners.bincount(minlength=3).tolist()
    assert counts[0] == 4 and 1 <= counts[1] <= 4 and counts[2] >= 1, "a box smaller than a place has one, too"
    for owner in range(3):
        of_box = pairs.owners == owner
        assert pairs.quality[of_box].max() == pytest.approx(max(float(overlap[pairs.rows[of_box], owner].max()), 0.05))


def test_places_lie_in_the_order_of_the_encoders_levels():
    found = places((160, 160), 4)
    assert len(found) == 400 + 100 + 25 + 9
    assert found[1].tolist() == pytest.approx([1.5 / 20, 0.5 / 20])
    assert found[400].tolist() == pytest.approx([0.05, 0.05])


# -- losses ----------------------------------------------------------------------------------------------------------


def test_the_class_loss_is_its_formula():
    logits, target = random(4, 3) * 4 - 2, torch.tensor([[0.8, 0, 0], [0, 0, 0], [0, 0.3, 0.3], [0, 0, 1.0]])
    expected = 0.0
    for x, t in zip(logits.flatten().tolist(), target.flatten().tolist(), strict=True):
        score = 1 / (1 + torch.tensor(-x).exp())
        ce = binary_cross_entropy_with_logits(torch.tensor(x), torch.tensor(t))
        expected += float(ce * ((t - score) ** 2 if t > 0 else 0.75 * score**2))
    assert float(token_loss(logits, target)) == pytest.approx(expected, rel=1e-5)  # float32


def test_tokens_that_are_not_there_and_places_that_propose_nothing_have_no_part(truth):
    spots = places((80, 80), 2)
    logits, boxes = random(2, len(spots), 5), random(2, len(spots), 4)
    boxes[:, 3] = float("inf")
    mask = torch.tensor([[True] * 5, [True] * 4 + [False]])
    other = logits.clone()
    other[1, :, 4], other[:, 3] = float("-inf"), 7.0
    nothing = Truth(truth.boxes[:0], truth.tokens[:0])
    first, second = (dense_losses(one, boxes, spots, mask, [truth, nothing]) for one in (logits, other))
    assert [float(x) for x in first] == [float(x) for x in second]
    assert all(float(x) > 0 for x in first)
    alone = matched_losses(logits[:, :9], random(2, 9, 4), mask, [nothing, nothing])
    assert float(alone[0]) > 0 and float(alone[1]) == 0


def test_a_box_that_two_phrases_speak_of_is_one_box_with_both():
    boxes = torch.tensor([[16.0, 16, 47, 79], [0, 0, 9, 9], [16, 16, 47, 79], [5, 5, 6, 6]])
    item = Item(torch.zeros(3, 160, 160), Targets(boxes, torch.tensor([0, 1, 2, 3])), Prompt.from_classes(list("abcd")))
    found = truth_of(item, [[1], [3], [5, 6], []], 8)
    assert found.boxes.tolist() == [
        pytest.approx([0.2, 0.3, 0.2, 0.4]),
        pytest.approx([0.03125, 0.03125, 0.0625, 0.0625]),
    ]
    assert [row.nonzero()[:, 0].tolist() for row in found.tokens] == [[1, 5, 6], [3]]


# -- learning --------------------------------------------------------------------------------------------------------


def test_steps_on_a_few_images_bring_every_loss_down_and_train_every_parameter(made):
    model, learner = made
    data = PretrainingData(get_recipe(model), stream_config(model))
    items = [data[number] for number in range(3)]
    learner.network.train()
    optimiser = torch.optim.AdamW(learner.network.parameters(), lr=5e-4)
    seen = []
    for _ in range(8):
        losses = learner.losses(items)
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        seen.append({name: float(value.detach()) for name, value in losses.items()})
    assert all(seen[-1][name] < seen[0][name] for name in ("dense_class", "dense_box", "box")), seen
    idle = [name for name, p in learner.network.named_parameters() if p.grad is None]
    unread = ("swin.layernorm.", "denoising_class_embed.")  # of the backbone's end, and of transformers' own loss
    assert all(any(part in name for part in unread) for name in idle), idle


def test_what_is_saved_is_a_checkpoint_of_its_family(made, tmp_path):
    model, learner = made
    folder = learner.save(tmp_path, model, {"recipe": "{}"})
    assert json.loads((folder / FACTS).read_text()) == {"recipe": "{}"}
    found = find_model(f"hf:{folder}")
    assert (
        issubclass(found, type(find_model(model)).__mro__[0]) or found.network_class == find_model(model).network_class
    )
    loaded = found.load(None, "cpu")
    mine = dict(learner.network.named_parameters())
    for name, value in loaded.network.named_parameters():
        torch.testing.assert_close(value, mine[name], atol=1e-3, rtol=1e-3)  # half precision
