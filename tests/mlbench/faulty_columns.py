"""Datasets whose item tables say something wrong of splits, roles, superclasses or boxes."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
from stripes import Stripes

#: Class, the check that must catch it, and a piece of what that must say.
FAULTS = []


def fault(check, detail):
    """Register a faulty dataset."""

    def register(cls):
        FAULTS.append((cls, check, detail))
        return cls

    return register


class Columned(Stripes):
    """Stripes whose table has more columns: ``column(label, sample)`` gives an item's entry."""

    columns: ClassVar = {}

    @property
    def items(self):
        table = super().items
        places = [divmod(index, 2) for index in range(len(table))]
        made = {name: column(places) for name, column in self.columns.items()}
        return replace(table, **made)


def words(of):
    return lambda places: tuple(of(label, sample) for label, sample in places)


def numbers(of):
    return lambda places: np.array([of(label, sample) for label, sample in places])


def halves(label, sample):
    return "train" if label < 5 else "test"


def by_sample(label, sample):
    return "gallery" if sample else "query"


class Sound(Columned):
    """Everything said, and right: what must raise no alarm."""

    columns: ClassVar = {
        "splits": words(halves),
        "roles": words(lambda label, sample: "" if label < 5 else by_sample(label, sample)),
        "superclasses": lambda places: np.arange(10) // 5,
        "superclass_names": lambda places: ("low", "high"),
        "boxes": numbers(lambda label, sample: [0, label, 16, label + 1]),
    }


class SoundClosedSet(Columned):
    """A split for classification that says so."""

    closed_set = True
    columns: ClassVar = {"splits": words(lambda label, sample: "test" if sample else "train")}


@fault("named-splits", "2 classes are in both train and test, among them 'class 4'")
class SharedClasses(Columned):
    columns: ClassVar = {
        "splits": words(lambda label, sample: "test" if label + sample > 4 + (label == 5) else "train")
    }


@fault("named-splits", "10 classes are in both train and test, among them 'class 0'")
class UndeclaredClosedSet(Columned):
    columns: ClassVar = SoundClosedSet.columns


@fault("named-splits", "but no class is in both")
class NotSoClosedSet(Columned):
    closed_set = True
    columns: ClassVar = {"splits": words(halves)}


@fault("named-splits", "declares a closed-set split, but names no splits")
class SilentClosedSet(Columned):
    closed_set = True


@fault("named-splits", "names no train and test items (splits: train)")
class NoTest(Columned):
    columns: ClassVar = {"splits": words(lambda label, sample: "train" if label < 5 else "")}


@fault("named-splits", "of class 'class 9' some items are in a split and some are in none")
class TornClass(Columned):
    columns: ClassVar = {
        "splits": words(lambda label, sample: "" if (label, sample) == (9, 1) else halves(label, sample))
    }


@fault("query-gallery", "no item is a gallery")
class NoGallery(Columned):
    columns: ClassVar = {"roles": words(lambda label, sample: "query")}


@fault("query-gallery", "the gallery has nothing of class 'class 9', which is queried")
class NothingToFind(Columned):
    columns: ClassVar = {"roles": words(lambda label, sample: "query" if label == 9 else by_sample(label, sample))}


@fault("query-gallery", "10 of 10 pictures are both query and gallery")
class SamePictures(Columned):
    columns: ClassVar = {"roles": words(by_sample)}

    def load(self, index):
        return super().load(index - index % 2)


@fault("superclasses", "superclass 'rest' has no class")
class EmptySuperclass(Columned):
    columns: ClassVar = {
        "superclasses": lambda places: np.zeros(10, np.int64),
        "superclass_names": lambda places: ("all", "rest"),
    }


@fault("superclasses", "two superclasses have one name")
class OneNameTwice(Columned):
    columns: ClassVar = {
        "superclasses": lambda places: np.arange(10) // 5,
        "superclass_names": lambda places: ("all", "all"),
    }


@fault("superclasses", "says of no class which is its own")
class NamesAlone(Columned):
    columns: ClassVar = {"superclass_names": lambda places: ("all",)}


@fault("boxes", "the box [0, 0, 17, 16] of item 3 is not in its 16 x 16")
class BoxOutside(Columned):
    columns: ClassVar = {"boxes": numbers(lambda label, sample: [0, 0, 16 + (label == sample == 1), 16])}


@fault("boxes", "the box [4, 5, 4, 9] of item 0")
class EmptyBox(Columned):
    columns: ClassVar = {"boxes": numbers(lambda label, sample: [4, 5, 4, 9])}


@fault("boxes", "no int64 array [N, 4]")
class BrokenPixels(Columned):
    columns: ClassVar = {"boxes": numbers(lambda label, sample: [0.5, 0.5, 4.0, 4.0])}
