"""OmDet-Turbo, on a tiny randomly initialised model of that class whose backbone is timm's."""

from __future__ import annotations

import json

import pytest
import timm
import torch

from glip_core import InputError, Prompt
from odinw_bench.models import find_model
from odinw_bench.runs.record import find_records

transformers = pytest.importorskip("transformers")
PROMPT = Prompt.from_classes(["fish", "penguin", "sea urchin"])
SIDE = 64


@timm.models.register_model
def swin_for_tests(pretrained=False, **options):
    """timm's Swin, small; transformers passes no sizes on to timm."""
    small = {"embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2)}
    return timm.create_model("swin_tiny_patch4_window7_224", pretrained=False, **small | options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as the published repository is: fields of transformers 4 for the backbone, a tokenizer in two files."""
    folder = tmp_path_factory.mktemp("omdet")
    letters = "abcdefghijklmnopqrstuvwxyz, ."
    words = ["!", *letters, *(f"{x}</w>" for x in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = transformers.CLIPTokenizer(vocab={word: n for n, word in enumerate(words)}, merges=[], pad_token="!")
    text = {"hidden_size": 24, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text |= {"vocab_size": len(words), "max_position_embeddings": 77, "projection_dim": 24}
    text |= {"bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1, "model_type": "clip_text_model"}
    body = {"backbone": "swin_for_tests", "out_indices": [1, 2, 3], "img_size": SIDE, "always_partition": True}
    small = {"encoder_hidden_dim": 16, "decoder_hidden_dim": 16, "encoder_attention_heads": 2, "decoder_num_heads": 2}
    small |= {"encoder_dim_feedforward": 16, "decoder_dim_feedforward": 16, "task_encoder_hidden_dim": 16}
    small |= {"text_projection_in_dim": 24, "text_projection_out_dim": 24, "class_embed_dim": 24}
    small |= {"decoder_num_layers": 2, "num_queries": 30, "encoder_in_channels": [16, 32, 64]}
    small |= {"vision_features_channels": [16, 16, 16], "image_size": SIDE}
    config = transformers.OmDetTurboConfig(
        text_config=text, backbone_config={"model_type": "timm_backbone", **body}, **small
    )
    torch.manual_seed(0)
    network = transformers.OmDetTurboForObjectDetection(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.3)
    network.save_pretrained(folder)
    means = {"image_mean": [123.675, 116.28, 103.53], "image_std": [58.395, 57.12, 57.375], "do_rescale": False}
    pictures = transformers.DetrImageProcessor(size={"height": SIDE, "width": SIDE}, do_pad=False, **means)
    transformers.OmDetTurboProcessor(pictures, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def published(folder, tmp_path_factory):
    """The same with the configuration as it is published."""
    import shutil

    other = shutil.copytree(folder, tmp_path_factory.mktemp("published") / "omdet")
    fields = json.loads((other / "config.json").read_text())
    body = fields["backbone_config"]
    kept = {key: body[key] for key in ("always_partition", "img_size", "out_indices")}
    fields |= {"backbone_config": None, "backbone": body["backbone"], "backbone_kwargs": kept}
    fields |= {"use_timm_backbone": True, "use_pretrained_backbone": False}
    (other / "config.json").write_text(json.dumps(fields))
    return other


def own_processing(model, photo, names, **options):
    inputs = model.processor(images=photo, text=list(names), return_tensors="pt")
    inputs.pop("pixel_mask", None)
    with torch.no_grad():
        outputs = model.network(**inputs)
    (own,) = model.processor.post_process_grounded_object_detection(
        outputs, target_sizes=[(photo.height, photo.width)], threshold=0.0, **options
    )
    limit = torch.tensor([photo.width, photo.height] * 2) - 1
    return own["scores"], own["labels"], (own["boxes"] - torch.tensor([0, 0, 1, 1])).clamp(min=0).minimum(limit)


def test_detections_are_those_of_the_models_own_processing(folder, photos):
    model = find_model(f"hf:{folder}").load(None, "cpu")
    for photo in photos:
        found = model.predict(photo, PROMPT)
        scores, labels, boxes = own_processing(model, photo, PROMPT.names)
        assert 0 < len(found) == len(scores) <= 30 and set(labels.tolist()) == set(found.labels.tolist())
        assert (found.scores.diff() <= 0).all()
        for score, label, box in zip(scores, labels, boxes, strict=True):
            near = ((found.boxes - box).abs().amax(1) < 1e-3) & ((found.scores - score).abs() < 1e-5)
            assert (near & (found.labels == label)).any()
    images = [model.prepare(photo) for photo in photos]
    for photo, together in zip(photos, model.detect_batch(images, PROMPT), strict=True):
        torch.testing.assert_close(together.scores, model.predict(photo, PROMPT).scores, atol=1e-5, rtol=0)


def test_boxes_and_scores_are_float32_in_half_precision(folder, photos):
    model = find_model(f"hf:{folder}").load(None, "cpu")
    found = []
    model.network.decoder.register_forward_hook(lambda *call: found.append(call[2]))
    image = model.prepare(photos[0])
    model.detect_batch([image], PROMPT)
    with torch.autocast("cpu", torch.bfloat16):
        model.detect_batch([image], PROMPT)
    exact, half = found
    for values in (half.decoder_coords, half.decoder_classes):
        assert values.dtype == torch.float32
        assert (values.bfloat16().float() != values).float().mean() > 0.8, "they are rounded"
    apart = torch.cdist(half.decoder_coords[-1, 0], exact.decoder_coords[-1, 0], p=torch.inf).amin(1)
    assert apart.median() < 0.02 and not torch.equal(half.decoder_coords, exact.decoder_coords)


def test_a_published_folder_needs_no_network(folder, published, photos, monkeypatch):
    monkeypatch.setattr("huggingface_hub.HfApi.repo_exists", lambda *_, **__: pytest.fail("asks the hub"))
    model = find_model(f"hf:{published}").load(None, "cpu")
    expected = find_model(f"hf:{folder}").load(None, "cpu").predict(photos[0], PROMPT)
    torch.testing.assert_close(model.predict(photos[0], PROMPT).scores, expected.scores)


def test_attributes_are_part_of_each_text(folder, photos):
    model = find_model(f"hf:{folder}").load(None, "cpu")
    prompt = Prompt.from_parts([{"name": "fish", "suffix": ", which is flat"}, {"name": "penguin", "prefix": "a "}])
    scores, _, _ = own_processing(model, photos[0], ["fish, which is flat", "a penguin"])
    torch.testing.assert_close(model.predict(photos[0], prompt).scores, scores.sort(descending=True).values)


def test_the_image_is_seen_once_for_several_prompts(folder, photos):
    model = find_model(f"hf:{folder}").load(None, "cpu")
    passes = []
    model.network.encoder.register_forward_hook(lambda *_: passes.append(1))
    images = [model.prepare(photo) for photo in photos]
    seen = model.encode_images(images)
    prompts = [Prompt.from_classes([name]) for name in PROMPT.names]
    apart = [model.detect_batch(seen, model.encode(prompt)) for prompt in prompts]
    assert len(passes) == 1
    for prompt, found in zip(prompts, apart, strict=True):
        for one, alone in zip(found, model.detect_batch(images, prompt), strict=True):
            torch.testing.assert_close(one.scores, alone.scores)


def test_other_scales_keep_the_one_size(folder, photos):
    model = find_model(f"hf:{folder}").load(None, "cpu")
    assert model.prepare(photos[0], scale=1.6).pixels.shape[-2:] == (SIDE, SIDE)


def test_long_texts_are_cut(folder, photos):
    model = find_model(f"hf:{folder}").load(None, "cpu")
    names = [f"{'very ' * 20}long {letter}" for letter in "abc"]
    scores, _, _ = own_processing(model, photos[0], names)
    found = model.predict(photos[0], Prompt.from_classes(names))
    torch.testing.assert_close(found.scores, scores.sort(descending=True).values)


def test_damaged_weights_are_no_traceback(folder, photos):
    model = find_model(f"hf:{folder}").load(None, "cpu")
    with torch.no_grad():
        model.network.decoder.decoder_bbox_head[-1].layers[0].weight.fill_(torch.nan)
    with pytest.raises(InputError, match="not finite"):
        model.predict(photos[0], PROMPT)


def test_the_vocabulary_is_part_of_the_identity(folder, tmp_path):
    import shutil

    other = shutil.copytree(folder, tmp_path / "other")
    model = find_model(f"hf:{other}")
    (other / "vocab.json").write_text("{}")
    before = model.identify(None)
    (other / "vocab.json").write_text('{"a": 1}')
    assert model.identify(None) != before


def test_through_the_program(cli, published, pets, tmp_path):
    results = tmp_path / "results"
    arguments = ["--model", "omdet-turbo-t", "--weights", published, "--dataset", pets, "--results", results]
    answer = cli("run", *arguments, "--mode", "zero-shot", "--json")
    assert answer.code == 0, answer.err
    ((place, record),) = find_records(results)
    assert record["spec"]["model"] == "omdet-turbo-t"
    assert json.loads((place / "predictions.json").read_text())
    assert "can be run as zero-shot and manual" in cli("run", *arguments, "--mode", "full", "--shots", "1").refused()
    rows = {row["name"]: row for row in json.loads(cli("models", "list", "--json").out)}
    assert rows["omdet-turbo-t"]["licence"] == "Apache-2.0"
