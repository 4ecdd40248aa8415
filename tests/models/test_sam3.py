"""SAM 3 as a detector, on a tiny randomly initialised model of that class."""

from __future__ import annotations

import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from glip_core import Prompt
from odinw_bench.models import find_model
from odinw_bench.runs.record import find_records

transformers = pytest.importorskip("transformers")
PROMPT = Prompt.from_classes(["fish", "penguin"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sam3")
    letters = "abcdefghijklmnopqrstuvwxyz "
    words = ["!", *letters, *(f"{x}</w>" for x in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = transformers.CLIPTokenizer(vocab={word: n for n, word in enumerate(words)}, merges=[], pad_token="!")
    small = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2}
    layers = small | {"num_layers": 1}
    text = {"vocab_size": len(words), "max_position_embeddings": 32, "num_hidden_layers": 1, "projection_dim": 32}
    text |= {"bos_token_id": 55, "eos_token_id": 56, "model_type": "clip_text_model"}
    body = small | {"num_hidden_layers": 1, "image_size": 112, "patch_size": 14, "window_size": 4}
    body |= {"pretrain_image_size": 56, "global_attn_indexes": [0], "model_type": "sam3_vit_model"}
    sizes = [[32, 32], [16, 16], [8, 8]]
    config = transformers.Sam3Config(
        vision_config={"backbone_config": body, "fpn_hidden_size": 32, "backbone_feature_sizes": sizes},
        text_config=small | text,
        geometry_encoder_config=layers,
        detr_encoder_config=layers,
        detr_decoder_config=layers | {"num_queries": 10},
        mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2},
    )
    torch.manual_seed(0)
    transformers.Sam3Model(config).save_pretrained(folder)
    pictures = transformers.Sam3ImageProcessor(size={"height": 112, "width": 112})
    transformers.Sam3Processor(pictures, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def published(folder, tmp_path_factory):
    """The same weights as facebook/sam3 holds them: as the detector of a model of videos, beside a tracker."""
    published = shutil.copytree(folder, tmp_path_factory.mktemp("published") / "sam3")
    detector = transformers.Sam3Config.from_pretrained(folder)
    transformers.Sam3VideoConfig(detector_config=detector.to_dict()).save_pretrained(published)
    weights = {f"detector_model.{name}": one for name, one in load_file(folder / "model.safetensors").items()}
    weights |= {"tracker_model.no_memory_embedding": torch.zeros(2), "tracker_neck.bias": torch.zeros(2)}
    save_file(weights, published / "model.safetensors", {"format": "pt"})
    own = transformers.Sam3Processor.from_pretrained(folder)
    (published / "processor_config.json").unlink()
    movies = transformers.Sam2VideoVideoProcessor()
    transformers.Sam3VideoProcessor(own.image_processor, movies, own.tokenizer).save_pretrained(published)
    return published


@pytest.fixture(scope="module")
def photo():
    torch.manual_seed(1)
    return Image.fromarray(torch.randint(0, 256, (60, 90, 3), dtype=torch.uint8).numpy())


def test_detections_are_those_of_the_models_own_processing(folder, photo):
    model = find_model(f"hf:{folder}").load(None, "cpu")
    passes = []
    model.network.vision_encoder.register_forward_hook(lambda *_: passes.append(1))
    found = model.predict(photo, PROMPT)
    assert len(passes) == 1 and len(found) == 20
    for label, name in enumerate(PROMPT.names):
        inputs = model.processor(images=photo, text=name, return_tensors="pt")
        with torch.no_grad():
            outputs = model.network(**{key: inputs[key] for key in ("pixel_values", "input_ids", "attention_mask")})
        (own,) = model.processor.post_process_object_detection(outputs, threshold=0.0, target_sizes=[(60, 90)])
        corners = (own["boxes"] - torch.tensor([0, 0, 1, 1])).clamp(min=0).minimum(torch.tensor([89.0, 59, 89, 59]))
        assert len(own["scores"]) == 10
        for score, box in zip(own["scores"], corners, strict=True):
            near = ((found.boxes - box).abs().amax(1) < 1e-3) & ((found.scores - score).abs() < 1e-5)
            assert (near & (found.labels == label)).any()


def test_the_detector_of_a_model_of_videos_is_the_same_one(folder, published, photo):
    """Published checkpoints are such: hf:facebook/sam3, or a folder of it."""
    model = find_model(f"hf:{published}").load(None, "cpu")
    expected = find_model(f"hf:{folder}").load(None, "cpu").predict(photo, PROMPT)
    for found in (model, find_model("sam3").load(str(published), "cpu")):
        torch.testing.assert_close(found.predict(photo, PROMPT).scores, expected.scores)
    assert model.parameters == sum(one.numel() for one in load_file(folder / "model.safetensors").values())


def test_through_the_program(cli, folder, pets, tmp_path):
    results = tmp_path / "results"
    answer = cli("run", "--model", f"hf:{folder}", "--dataset", pets, "--results", results, "--mode", "zero-shot")
    assert answer.code == 0, answer.err
    assert len(list(find_records(results))) == 1
