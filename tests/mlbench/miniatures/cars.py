"""Cars196 in both layouts."""

from pathlib import Path

from miniatures.matlab import cells, save_mat, structs
from miniatures.pictures import picture, save

NAMES = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Acura TL Sedan 2012", "Acura TL Type-S 2008")


def write_cars(root: Path, classes: int = 8, per_class: int = 3) -> Path:
    """``car_ims`` with ``cars_annos.mat``. The last image of a class is for testing; the first of all is grey."""
    rows = []
    for number in range(1, classes * per_class + 1):
        label, sample = divmod(number - 1, per_class)
        path = f"car_ims/{number:06d}.jpg"
        save(picture(label, sample, mode="L" if number == 1 else "RGB"), root / path)
        rows.append({"relative_im_path": path, **_box(), "class": label + 1, "test": int(sample == per_class - 1)})
    save_mat(root / "cars_annos.mat", annotations=structs(rows), class_names=cells(_names(classes)))
    return root


def write_cars_devkit(root: Path, classes: int = 8, per_class: int = 3, test_annotations: str = "devkit") -> Path:
    """``cars_train``, ``cars_test`` and ``devkit``, with the labels of the test images in ``test_annotations``."""
    halves: dict[str, list] = {"cars_train": [], "cars_test": []}
    for label in reversed(range(classes)):  # the owner's files are in no order of classes
        for sample in range(per_class):
            folder = "cars_test" if sample == per_class - 1 else "cars_train"
            name = f"{len(halves[folder]) + 1:05d}.jpg"
            save(picture(label, sample), root / folder / name)
            halves[folder].append({**_box(), "class": label + 1, "fname": name})
    save_mat(root / "devkit/cars_meta.mat", class_names=cells(_names(classes)))
    save_mat(root / "devkit/cars_train_annos.mat", annotations=structs(halves["cars_train"]))
    test = root / test_annotations / "cars_test_annos_withlabels.mat"
    save_mat(test, annotations=structs(halves["cars_test"]))
    return root


def _box() -> dict[str, int]:
    """From 1, the last included, as in MATLAB: of 24×20 pixels all but two at the left and one at every other side."""
    return {"bbox_x1": 3, "bbox_y1": 2, "bbox_x2": 23, "bbox_y2": 19}


def _names(classes: int) -> list[str]:
    return [NAMES[label] if label < len(NAMES) else f"Car {label + 1} Coupe 2012" for label in range(classes)]
