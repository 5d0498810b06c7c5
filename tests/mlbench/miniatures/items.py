"""A CSV file and the images that it lists."""

from pathlib import Path

from miniatures.pictures import picture, save, write


def write_csv(root: Path, classes: int = 8, per_class: int = 2) -> Path:
    """All columns. The images lie in a folder beside the file; its path."""
    lines = ["path,label,split,role,superclass,x1,y1,x2,y2"]
    for label in range(classes):
        split, roles = ("train", ("", "")) if label < classes // 2 else ("test", ("query", "gallery"))
        for sample in range(per_class):
            path = f"images/{label}_{sample}.png"
            save(picture(label, sample), root / path)
            lines.append(f"{path},{label},{split},{roles[sample % 2]},{'odd' if label % 2 else 'even'},2,1,20,18")
    return write(root / "items.csv", *lines)
