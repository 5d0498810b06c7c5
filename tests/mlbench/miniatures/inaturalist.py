"""iNaturalist 2018."""

import json
from pathlib import Path

from miniatures.pictures import picture, save, write

SUPERS = ("Aves", "Plantae", "Insecta")


def write_inaturalist(root: Path, classes: int = 8, by_class: bool = True) -> Path:
    """Three images of every species, the last in the competition's validation set.

    Args:
        root: Where to.
        classes: Number of species.
        by_class: Whether the lists of metric learning's split are there; they train on the species of odd number.
    """
    categories = [{"id": label, "name": str(label), "supercategory": SUPERS[label % 3]} for label in range(classes)]
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for split, samples in (("train", (0, 1)), ("val", (2,))):
        images, annotations = [], []
        for label in range(classes):
            for sample in samples:
                path = f"train_val2018/{SUPERS[label % 3]}/{label}/{label:02d}{sample:02d}cafe.jpg"
                save(picture(label, sample), root / path)
                number = 1000 * (split == "val") + len(images) + 1
                images.append({"id": number, "file_name": path, "width": 24, "height": 20, "license": 3})
                annotations.append({"id": number, "image_id": number, "category_id": label})
                lists["train" if label % 2 else "test"].append(path)
        content = {"images": images, "annotations": annotations[::-1], "categories": categories}
        write(root / f"{split}2018.json", json.dumps(content))
    if by_class:
        for split, paths in lists.items():
            write(root / "Inat_dataset_splits" / f"Inaturalist_{split}_set1.txt", *paths)
    return root
