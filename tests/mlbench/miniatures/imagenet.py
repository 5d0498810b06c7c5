"""ImageNet-1k: a folder per class, and the validation images in folders or side by side; or the owner's archives."""

import tarfile
from pathlib import Path

from miniatures.matlab import save_mat, structs
from miniatures.pictures import picture, save, write

#: The numbers of the development kit are in another order than the ids.
SYNSETS = ("n01440764", "n01443537", "n01484850", "n01491361", "n01494475", "n01496331", "n01498041", "n01514668")
KIT_ORDER = (3, 0, 7, 1, 5, 2, 6, 4)


def write_imagenet(root: Path, val_folders: bool = False) -> Path:
    """Two training images and one for validation of every class; the validation image ``i`` is of kit class ``i``."""
    for label, synset in enumerate(SYNSETS):
        for sample in range(2):
            save(picture(label, sample), root / "train" / synset / f"{synset}_{10 + sample}.JPEG", format="JPEG")
    for number, label in enumerate(KIT_ORDER, start=1):
        folder = SYNSETS[label] if val_folders else ""
        save(picture(label, 2), root / "val" / folder / f"ILSVRC2012_val_{number:08d}.JPEG", format="JPEG")
    if not val_folders:
        rows = [
            {"ILSVRC2012_ID": number, "WNID": SYNSETS[label], "words": f"thing {label}", "num_children": 0}
            for number, label in enumerate(KIT_ORDER, start=1)
        ]
        rows.append({"ILSVRC2012_ID": 1001, "WNID": "n00001740", "words": "entity", "num_children": 8})
        kit = root / "ILSVRC2012_devkit_t12" / "data"
        save_mat(kit / "meta.mat", synsets=structs(rows))
        write(kit / "ILSVRC2012_validation_ground_truth.txt", *range(1, len(SYNSETS) + 1))
    return root


def write_imagenet_archives(folder: Path, scratch: Path) -> Path:
    """The three archives of the owner: of the training images a tar of one tar for every class."""
    root = write_imagenet(scratch)
    classes = scratch / "classes"
    folder.mkdir()
    classes.mkdir()
    for synset in SYNSETS:
        _tar(classes / f"{synset}.tar", sorted((root / "train" / synset).iterdir()))
    _tar(folder / "ILSVRC2012_img_train.tar", sorted(classes.iterdir()))
    _tar(folder / "ILSVRC2012_img_val.tar", sorted((root / "val").iterdir()))
    _tar(folder / "ILSVRC2012_devkit_t12.tar.gz", [root / "ILSVRC2012_devkit_t12"], mode="w:gz")
    return folder


def _tar(path: Path, members: list[Path], mode: str = "w") -> None:
    with tarfile.open(path, mode) as file:
        for member in members:
            file.add(member, member.name)
