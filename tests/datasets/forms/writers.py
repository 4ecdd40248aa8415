"""The same labelled pictures, written in the forms that people have them in.

Each writer takes an empty folder, the pictures (name, path, width, height, boxes as (class, x, y, width, height)) by
split (``{"all": ...}``: not divided), and the names of the classes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

Picture = tuple[str, Path, int, int, Sequence[tuple[int, float, float, float, float]]]
Data = Mapping[str, Sequence[Picture]]
Writer = Callable[[Path, Data, Sequence[str]], None]


def _copy(pictures: Sequence[Picture], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, path, *_ in pictures:
        shutil.copyfile(path, folder / name)


def _coco(pictures: Sequence[Picture], names: Sequence[str], prefix: str = "") -> str:
    images = [
        {"id": i, "file_name": prefix + name, "width": width, "height": height}
        for i, (name, _, width, height, _) in enumerate(pictures, start=1)
    ]
    boxes = [(i, box) for i, picture in enumerate(pictures, start=1) for box in picture[4]]
    annotations = [
        {
            "id": n,
            "image_id": i,
            "category_id": box[0] + 1,
            "bbox": list(box[1:]),
            "area": box[3] * box[4],
            "iscrowd": 0,
        }
        for n, (i, box) in enumerate(boxes, start=1)
    ]
    categories = [{"id": i, "name": name} for i, name in enumerate(names, start=1)]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def coco_2017(folder: Path, data: Data, names: Sequence[str]) -> None:
    for split, pictures in data.items():
        word = "train2017" if split == "all" else f"{split}2017"
        _copy(pictures, folder / word)
        _write(folder / "annotations" / f"instances_{word}.json", _coco(pictures, names))


def one_json(folder: Path, data: Data, names: Sequence[str]) -> None:
    """Or one a split, without folders."""
    for split, pictures in data.items():
        _copy(pictures, folder)
        _write(folder / ("annotations.json" if split == "all" else f"{split}.json"), _coco(pictures, names))


def roboflow(folder: Path, data: Data, names: Sequence[str]) -> None:
    for split, pictures in data.items():
        place = folder / {"all": "train", "val": "valid"}.get(split, split)
        _copy(pictures, place)
        _write(place / "_annotations.coco.json", _coco(pictures, names))


def cvat(folder: Path, data: Data, names: Sequence[str]) -> None:
    for split, pictures in data.items():
        _copy(pictures, folder / "images" / ("default" if split == "all" else split))
        file = f"instances_{'default' if split == 'all' else split}.json"
        _write(folder / "annotations" / file, _coco(pictures, names))


def label_studio_coco(folder: Path, data: Data, names: Sequence[str]) -> None:
    assert set(data) == {"all"}
    _copy(data["all"], folder / "images")
    _write(folder / "result.json", _coco(data["all"], names, "images/"))


def _labels(pictures: Sequence[Picture], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, _, width, height, boxes in pictures:
        lines = [
            f"{label} {(x + w / 2) / width!r} {(y + h / 2) / height!r} {w / width!r} {h / height!r}"
            for label, x, y, w, h in boxes
        ]
        _write(folder / Path(name).with_suffix(".txt").name, "\n".join(lines))


def ultralytics(folder: Path, data: Data, names: Sequence[str]) -> None:
    lines = ["path: ."]
    for split, pictures in data.items():
        inner = "" if split == "all" else f"/{split}"
        _copy(pictures, folder / f"images{inner}")
        _labels(pictures, folder / f"labels{inner}")
        lines += [f"{word}: images{inner}" for word in (("train", "val") if split == "all" else (split,))]
    _write(folder / "data.yaml", "\n".join([*lines, "names:", *(f"  {i}: {name}" for i, name in enumerate(names))]))


def roboflow_yolo(folder: Path, data: Data, names: Sequence[str]) -> None:
    lines = [f"nc: {len(names)}", f"names: {list(names)}"]
    for split, pictures in data.items():
        place = {"all": "train", "val": "valid"}.get(split, split)
        _copy(pictures, folder / place / "images")
        _labels(pictures, folder / place / "labels")
        lines.append(f"{'train' if split == 'all' else split}: ../{place}/images")
    _write(folder / "data.yaml", "\n".join(lines))


def label_studio_yolo(folder: Path, data: Data, names: Sequence[str]) -> None:
    assert set(data) == {"all"}
    _copy(data["all"], folder / "images")
    _labels(data["all"], folder / "labels")
    _write(folder / "classes.txt", "\n".join(names) + "\n")
    _write(folder / "notes.json", json.dumps({"categories": [{"id": 0, "name": "x"}], "info": {"year": 2024}}))


def darknet(folder: Path, data: Data, names: Sequence[str]) -> None:
    """CVAT's 'YOLO 1.1'."""
    for split, pictures in data.items():
        place = folder / f"obj_{'train' if split == 'all' else split}_data"
        _copy(pictures, place)
        _labels(pictures, place)
    _write(folder / "obj.names", "\n".join(names))
    _write(folder / "obj.data", f"classes = {len(names)}\nnames = data/obj.names\n")


