"""OWL-ViT and OWLv2, on tiny randomly initialised models of those classes."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image

from glip_core import Prompt
from odinw_bench.models import find_model
from odinw_bench.runs.record import find_records

transformers = pytest.importorskip("transformers")
PROMPT = Prompt.from_classes(["fish", "penguin"])


def save(folder, kind):
    letters = "abcdefghijklmnopqrstuvwxyz "
    words = ["!", *letters, *(f"{x}</w>" for x in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = transformers.CLIPTokenizer(vocab=vocabulary, merges=[], pad_token="!")
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text |= {"vocab_size": len(words), "max_position_embeddings": 16, "bos_token_id": 55, "eos_token_id": 56}
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision |= {"image_size": 64, "patch_size": 16}
    config = getattr(transformers, f"{kind}Config")(text_config=text, vision_config=vision, projection_dim=16)
    torch.manual_seed(0)
    network = getattr(transformers, f"{kind}ForObjectDetection")(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.2)
    network.save_pretrained(folder)
    pictures = getattr(transformers, f"{kind}ImageProcessor")(size={"height": 64, "width": 64})
    getattr(transformers, f"{kind}Processor")(pictures, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["OwlViT", "Owlv2"])
def folder(request, tmp_path_factory):
    return save(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def photos():
    torch.manual_seed(1)
    noise = torch.randint(0, 256, (2, 60, 90, 3), dtype=torch.uint8).numpy()
    return [Image.fromarray(one) for one in noise]


def test_detections_are_those_of_the_models_own_processing(folder, photos):
    model = find_model(f"hf:{folder}").load(None, "cpu")
    for photo in photos:
        found = model.predict(photo, PROMPT)
        assert len(found) == 32 and (found.scores.diff() <= 0).all()
        images = model.processor.image_processor(images=photo, return_tensors="pt")
        words = model.processor.tokenizer(["fish", "penguin"], padding="max_length", max_length=16, return_tensors="pt")
        with torch.no_grad():
            outputs = model.network(**images, **words)
        (own,) = model.processor.image_processor.post_process_object_detection(
            outputs, threshold=0.0, target_sizes=[(photo.height, photo.width)]
        )
        limit = torch.tensor([photo.width, photo.height] * 2) - 1
        corners = (own["boxes"] - torch.tensor([0, 0, 1, 1])).clamp(min=0).minimum(limit)
        for score, label, box in zip(own["scores"], own["labels"], corners, strict=True):
            near = ((found.boxes - box).abs().amax(1) < 1e-3) & ((found.scores - score).abs() < 1e-5)
            assert (near & (found.labels == label)).any()


def test_boxes_and_scores_are_float32_in_half_precision(folder, photos):
    model = find_model(f"hf:{folder}").load(None, "cpu")
    placed = []
    model.network.sigmoid.register_forward_hook(lambda *call: placed.append(call[2]))
    image = model.prepare(photos[0])
    model.detect_batch([image], PROMPT)
    with torch.autocast("cpu", torch.bfloat16):
        found = model.detect_batch([image], PROMPT)[0]
    exact, half = placed
    inside = half[(half > 0.01) & (half < 0.99)]
    assert half.dtype == torch.float32 and (inside.bfloat16().float() != inside).float().mean() > 0.8, "rounded"
    assert not torch.equal(half, exact) and (half - exact).abs().median() < 0.02
    assert len(found.scores.unique()) == len(found)


def test_the_image_is_seen_once_for_several_prompts(folder, photos):
    model = find_model(f"hf:{folder}").load(None, "cpu")
    passes = []
    getattr(model.network, model.text_model).vision_model.register_forward_hook(lambda *_: passes.append(1))
    images = [model.prepare(photo) for photo in photos]
    seen = model.encode_images(images)
    apart = [model.detect_batch(seen, model.encode(Prompt.from_classes([name])))[0] for name in ("fish", "penguin")]
    assert len(passes) == 1
    together = model.detect_batch(images, PROMPT)[0]
    for label, alone in enumerate(apart):
        torch.testing.assert_close(together.scores[together.labels == label], alone.scores)


def test_other_sizes(folder, photos):
    model = find_model(f"hf:{folder}").load(None, "cpu")
    large = model.prepare(photos[0], scale=1.6)
    assert large.pixels.shape[-1] == 96
    assert len(model.detect_batch([large], PROMPT)[0]) == 72


def test_through_the_program(cli, folder, pets, tmp_path):
    results = tmp_path / "results"
    model = ["--model", f"hf:{folder}", "--dataset", pets, "--results", results]
    answer = cli("run", *model, "--mode", "zero-shot", "--json")
    assert answer.code == 0, answer.err
    ((place, _),) = find_records(results)
    assert json.loads((place / "predictions.json").read_text())
    assert "can be run as zero-shot and manual" in cli("run", *model, "--mode", "full", "--shots", "1").refused()
