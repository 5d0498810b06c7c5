"""CUB-200-2011 as its archive unpacks, with fewer classes."""

from pathlib import Path

from miniatures.pictures import picture, save, write

NAMES = ("Black_footed_Albatross", "Laysan_Albatross", "Sooty_Albatross", "Groove_billed_Ani")


def write_cub(
    parent: Path, classes: int = 16, per_class: int = 4, size: tuple[int, int] = (24, 20), lone: tuple[int, ...] = ()
) -> Path:
    """Write ``CUB_200_2011`` into ``parent``; its path.

    The second image of every class is grey, as a few of the owner's are. The first half of each class, rounded up, is
    for training in the owner's split. Every box leaves out the left and the upper two pixels and the last of each side.
    Classes in ``lone`` (from 0) have their first image only.
    """
    root = parent / "CUB_200_2011"
    names = [
        f"{label + 1:03d}.{NAMES[label] if label < len(NAMES) else f'Bird_{label + 1}'}" for label in range(classes)
    ]
    files = [(label, sample) for label in range(classes) for sample in range(1 if label in lone else per_class)]
    paths = [f"{names[label]}/{names[label][4:]}_{sample + 1:04d}_{900 + sample}.jpg" for label, sample in files]
    for (label, sample), path in zip(files, paths, strict=True):
        save(picture(label, sample, size, "L" if sample == 1 else "RGB"), root / "images" / path, quality=95)
    write(root / "classes.txt", *(f"{label + 1} {name}" for label, name in enumerate(names)))
    write(root / "images.txt", *(f"{number} {path}" for number, path in enumerate(paths, 1)))
    write(root / "image_class_labels.txt", *(f"{number} {label + 1}" for number, (label, _) in enumerate(files, 1)))
    training = (f"{number} {int(sample < (per_class + 1) // 2)}" for number, (_, sample) in enumerate(files, 1))
    write(root / "train_test_split.txt", *training)
    box = f"2.0 2.0 {size[0] - 3}.0 {size[1] - 3}.0"
    write(root / "bounding_boxes.txt", *(f"{number} {box}" for number in range(1, len(files) + 1)))
    write(root / "README", "Caltech-UCSD Birds-200-2011")
    return root
