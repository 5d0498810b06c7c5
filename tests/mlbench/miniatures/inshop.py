"""In-Shop, in the owner's folders or side by side."""

from pathlib import Path

from miniatures.pictures import picture, save, write

CATEGORIES = ("MEN/Denim", "WOMEN/Dresses")


def write_inshop(root: Path, items: int = 8, folders: bool = False, boxes: bool = True) -> Path:
    """The first half of the items trains, with two images each; the others have one query and two of the gallery.

    Args:
        root: Where to.
        items: Number of items.
        folders: In ``Eval``, ``Anno`` and ``Img``, as the owner offers them.
        boxes: Whether ``list_bbox_inshop.txt`` is there.
    """
    partition, boxed = [], []
    for item in range(items):
        parts = ("train", "train") if item < items // 2 else ("query", "gallery", "gallery")
        for sample, part in enumerate(parts):
            name = f"id_{item + 1:08d}"
            path = f"img/{CATEGORIES[item % 2]}/{name}/0{sample + 1}_{sample + 1}_front.jpg"
            save(picture(item, sample), root / ("Img" if folders else "") / path)
            partition.append(f"{path:<70} {name} {part:<10}")
            boxed.append(f"{path:<70} 1 2 003 002 020 018")
    heads = {
        "evaluation": "image_name item_id evaluation_status",
        "box": "image_name clothes_type pose_type x_1 y_1 x_2 y_2",
    }
    write(
        root / ("Eval" if folders else "") / "list_eval_partition.txt", len(partition), heads["evaluation"], *partition
    )
    if boxes:
        write(root / ("Anno" if folders else "") / "list_bbox_inshop.txt", len(boxed), heads["box"], *boxed)
    return root