def _xml(picture: Picture, names: Sequence[str]) -> str:
    name, _, width, height, boxes = picture
    objects = "".join(
        f"<object><name>{escape(names[label])}</name><difficult>0</difficult><bndbox><xmin>{x!r}</xmin>"
        f"<ymin>{y!r}</ymin><xmax>{x + w!r}</xmax><ymax>{y + h!r}</ymax></bndbox></object>"
        for label, x, y, w, h in boxes
    )
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><folder/><filename>{escape(name)}</filename>{size}{objects}</annotation>"


def voc(folder: Path, data: Data, names: Sequence[str]) -> None:
    for split, pictures in data.items():
        _copy(pictures, folder / "JPEGImages")
        for picture in pictures:
            _write(folder / "Annotations" / Path(picture[0]).with_suffix(".xml").name, _xml(picture, names))
        if split != "all":
            stems = "\n".join(Path(picture[0]).stem for picture in pictures)
            _write(folder / "ImageSets" / "Main" / f"{split}.txt", stems)


def flat_voc(folder: Path, data: Data, names: Sequence[str]) -> None:
    for split, pictures in data.items():
        place = folder / {"all": ".", "val": "valid"}.get(split, split)
        _copy(pictures, place)
        for picture in pictures:
            _write(place / Path(picture[0]).with_suffix(".xml").name, _xml(picture, names))


def image_folder(folder: Path, data: Data, names: Sequence[str]) -> None:
    for split, pictures in data.items():
        place = folder / {"all": ".", "val": "validation"}.get(split, split)
        _copy(pictures, place)
        rows = [
            {
                "file_name": name,
                "objects": {"bbox": [list(box[1:]) for box in boxes], "categories": [names[box[0]] for box in boxes]},
            }
            for name, _, _, _, boxes in pictures
        ]
        _write(place / "metadata.jsonl", "\n".join(map(json.dumps, rows)))


def saved_dataset(folder: Path, data: Data, names: Sequence[str]) -> None:
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Sequence, Value

    features = Features(
        {
            "image": Image(),
            "objects": {
                "bbox": Sequence(Sequence(Value("float64"), length=4)),
                "category": Sequence(ClassLabel(names=names)),
            },
        }
    )
    tables = {}
    for split, pictures in data.items():
        rows = [
            {
                "image": {"path": name, "bytes": path.read_bytes()},
                "objects": {"bbox": [list(box[1:]) for box in boxes], "category": [box[0] for box in boxes]},
            }
            for name, path, _, _, boxes in pictures
        ]
        tables["validation" if split == "val" else split] = Dataset.from_list(rows, features=features)
    saved = tables["all"] if set(tables) == {"all"} else DatasetDict(tables)
    saved.save_to_disk(str(folder))


WRITERS: Mapping[str, Writer] = {
    writer.__name__: writer
    for writer in (
        coco_2017,
        one_json,
        roboflow,
        cvat,
        label_studio_coco,
        ultralytics,
        roboflow_yolo,
        label_studio_yolo,
        darknet,
        voc,
        flat_voc,
        image_folder,
        saved_dataset,
    )
}
UNDIVIDED_ONLY = ("label_studio_coco", "label_studio_yolo")
