"""Grounding DINO's adapter on a tiny, randomly initialised model of that class."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image

from glip_core import InputError, Prompt
from glip_core.modeling.bert import BERT_VOCABULARY
from odinw_bench.models.grounding_dino import GroundingDinoT, _detections
from odinw_bench.runs.record import find_records


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder as the hub's repositories are."""
    transformers = pytest.importorskip("transformers")
    words = BERT_VOCABULARY.read_text(encoding="utf-8").split("\n")
    vocabulary = {word: number for number, word in enumerate(words) if word}
    body = transformers.SwinConfig(
        embed_dim=16,
        depths=[1, 1, 1, 1],
        num_heads=[1, 2, 4, 8],
        window_size=4,
        out_features=["stage2", "stage3", "stage4"],
    )
    text = transformers.BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    config = transformers.GroundingDinoConfig(
        backbone_config=body,
        text_config=text,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        num_queries=20,
        max_text_len=64,
    )
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny")
    transformers.GroundingDinoForObjectDetection(config).save_pretrained(folder)
    tokenizer = transformers.BertTokenizerFast(vocab=vocabulary)
    pictures = transformers.GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 100})
    transformers.GroundingDinoProcessor(pictures, tokenizer).save_pretrained(folder)
    return folder


def test_scores_are_the_mean_probability_of_a_classes_tokens(tiny):
    detector = GroundingDinoT(str(tiny), "cpu")
    prompt = Prompt.from_parts([{"name": "jellyfish"}, {"name": "penguin", "suffix": ", which is black and white"}])
    photo = Image.effect_noise((90, 60), 60).convert("RGB")
    found = detector.detect(photo, prompt)
    assert len(found) == 40  # every query for every class
    assert (found.scores.diff() <= 0).all()
    assert set(found.labels.tolist()) == {0, 1}
    assert found.boxes.min() >= 0 and (found.boxes.max(0).values <= torch.tensor([89.0, 59, 89, 59])).all()
    inputs = detector.processor(images=photo, text=prompt.caption + ".", return_tensors="pt")
    words = detector.processor.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    tokens = [words.index("jelly"), words.index("##fish")]
    with torch.no_grad():
        logits = detector.model(**inputs).logits[0]
    expected = logits.sigmoid()[:, tokens].mean(1).max()
    assert found.scores[found.labels == 0].max() == pytest.approx(float(expected), abs=1e-6)
    assert detector.parameters > 1_000_000


def test_boxes_and_labels_of_known_outputs():
    logits = torch.full((2, 5), -torch.inf)
    logits[0, 1], logits[1, 2], logits[1, 3] = 2.0, 3.0, 1.0
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.4], [0.25, 0.5, 0.5, 1.0]])
    found = _detections(logits, boxes, [[1], [2, 3], []], (100, 50))
    assert found.labels[:2].tolist() == [0, 1]
    two = (torch.tensor([3.0, 1.0]).sigmoid().mean()).item()
    assert found.scores[:2].tolist() == pytest.approx([torch.tensor(2.0).sigmoid().item(), two])
    assert found.boxes[:2].tolist() == [[40, 15, 59, 34], [0, 0, 49, 49]]
    assert found.scores[found.labels == 2].tolist() == [0, 0]  # a class without tokens is never found


def test_long_class_lists_are_asked_for_in_parts(tiny):
    """With the same labels, and the same scores as each part alone."""
    detector = GroundingDinoT(str(tiny), "cpu")
    names = [f"thing number {number}" for number in range(30)]
    photo = Image.new("RGB", (90, 60), (90, 40, 20))
    found = detector.detect(photo, Prompt.from_classes(names))
    assert len(found) == 300
    assert found.labels.max() >= 15
    with pytest.raises(InputError, match="alone is longer"):
        detector.detect(photo, Prompt.from_classes(["very " * 80 + "long"]))


def test_through_the_program(cli, tiny, pets, tmp_path):
    results = tmp_path / "results"
    arguments = ["run", "--model", "grounding-dino-t", "--weights", tiny, "--dataset", pets, "--mode", "zero-shot"]
    answer = cli(*arguments, "--results", results, "--json")
    assert answer.code == 0, answer.err
    ((place, record),) = find_records(results)
    assert record["spec"]["model"] == "grounding-dino-t"
    assert record["cost"]["total_parameters"] > 1_000_000
    assert len(json.loads((place / "predictions.json").read_text())) == 80


def test_absent_weights_are_one_line(cli, pets, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    common = ["run", "--model", "grounding-dino-t", "--dataset", pets, "--mode", "zero-shot", "--results", tmp_path]
    assert "not found" in cli(*common, "--weights", tmp_path / "none").refused()
    (tmp_path / "empty").mkdir()
    assert "holds no model.safetensors" in cli(*common, "--weights", tmp_path / "empty").refused()
