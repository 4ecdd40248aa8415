"""GLIP in transformers: the Auto classes, the pipeline and the Trainer give what glip_core gives."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForZeroShotObjectDetection,
    AutoProcessor,
    AutoTokenizer,
    Trainer,
    TrainingArguments,
    pipeline,
)

import glip_core
import glip_core.hf as hf
from glip_core import InputError, Prompt
from glip_core.hf.model import fingerprint
from glip_core.types import Targets
from odinw_bench import load_task
from odinw_bench.datasets.annotations import learnable_boxes
from odinw_bench.datasets.sources import open_split

NAMES = ["raccoon", "dog", "red_fish"]
SAME = {"rtol": 1e-6, "atol": 1e-6}


@pytest.fixture(scope="module")
def detector():
    return glip_core.load("glip-nano")


@pytest.fixture(scope="module")
def folder(detector, tmp_path_factory):
    path = tmp_path_factory.mktemp("hf") / "glip-nano"
    hf.convert(detector, path)
    return path


@pytest.fixture(scope="module")
def model(folder):
    return AutoModelForZeroShotObjectDetection.from_pretrained(folder)


@pytest.fixture(scope="module")
def processor(folder):
    return AutoProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def scenes():
    split = open_split(load_task("aquarium", "mini"), "train")
    return split, split.image_ids[:4]


@pytest.fixture(scope="module")
def photo(scenes) -> Image.Image:
    return scenes[0].image(scenes[1][0])


def detect(model, processor, photo, text) -> dict:
    with torch.no_grad():
        outputs = model(**processor(images=photo, text=text))
    (found,) = processor.post_process_grounded_object_detection(
        outputs, text, target_sizes=[(photo.height, photo.width)]
    )
    return found


def assert_same(found: dict, expected: glip_core.Detections) -> None:
    assert len(expected) > 3
    torch.testing.assert_close(found["scores"], expected.scores, **SAME)
    torch.testing.assert_close(found["boxes"], expected.boxes, rtol=1e-6, atol=1e-4)  # pixels
    assert found["labels"].tolist() == expected.labels.tolist()


@pytest.mark.parametrize("text", [NAMES, "fish, which is round. jellyfish", Prompt.from_classes(["fish", "shark"])])
def test_detections_are_those_of_the_detector(model, processor, detector, photo, text):
    found, expected = detect(model, processor, photo, text), detector.predict(photo, text)
    assert_same(found, expected)
    assert found["text_labels"] == expected.names


def test_the_auto_classes_know_it(folder, model, processor):
    assert isinstance(AutoConfig.from_pretrained(folder), hf.GlipConfig)
    assert isinstance(AutoImageProcessor.from_pretrained(folder), hf.GlipImageProcessor)
    assert isinstance(model, hf.GlipForObjectDetection)
    assert isinstance(processor, hf.GlipProcessor)
    assert AutoTokenizer.from_pretrained(folder)("A Fish!")["input_ids"] == processor.tokenizer("a fish !")["input_ids"]
    assert {path.name for path in folder.iterdir()} >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "README.md",
    }


def test_loading_leaves_nothing_without_a_value(model, detector):
    """Transformers makes models without memory: what no file holds must be computed again."""
    ours, theirs = dict(detector.named_buffers()), dict(model.detector.named_buffers())
    assert ours.keys() == theirs.keys()
    for name, tensor in [*ours.items(), *detector.state_dict().items()]:
        assert torch.equal(tensor, theirs.get(name, model.detector.state_dict().get(name))), name


def test_saved_again_it_is_the_same(model, processor, photo, tmp_path):
    model.save_pretrained(tmp_path)
    again = AutoModelForZeroShotObjectDetection.from_pretrained(tmp_path)
    assert again.config.weights_sha256 == model.config.weights_sha256 is not None
    first, second = detect(model, processor, photo, NAMES), detect(again, processor, photo, NAMES)
    assert torch.equal(first["scores"], second["scores"])
    assert torch.equal(first["boxes"], second["boxes"])


def test_weights_that_were_trained_further_do_not_pass_for_the_checkpoint(model, tmp_path):
    changed = hf.GlipForObjectDetection.from_detector(glip_core.load("glip-nano"))
    with torch.no_grad():
        changed.detector.head.bias0 += 1
    changed.save_pretrained(tmp_path)
    assert hf.GlipConfig.from_pretrained(tmp_path).weights_sha256 is None
    assert fingerprint(changed.state_dict()) != model.config.fingerprint


def test_the_pipeline_asks_for_a_class_at_a_time(model, processor, detector, photo, folder, caplog):
    """With the parts, and with the folder alone."""
    names = ["fish", "jellyfish"]
    parts = {"model": model, "image_processor": processor.image_processor, "tokenizer": processor.tokenizer}
    for given in (parts, {"model": str(folder)}):
        found = pipeline("zero-shot-object-detection", **given)(photo, candidate_labels=names, threshold=0.2)
        expected = sorted(
            ((score.item(), name) for name in names for score in detector.predict(photo, [name], threshold=0.2).scores),
            reverse=True,
        )
        assert len(expected) > 1
        assert [one["label"] for one in found] == [name for _, name in expected]
        assert [one["score"] for one in found] == pytest.approx([score for score, _ in expected], abs=1e-6)
        assert found[0]["box"]["xmin"] < found[0]["box"]["xmax"] <= photo.width
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_images_of_one_batch_may_have_their_own_classes(model, processor, detector, photo):
    lists = [["fish"], ["jellyfish", "starfish which is large"]]
    with torch.no_grad():
        outputs = model(**processor(images=[photo, photo], text=lists))
    sizes = [(photo.height, photo.width)] * 2
    found = processor.post_process_grounded_object_detection(outputs, lists, target_sizes=sizes)
    for one, names in zip(found, lists, strict=True):
        expected = detector.predict(photo, names)
        torch.testing.assert_close(one["scores"], expected.scores, rtol=1e-4, atol=1e-5)  # a padded prompt
        assert one["text_labels"] == expected.names


def test_the_loss_is_the_detectors(model, processor, detector, scenes):
    split, ids = scenes
    task = load_task("aquarium", "mini")
    photo = split.image(ids[0])
    boxes = [[10.0, 12.0, 40.0, 30.0], [60.0, 50.0, 33.0, 21.0]]
    annotation = {"image_id": 0, "annotations": [{"bbox": b, "category_id": i} for i, b in enumerate(boxes)]}
    made = processor(images=photo, text=list(task.class_names), annotations=annotation)
    with torch.no_grad():
        outputs = model(**made)
        prompt = Prompt.from_classes(task.class_names)
        scale = made["pixel_mask"][0, 0].sum().item() / photo.width
        inclusive = torch.tensor([[x, y, x + w - 1, y + h - 1] for x, y, w, h in boxes])
        targets = [Targets(inclusive * scale, torch.tensor([0, 1]))]
        expected = detector.loss(made["pixel_values"], targets, prompt)
    assert outputs.loss_dict.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(outputs.loss_dict[name], value, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(outputs.loss, sum(outputs.loss_dict.values()))


def test_a_trainer_tunes_it(folder, processor, scenes, tmp_path):
    split, ids = scenes
    names = ["fish", "jellyfish"]
    box = {"bbox": [20, 20, 50, 40], "category_id": 1}
    rows = [{"image": split.image(key), "annotations": {"image_id": 0, "annotations": [box]}} for key in ids]

    def collate(batch):
        images, notes = [row["image"] for row in batch], [row["annotations"] for row in batch]
        return processor(images=images, text=names, annotations=notes)

    model = AutoModelForZeroShotObjectDetection.from_pretrained(folder)
    before = fingerprint(model.state_dict())
    settings = TrainingArguments(
        output_dir=str(tmp_path / "out"),
        max_steps=3,
        per_device_train_batch_size=2,
        learning_rate=1e-3,
        logging_steps=1,
        use_cpu=True,
        remove_unused_columns=False,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = Trainer(model=model, args=settings, train_dataset=rows, eval_dataset=rows[:2], data_collator=collate)
    trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    assert trainer.evaluate()["eval_loss"] < losses[0]
    assert fingerprint(model.state_dict()) != before
    trainer.save_model(str(tmp_path / "saved"))
    again = AutoModelForZeroShotObjectDetection.from_pretrained(tmp_path / "saved")
    assert again.config.weights_sha256 is None
    assert fingerprint(again.state_dict()) == fingerprint(model.state_dict())


def test_half_precision_loads(folder, processor, photo):
    model = AutoModelForZeroShotObjectDetection.from_pretrained(folder, dtype=torch.bfloat16)
    made = processor(images=photo, text=["fish"])
    with torch.no_grad():
        outputs = model(**{k: v.to(torch.bfloat16) if v.is_floating_point() else v for k, v in made.items()})
    assert outputs.logits.dtype == torch.bfloat16
    assert len(processor.post_process_grounded_object_detection(outputs, ["fish"])[0]["scores"]) > 0


# -- what cannot be used ------------------------------------------------------------------------------------------


def test_a_class_layer_is_no_zero_shot_model(tmp_path):
    with pytest.raises(InputError, match="class layer"):
        hf.convert(glip_core.load("dyhead-nano"), tmp_path / "dyhead")
    assert not (tmp_path / "dyhead").exists()


def test_a_vocabulary_of_its_own_is_not_dropped(detector, tmp_path):
    """The model would ask for other words than those that its numbers were trained for."""
    lines = detector.language.vocabulary.read_text().splitlines()
    (tmp_path / "same.txt").write_text("\n".join(lines))
    (tmp_path / "mine.txt").write_text("\n".join(lines[:-2] + lines[:-3:-1]))
    hf.convert(glip_core.load("glip-nano", vocab=tmp_path / "same.txt"), tmp_path / "same")
    with pytest.raises(InputError, match=r"reads the vocabulary '.*mine\.txt'"):
        hf.convert(glip_core.load("glip-nano", vocab=tmp_path / "mine.txt"), tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_a_full_folder_is_not_written_over(detector, tmp_path):
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(InputError, match="not an empty folder"):
        hf.convert(detector, tmp_path)


def test_weights_that_do_not_fit_are_refused(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    state = load_file(folder / "model.safetensors")
    state.pop("detector.head.bias0")
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"missing keys \(detector\.head\.bias0"):
        AutoModelForZeroShotObjectDetection.from_pretrained(tmp_path)


@pytest.mark.parametrize("field", ["channels", "swin", "text"])
def test_a_damaged_configuration_is_refused(folder, tmp_path, field):
    content = json.loads((folder / "config.json").read_text())
    content["detector"][field] = {"colour": 3} if field != "text" else None
    if field == "channels":
        content["detector"]["colour"] = content["detector"].pop(field)
    (tmp_path / "config.json").write_text(json.dumps(content))
    config = AutoConfig.from_pretrained(tmp_path)
    with pytest.raises(InputError, match="class layer" if field == "text" else "config.json"):
        hf.GlipForObjectDetection(config)


def test_input_that_cannot_be_used_is_named(processor, photo):
    with pytest.raises(InputError, match="images, text or both"):
        processor()
    with pytest.raises(InputError, match="2 images but 3 lists"):
        processor(images=[photo, photo], text=[["a"], ["b"], ["c"]])
    with pytest.raises(InputError, match="tokens, the model reads at most 256"):
        processor(text=[f"thing {number}" for number in range(200)])
    with pytest.raises(InputError, match="does not take 'padding'"):
        processor(images=photo, padding=True)
    with pytest.raises(InputError, match="annotations must be"):
        processor(images=photo, annotations={"image_id": 1})
    with pytest.raises(InputError, match="1 images but annotations of 2"):
        processor(images=photo, annotations=[{"annotations": []}] * 2)


def test_boxes_are_those_that_the_benchmark_trains_on(processor):
    """Crowds and boxes without extent are left out, what lies beyond the photo is cut off."""
    photo = Image.new("RGB", (100, 80))
    boxes = [[10, 10, 20, 30], [5, 5, 0, 9], [5, 5, 9, -3], [5, 5, 1, 9], [90, 70, 40, 40], [200, 5, 9, 9]]
    rows = [{"bbox": box, "category_id": number} for number, box in enumerate(boxes)]
    rows.append({"bbox": [1, 1, 50, 50], "category_id": 7, "iscrowd": 1})
    (label,) = processor(images=photo, annotations={"image_id": 1, "annotations": rows})["labels"]
    assert label["class_labels"].tolist() == [0, 4]
    images = [{"id": 1, "width": 100, "height": 80, "file_name": "x.png"}]
    known = {"images": images, "annotations": [{"image_id": 1, "iscrowd": 0, **row} for row in rows]}
    assert [row["category_id"] for row, taken in zip(rows, learnable_boxes(known), strict=True) if taken] == [0, 4]
    torch.testing.assert_close(label["boxes"][1], torch.tensor([0.95, 75 / 80, 0.1, 0.125]), atol=0.01, rtol=0)


@pytest.mark.parametrize("number", [-1, float("inf"), "dog"])
def test_a_category_that_is_no_place_in_the_prompt(processor, photo, number):
    row = {"bbox": [1, 1, 5, 5], "category_id": number}
    with pytest.raises(InputError, match="annotations must be"):
        processor(images=photo, annotations={"image_id": 1, "annotations": [row]})


def test_no_boxes_are_a_loss_too(model, processor, photo):
    made = processor(images=photo, text=["fish"], annotations={"image_id": 1, "annotations": []})
    assert torch.isfinite(model(**made).loss)


def test_pushing_brings_a_card_where_there_is_none(model, monkeypatch):
    import huggingface_hub
    from transformers import PreTrainedModel

    asked, there = [], set()

    class Repository:
        repo_id = "me/glip"

    monkeypatch.setattr(huggingface_hub, "create_repo", lambda *a, **k: Repository)
    monkeypatch.setattr(huggingface_hub, "file_exists", lambda repo, name, **k: name in there)
    monkeypatch.setattr(
        huggingface_hub.ModelCard, "push_to_hub", lambda self, repo, **k: asked.append((repo, str(self)))
    )
    monkeypatch.setattr(PreTrainedModel, "push_to_hub", lambda self, repo, **k: asked.append((repo, "weights")))
    model.push_to_hub("glip")
    assert [repo for repo, _ in asked] == ["me/glip"] * 2
    assert "pipeline_tag: zero-shot-object-detection" in asked[0][1]
    there.add("README.md")
    asked.clear()
    model.push_to_hub("glip")
    assert asked == [("me/glip", "weights")]


@pytest.mark.slow
def test_random_glip_t_is_the_same(tmp_path):
    detector = glip_core.load("glip-t", "random")
    hf.convert(detector, tmp_path / "t")
    model = AutoModelForZeroShotObjectDetection.from_pretrained(tmp_path / "t")
    processor = AutoProcessor.from_pretrained(tmp_path / "t")
    photo = Image.effect_noise((320, 240), 90).convert("RGB")
    assert_same(detect(model, processor, photo, ["stingray", "fish"]), detector.predict(photo, ["stingray", "fish"]))
