"""What the optional columns of a dataset's item table must hold."""

import numpy as np

from mlbench.api import ItemTable, MlbenchError
from mlbench.data.splits import Official
from mlbench.data.splits.official import owner_classes
from mlbench.testing.requirement import NotApplicable, Requirement, Violation, require, requirement
from mlbench.testing.sampled import SHARED, fingerprint, sampled
from mlbench.testing.subject import Subject


@requirement("Correct the column, or set closed_set = True where the owner splits the items of every class.")
def named_splits(subject: Subject) -> None:
    """Splits it names have training and test items, of different classes unless it declares a closed-set split."""
    dataset, items = subject.shared, subject.shared.items
    if not any(items.splits or ()):
        require(not dataset.closed_set, "declares a closed-set split, but names no splits")
        raise NotApplicable("it names no splits")
    try:
        train, test = map(set, owner_classes(items))
        if shared := train & test:
            message = f"{len(shared)} classes are in both train and test, among them {items.class_names[min(shared)]!r}"
            require(dataset.closed_set, message)
        else:
            require(not dataset.closed_set, "declares a closed-set split, but no class is in both train and test")
        Official()(items, folds=2)
    except MlbenchError as error:
        raise Violation(str(error)) from None


@requirement("Name queries and gallery by role, of the same test classes, and remove what is on both sides.")
def query_gallery(subject: Subject) -> None:
    """Queries and gallery it names are different pictures, and of every query's class the gallery has one."""
    dataset, items = subject.shared, subject.shared.items
    if not any(items.roles or ()):
        raise NotApplicable("it names no queries and no gallery")
    roles = np.array(items.roles)
    queried, offered = (set(items.labels[roles == role].tolist()) for role in ("query", "gallery"))
    for name, classes in (("query", queried), ("gallery", offered)):
        require(classes, f"no item is a {name}")
    if alone := queried - offered:
        require(False, f"the gallery has nothing of class {items.class_names[min(alone)]!r}, which is queried")
    kinds: dict[bytes, set[str]] = {}
    for index in sampled(items.labels):
        kinds.setdefault(fingerprint(dataset, index), set()).add(str(roles[index]))
    both = sum({"query", "gallery"} <= found for found in kinds.values())
    require(both <= SHARED * len(kinds), f"{both} of {len(kinds)} pictures are both query and gallery")


@requirement("Number superclasses 0..S-1 in int64, each with a class and a name of its own.")
def superclasses(subject: Subject) -> None:
    """Superclasses it names have classes, and names of their own."""
    items: ItemTable = subject.shared.items
    if items.superclasses is None:
        require(not items.superclass_names, "it names superclasses, but says of no class which is its own")
        raise NotApplicable("it names no superclasses")
    names, found = items.superclass_names, items.superclasses
    require(found.dtype == np.int64, "superclasses are no int64 array")
    require(len(set(names)) == len(names), "two superclasses have one name")
    if unused := set(range(len(names))) - set(found.tolist()):
        require(False, f"superclass {names[min(unused)]!r} has no class")


@requirement("Give boxes as left, top, right, bottom in pixels of the decoded item, right and bottom outside the box.")
def boxes(subject: Subject) -> None:
    """Boxes are inside their items and not empty."""
    dataset, items = subject.shared, subject.shared.items
    if items.boxes is None:
        raise NotApplicable("it gives no boxes")
    require(items.boxes.shape == (len(items), 4) and items.boxes.dtype == np.int64, "boxes are no int64 array [N, 4]")
    for index in sampled(items.labels):
        height, width = dataset.load(index).shape[:2]
        left, top, right, bottom = items.boxes[index].tolist()
        inside = 0 <= left < right <= width and 0 <= top < bottom <= height
        message = f"the box {[left, top, right, bottom]} of item {items.ids[index]} is not in its {width} x {height}"
        require(inside, message)


CHECKS: tuple[Requirement, ...] = (named_splits, query_gallery, superclasses, boxes)
