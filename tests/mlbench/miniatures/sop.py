"""Stanford Online Products."""

from pathlib import Path

from miniatures.pictures import picture, save, write

CATEGORIES = ("bicycle", "cabinet", "chair")
HEAD = "image_id class_id super_class_id path"


def write_sop(parent: Path, classes: int = 8, per_class: int = 2) -> Path:
    """Write ``Stanford_Online_Products`` into ``parent``. The first half of the classes trains."""
    root = parent / "Stanford_Online_Products"
    rows = []
    for number in range(1, classes * per_class + 1):
        label, sample = divmod(number - 1, per_class)
        category = label % len(CATEGORIES)
        path = f"{CATEGORIES[category]}_final/{111_085_122_871 + label}_{sample}.JPG"
        save(picture(label, sample, mode="L" if number == 2 else "RGB"), root / path)
        rows.append(f"{number} {label + 1} {category + 1} {path}")
    training = classes // 2 * per_class
    write(root / "Ebay_train.txt", HEAD, *rows[:training])
    write(root / "Ebay_test.txt", HEAD, *rows[training:])
    write(root / "Ebay_info.txt", HEAD, *rows)
    return root
