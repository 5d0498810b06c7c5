"""Stanford Dogs."""

from pathlib import Path

import numpy as np

from miniatures.matlab import cells, save_mat
from miniatures.pictures import picture, save, write

BREEDS = (
    "Chihuahua",
    "Japanese_spaniel",
    "Maltese_dog",
    "Pekinese",
    "Shih-Tzu",
    "Blenheim_spaniel",
    "papillon",
    "toy_terrier",
)

_BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"


def write_dogs(root: Path, per_class: int = 3, annotations: bool = True) -> Path:
    """The last image of a breed is for testing. The first image of each has a second dog."""
    halves: dict[str, list] = {"train": [], "test": []}
    for label, breed in enumerate(BREEDS):
        synset = f"n{2_085_620 + 100 * label:08d}"
        for sample in range(per_class):
            name = f"{synset}-{breed}/{synset}_{7 + sample}"
            save(picture(label, sample), root / "Images" / f"{name}.jpg")
            boxes = [(2, 1, 20, 18), (0, 0, 5, 5)][: 2 if sample == 0 else 1]
            objects = "".join(f"<object><name>{breed}</name>{_BOX.format(*box)}</object>" for box in boxes)
            if annotations:
                write(root / "Annotation" / name, f"<annotation><folder>{synset[1:]}</folder>{objects}</annotation>")
            halves["test" if sample == per_class - 1 else "train"].append((f"{name}.jpg", name, label + 1))
    for split, rows in halves.items():
        files, notes, labels = zip(*rows, strict=True)
        variables = {"file_list": cells(files), "annotation_list": cells(notes), "labels": np.array(labels)[:, None]}
        save_mat(root / f"{split}_list.mat", **variables)
    return root
