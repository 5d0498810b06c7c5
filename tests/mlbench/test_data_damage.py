"""Leaving damaged images out: what is left, its hash, and classes that it leaves too small."""

import numpy as np
import pytest
from pictures import Memory, random_images

from mlbench.api.dataset import ItemTable
from mlbench.api.errors import DataError
from mlbench.data import ImageStore
from mlbench.data.damage import Without


class Told(Memory):
    """With everything that an item table can say of an item."""

    @property
    def items(self) -> ItemTable:
        plain, numbers = super().items, range(len(self.images))
        return ItemTable(
            ids=plain.ids,
            labels=plain.labels,
            class_names=plain.class_names,
            views=tuple(f"view{number}" for number in numbers),
            splits=("train",) * len(plain),
            roles=("query", "gallery") * (len(plain) // 2),
            superclasses=np.array([0, 0], np.int64),
            superclass_names=("all",),
            boxes=np.array([[0, 0, number + 1, 1] for number in numbers], np.int64),
        )


@pytest.fixture
def whole():
    images: list = random_images(*[(4, 5, 3)] * 8)
    images[2] = images[5] = DataError("truncated")
    return Told(images, [0, 1] * 4, "abc")


def test_what_is_left_is_a_dataset_of_its_own(whole):
    left = Without(whole, ("item2", "item5"))
    kept = [0, 1, 3, 4, 6, 7]
    items = left.items
    assert items.ids == tuple(f"item{index}" for index in kept)
    assert items.views == tuple(f"view{index}" for index in kept)
    assert items.roles == ("query", "gallery", "gallery", "query", "query", "gallery")
    assert items.labels.tolist() == [0, 1, 1, 0, 0, 1] and items.boxes[:, 2].tolist() == [index + 1 for index in kept]
    assert items.splits == ("train",) * 6 and items.class_names == whole.items.class_names
    assert all(np.array_equal(left.load(place), whole.images[index]) for place, index in enumerate(kept))


def test_the_hash_says_what_is_left_out(whole):
    other = Told(whole.images, whole.labels, "abd")
    left = [("item2",), ("item5",), ("item2", "item5")]
    hashes = {whole.content_hash, Without(other, left[0]).content_hash}
    hashes |= {Without(whole, names).content_hash for names in left}
    assert len(hashes) == 5


def test_a_store_of_what_is_left_shows_the_right_images(whole):
    view = ImageStore.build(Without(whole, ("item2", "item5")), None).view([1])
    assert view.ids == ("item1", "item3", "item7")
    for place, index in enumerate((1, 3, 7)):
        assert np.array_equal(view.images([place])[0].permute(1, 2, 0), whole.images[index])


def test_further_damage_is_not_skipped_in_silence(whole):
    with pytest.raises(DataError, match="1 of 7 images cannot be decoded:\n  truncated"):
        ImageStore.build(Without(whole, ("item2",)), None)


def test_a_class_that_becomes_too_small_is_named(whole):
    with pytest.raises(DataError, match=r"fewer than the 2 images .* 'class0' \(1 left\)"):
        Without(whole, ("item0", "item2", "item4"))
    with pytest.raises(DataError, match=r"'class1' \(0 left\)"):
        Without(whole, ("item1", "item3", "item5", "item7"))


def test_a_class_that_was_small_before_stays():
    lone = Memory(random_images(*[(4, 5, 3)] * 4), [0, 1, 1, 1])
    assert Without(lone, ("item1",)).items.counts.tolist() == [1, 2]


def test_an_item_that_is_gone_is_not_left_out_in_silence(whole):
    with pytest.raises(DataError, match="1 items were skipped when this was planned"):
        Without(whole, ("item9",))
