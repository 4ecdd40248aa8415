"""The metrics of LVIS, Flickr30k Entities and referring expressions against the official evaluators' stored results."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from glip_core import InputError
from odinw_bench.datasets.entities import read_entities
from odinw_bench.metrics import evaluate_flickr, evaluate_lvis, evaluate_refexp

TOLERANCE = 1e-9  # percent; the oracle is in float64 and rounds nothing but per-category values

SETTINGS: dict[str, dict[str, Any]] = {
    "standard_300": {"fixed": False},
    "standard_100": {"fixed": False, "max_dets": 100},
    "standard_nolimit": {"fixed": False, "max_dets": -1},
    "fixed_top10000": {},
    "fixed_top40": {"top_per_class": 40},
    "fixed_top10": {"top_per_class": 10},
}


def stored(shared: Path, name: str) -> dict[str, Any]:
    return json.loads((shared / "evaluators" / f"{name}.json").read_text())


def equal(ours: float | None, official: float, tolerance: float = TOLERANCE) -> bool:
    """Ours in percent, None for nothing; the official fraction, -1 for nothing."""
    return (ours is None) == (official == -1) and (ours is None or abs(ours - 100 * official) <= tolerance)


@pytest.fixture(scope="module")
def lvis(shared: Path) -> dict[str, Any]:
    return stored(shared, "lvis_eval")


@pytest.fixture(scope="module")
def lvis_predictions(lvis: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": image,
            "category_id": category,
            "bbox": [x1 / 4, y1 / 4, (x2 - x1) / 4, (y2 - y1) / 4],
            "score": score / 1024,
        }
        for image, category, x1, y1, x2, y2, score in lvis["detections"]["rows"]
    ]


@pytest.mark.parametrize("name", SETTINGS)
def test_lvis_metrics(lvis, lvis_predictions, name):
    found, official = evaluate_lvis(lvis["truth"], lvis_predictions, **SETTINGS[name]), lvis["official"][name]
    assert {key: found[key] for key, value in official["results"].items() if not equal(found[key], value)} == {}
    for category, values in official.get("per_category_ap_ap50_ar", {}).items():
        ours = found["per_category"][int(category)].values()
        assert all(equal(a, b, 1e-7) for a, b in zip(ours, values, strict=True)), category  # stored with 9 decimals


def test_lvis_rules_one_by_one(lvis):
    for case in lvis["single_rule_cases"]:
        found = evaluate_lvis(case["gt"], case["detections_xywh"], fixed=False)
        if "error" in case["official"]:  # the official code has no word for a detector that finds nothing
            assert found["AP"] == 0
            continue
        wrong = [key for key, value in case["official"].items() if not equal(found[key], value)]
        assert not wrong, (case["name"], wrong)


def test_plain_ap_equals_the_lvis_package(lvis, lvis_predictions, monkeypatch):
    package = pytest.importorskip("lvis", reason="the package lvis is not installed")
    import numpy as np

    monkeypatch.setattr(np, "float", float, raising=False)  # the package is older than numpy 1.24
    truth = package.LVIS.__new__(package.LVIS)
    truth.logger, truth.dataset = package.lvis.logging.getLogger("lvis"), lvis["truth"]
    truth._create_index()
    evaluator = package.LVISEval(truth, package.LVISResults(truth, [dict(row) for row in lvis_predictions]), "bbox")
    evaluator.run()
    found = evaluate_lvis(lvis["truth"], lvis_predictions, fixed=False)
    for key, value in evaluator.get_results().items():
        assert equal(found[key], value), key


@pytest.fixture(scope="module")
def flickr(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    content, root = stored(shared, "flickr_eval"), tmp_path_factory.mktemp("entities")
    (root / "Annotations").mkdir()
    (root / "Sentences").mkdir()
    (root / "test.txt").write_text("\n".join(map(str, content["images_in_subset_file_order"])))
    for image, files in content["files"].items():
        (root / "Annotations" / f"{image}.xml").write_text(files["xml"])
        (root / "Sentences" / f"{image}.txt").write_text(files["sentences"])
    return root, content


def test_entities_files_are_read_as_officially(flickr):
    root, content = flickr
    images = read_entities(root, "test")
    assert list(images) == content["images_in_subset_file_order"]
    for image, official in content["parsed_by_official_code"].items():
        ours = images[int(image)]
        assert {key: [list(box) for box in boxes] for key, boxes in ours.boxes.items()} == official["boxes"]
        sentences = [
            {
                "sentence": sentence.text,
                "phrases": [
                    {
                        "first_word_index": phrase.first_word,
                        "phrase": phrase.text,
                        "phrase_id": phrase.entity,
                        "phrase_type": list(phrase.types),
                    }
                    for phrase in sentence.phrases
                ],
            }
            for sentence in ours.sentences
        ]
        assert sentences == official["sentences"]
    grounded = sum(bool(i.grounded(n)) for i in images.values() for n in range(len(i.sentences)))
    assert grounded == content["sentences_to_evaluate"]


@pytest.mark.parametrize(("protocol", "merged"), [("any_box", False), ("merged_boxes", True)])
@pytest.mark.filterwarnings("ignore:sentence")
def test_flickr_recalls(flickr, protocol, merged):
    root, content = flickr
    found = evaluate_flickr(root, "test", content["predictions_xyxy_ranked"], merged=merged)
    official = content["official"][protocol]
    for key, value in official["scores"].items():
        name, kind = key.rsplit("_", 1)
        name = "upper_bound" if name == "Upper_bound" else name.replace("Recall", "R")
        assert equal((found if kind == "all" else found["per_type"][kind])[name], value), key
    assert {"all": found["phrases"]} | {k: v["phrases"] for k, v in found["per_type"].items()} == official["phrases"]


def test_flickr_predictions_that_do_not_fit(flickr):
    root, content = flickr
    images = read_entities(root, "test")
    unique: dict[tuple[int, int], dict[str, Any]] = {}
    for row in content["predictions_xyxy_ranked"]:
        if row["image_id"] in images and images[row["image_id"]].grounded(row["sentence_id"]):
            unique.setdefault((row["image_id"], row["sentence_id"]), row)
    first, *others = unique.values()
    somewhere = [[[0, 0, 1, 1]] for _ in first["boxes"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        right = evaluate_flickr(root, "test", [first, *others])
    with pytest.raises(InputError, match="no prediction for sentence"):
        evaluate_flickr(root, "test", others)
    with pytest.raises(InputError, match=r"boxes for \d+ phrases"):
        evaluate_flickr(root, "test", [{**first, "boxes": [*first["boxes"], [[0, 0, 1, 1]]]}, *others])
    with pytest.raises(InputError, match="at least one box"):
        evaluate_flickr(root, "test", [{**first, "boxes": [[] for _ in first["boxes"]]}, *others])
    with pytest.warns(UserWarning, match="predicted twice"):
        again = evaluate_flickr(root, "test", [first, *others, {**first, "boxes": somewhere}])
    with pytest.warns(UserWarning, match="not evaluated"):
        strange = {"image_id": 5, "sentence_id": 0, "boxes": [[[0, 0, 1, 1]]]}
        outside = evaluate_flickr(root, "test", [first, *others, strange])
    assert right == again == outside


def test_referring_expressions(shared):
    for case in stored(shared, "phrase_scores")["referring_expressions"]:
        annotations = {"images": case["images"], "annotations": case["annotations_xywh"]}
        predictions = {int(key): value for key, value in case["predictions_xyxy"].items()}
        for generalised, key in ((True, "official_precision_at_1_5_10"), (False, "with_plain_iou_not_official")):
            found = evaluate_refexp(annotations, predictions, generalised=generalised)
            for dataset, values in case[key].items():
                if dataset in found:  # the official evaluator prints zeros for a data set that is not there
                    ours = [found[dataset][name] for name in ("P@1", "P@5", "P@10")]
                    assert all(equal(a, b) for a, b in zip(ours, values, strict=True)), (case["name"], dataset)
