"""Exported graphs find what the original finds."""

from __future__ import annotations

import pytest
import torch

import glip_core
from glip_core import tuning
from glip_core.errors import InputError
from glip_core.exporting import ExportFacts, open_program, trace, write_program
from glip_core.modeling import low_rank
from odinw_bench.exporting import open_onnx, read_facts, write_onnx
from odinw_bench.models.glip import GlipModel
from odinw_bench.models.onnx import OnnxModel
from odinw_bench.models.registry import find_model, model_facts
from odinw_bench.runs import environment
from tests.exporting.conftest import PROMPT, assert_same, small_detector

OTHER = glip_core.Prompt.parse("crab. starfish")


@pytest.mark.integration
def test_any_prompt_and_any_size(photos, tmp_path):
    detector = small_detector()
    traced = trace(detector, None)
    files = write_onnx(traced, tmp_path / "any.onnx")
    assert [file.name for file in files] == ["any.onnx", "any.text.onnx"]
    write_program(traced, tmp_path / "any.pt2")
    for exported in (open_onnx(files[0]), open_program(tmp_path / "any.pt2")):
        for photo in photos:
            for prompt in (PROMPT, OTHER):
                assert_same(exported.predict(photo, prompt), detector.predict(photo, prompt))
    long = glip_core.Prompt.from_classes([f"fish number {i}" for i in range(90)])  # asked in parts
    assert_same(open_onnx(files[0]).predict(photos[0], long), detector.predict(photos[0], long))


@pytest.mark.integration
def test_a_tuned_offset_and_adapters_are_part_of_the_graph(photos, tmp_path):
    detector = small_detector()
    plain = detector.predict(photos[0], PROMPT)
    offset = tuning.new_offset(detector, len(detector.language.tokenize(PROMPT).ids))
    torch.nn.init.normal_(offset, std=1.0)
    detector.prompt_offset = offset
    layers = [detector.head.projection, detector.tower[0].fusion.attention.vision_query]
    low_rank.adapt(layers, rank=2, alpha=4.0)
    for layer in layers:
        torch.nn.init.normal_(low_rank.update_of(layer).lora_B, std=0.5)
    tuned = detector.predict(photos[0], PROMPT)
    assert not torch.allclose(tuned.scores[:50], plain.scores[:50], atol=1e-3)
    (file,) = write_onnx(trace(detector, PROMPT), tmp_path / "tuned.onnx")
    assert low_rank.is_adapted(layers[0])  # the original stays what it was
    assert_same(open_onnx(file).predict(photos[0], PROMPT), tuned)
    with pytest.raises(InputError, match="leave --dynamic-prompt out"):
        trace(detector, None)


@pytest.mark.integration
def test_a_class_head_with_and_without_deformable_layers(photos, tmp_path):
    for deformable in (False, True):
        detector = small_detector("dyhead-nano", deformable=deformable)
        if deformable:  # offsets that leave the maps here and there
            torch.nn.init.normal_(detector.tower[0].dyconv.offset.bias, std=2.0)
        (file,) = write_onnx(trace(detector, PROMPT), tmp_path / "classes.onnx")
        exported = open_onnx(file)
        assert_same(exported.predict(photos[0], PROMPT), detector.predict(photos[0], PROMPT))
        with pytest.raises(InputError, match="exported for the classes fish, stingray"):
            exported.predict(photos[0], OTHER)
    with pytest.raises(InputError, match="reads no prompts"):
        trace(detector, None)


@pytest.mark.integration
@pytest.mark.parametrize(("precision", "within"), [("fp16", 2e-3), ("int8", 2e-2)])
def test_smaller_precisions(precision, within, photos, tmp_path):
    detector = small_detector()
    traced = trace(detector, PROMPT)
    whole = write_onnx(traced, tmp_path / "fp32.onnx")[0].stat().st_size
    (file,) = write_onnx(traced, tmp_path / "less.onnx", precision=precision)
    assert file.stat().st_size < 0.8 * whole
    assert read_facts(file).precision == precision
    found, wanted = open_onnx(file).predict(photos[0], PROMPT), detector.predict(photos[0], PROMPT)
    assert torch.allclose(found.scores, wanted.scores, atol=within)


@pytest.mark.integration
def test_a_file_is_a_model_of_the_benchmark(photos, tmp_path):
    detector = small_detector(image_short=96)
    (file,) = write_onnx(trace(detector, PROMPT, source="here"), tmp_path / "baked.onnx")
    name = f"onnx:{file}"
    facts = model_facts(name)
    assert (facts.name, facts.nano, facts.has_text) == ("glip-nano-onnx-fp32", True, True)
    found = find_model(name)
    assert found.identify(None) != find_model("glip-nano").identify(None)
    with pytest.raises(InputError, match="leave --weights out"):
        found.identify("glip-nano-a")
    model = found.load(None, "cpu")
    assert model.parameters == sum(p.numel() for p in detector.parameters())
    assert_same(model.predict(photos[0], model.encode(PROMPT)), detector.predict(photos[0], PROMPT))
    with pytest.raises(InputError, match="exported for the prompt"):
        model.encode(OTHER)
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(InputError, match="leave --precision out"):
        model.predict(photos[0], PROMPT)


def test_as_many_detections_are_kept_as_a_way_of_testing_asks_for(photos):
    """Around a network in place of a graph: the limit is of the rules around it, as for the original."""
    detector = small_detector(image_short=96)
    counts = {}
    for model in (GlipModel(detector), OnnxModel(detector, "cpu")):
        with model.keeping(300):
            more = len(model.predict(photos[0], PROMPT))
        counts[type(model)] = more, len(model.predict(photos[0], PROMPT))
    assert counts[OnnxModel] == counts[GlipModel]
    assert counts[OnnxModel][0] >= 300
    assert 100 <= counts[OnnxModel][1] < 300


def test_the_memory_of_a_file_on_a_gpu_is_not_taken_for_that_of_pytorch(monkeypatch):
    monkeypatch.setattr(environment, "peak_memory", lambda device: 5)
    detector = small_detector()
    for device, expected in (("cpu", 5), ("cuda:0", None)):
        assert environment.peak_memory_of(OnnxModel(detector, device)) == expected
    original = GlipModel(detector)
    original.device = "cuda:0"
    assert environment.peak_memory_of(original) == 5


def test_facts_of_damaged_files_are_refused():
    with pytest.raises(InputError, match="was not exported by odinw-bench"):
        ExportFacts.loads(None, where="x.onnx")
    for text in ("{", "[]", "{}", '{"version": 1}', '{"version": 1, "prompt": 3}'):
        with pytest.raises(InputError, match=r"'x\.onnx'"):
            ExportFacts.loads(text, where="x.onnx")
    with pytest.raises(InputError, match="another version"):
        ExportFacts.loads('{"version": 2}', where="x.onnx")


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "weights"), [("glip-nano", None), ("glip-t", "random")])
def test_whole_models(preset, weights, photos, tmp_path):
    detector = glip_core.load(preset, weights)
    detector.config = type(detector.config)(**{**vars(detector.config), "image_short": 256, "image_long": 448})
    traced = trace(detector, PROMPT)
    (file,) = write_onnx(traced, tmp_path / "whole.onnx")
    detector.postprocessing = type(detector.postprocessing)(min_class_score=0.0)
    exported = open_onnx(file)
    exported.postprocessing = detector.postprocessing
    wanted = detector.predict(photos[0], PROMPT)
    assert_same(exported.predict(photos[0], PROMPT), wanted)
    write_program(traced, tmp_path / "whole.pt2")
    program = open_program(tmp_path / "whole.pt2")
    program.postprocessing = detector.postprocessing
    assert_same(program.predict(photos[0], PROMPT), wanted)
