import dataclasses
import gc

import numpy as np
import pytest
import torch
from pictures import Memory, random_images
from PIL import Image

from mlbench.api.dataset import Dataset, ItemTable
from mlbench.api.errors import DataError
from mlbench.data.images import ImageStore, ImageView

LABELS = [0, 1, 2, 0, 1, 2]


@pytest.fixture(params=["one size", "many sizes"])
def images(request: pytest.FixtureRequest) -> list[np.ndarray]:
    return random_images(*[(6, 9 if request.param == "one size" else 9 + index, 3) for index in range(6)])


def test_a_view_renumbers_its_classes_in_the_order_asked_for(images: list[np.ndarray]) -> None:
    view = ImageStore.build(Memory(images, LABELS), None).view([2, 0])
    assert view.ids == ("item0", "item2", "item3", "item5")
    assert view.labels.tolist() == [1, 0, 1, 0] and view.labels.dtype == np.int64
    assert (len(view), view.channels) == (4, 3)
    for position, item in enumerate([0, 2, 3, 5]):
        (image,) = view.images([position])
        assert image.dtype == torch.uint8
        assert np.array_equal(image.permute(1, 2, 0), images[item])


@pytest.mark.parametrize("indices", [range(4), range(1, 3), range(2, 2), range(0, 4, 2), range(3, -1, -1)])
def test_a_range_gives_what_its_numbers_give(images: list[np.ndarray], indices: range) -> None:
    view = ImageStore.build(Memory(images, LABELS), None).view([2, 0])
    listed, ranged = view.images(list(indices)), view.images(indices)
    assert len(listed) == len(ranged) == len(indices)
    assert all(map(torch.equal, listed, ranged))


@pytest.mark.parametrize("indices", [range(3, 6), range(-9, 2), range(7, 9)])
def test_a_range_beyond_the_view_is_refused(images: list[np.ndarray], indices: range) -> None:
    with pytest.raises(IndexError):
        ImageStore.build(Memory(images, LABELS), None).view([2, 0]).images(indices)


def reachable_pixels(view: ImageView) -> int:
    """Bytes of all arrays and tensor storages that can be reached from a view through any reference."""
    seen: set[int] = set()
    storages: dict[int, int] = {}
    waiting: list[object] = [view.__dict__]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type):
            continue
        seen.add(id(thing))
        assert not isinstance(thing, (ImageStore, Dataset))
        if isinstance(thing, torch.Tensor):
            storages[thing.untyped_storage().data_ptr()] = thing.untyped_storage().nbytes()
        elif isinstance(thing, np.ndarray):
            assert thing.dtype != np.uint8
        else:
            waiting.extend(gc.get_referents(thing))
    return sum(storages.values())


def test_no_other_pixel_can_be_reached_through_a_view(images: list[np.ndarray]) -> None:
    view = ImageStore.build(Memory(images, LABELS), None).view([1])
    assert reachable_pixels(view) == images[1].nbytes + images[4].nbytes


def test_views_of_the_dataset_array_are_not_kept() -> None:
    base = np.zeros((6, 4, 4, 1), np.uint8)
    rows = [base[index, : 3 + index % 2] for index in range(6)]
    assert reachable_pixels(ImageStore.build(Memory(rows, LABELS), None).view([0])) == (12 + 16)
    store = ImageStore.build(Memory(rows, LABELS), None)
    base += 1
    assert int(store.view([0]).images([0])[0].max()) == 0


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((40, 60, 3), (20, 30)), ((61, 40, 3), (30, 20)), ((10, 15, 1), (20, 30)), ((20, 33, 1), (20, 33))],
)
def test_the_first_resize_makes_the_shorter_side_that_long(shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    (image,) = random_images(shape)
    (got,) = ImageStore.build(Memory([image], [0]), 20).view([0]).images([0])
    assert got.shape == (shape[2], *expected)
    reference = Image.fromarray(image.squeeze()).resize(expected[::-1], Image.Resampling.BILINEAR)
    assert np.array_equal(got.permute(1, 2, 0).numpy().squeeze(), np.asarray(reference))


def test_the_first_resize_is_antialiased() -> None:
    checkerboard = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)[:, :, None]
    (got,) = ImageStore.build(Memory([checkerboard], [0]), 8).view([0]).images([0])
    assert torch.all((got.int() - 127).abs() <= 2)


def test_a_dataset_that_mixes_grey_and_colour_is_colour() -> None:
    grey, colour = random_images((4, 4, 1), (4, 4, 3))
    view = ImageStore.build(Memory([grey, colour], [0, 0]), None).view([0])
    assert view.channels == 3
    batch = view.images([0, 1])
    assert np.array_equal(batch[0], np.broadcast_to(grey.transpose(2, 0, 1), (3, 4, 4)))


def test_all_undecodable_items_are_told_at_once() -> None:
    images: list = random_images(*[(4, 4, 3)] * 8)
    for index in (1, 3, 5, 6):
        images[index] = DataError(f"/data/{index}.jpg: truncated")
    images[7] = OSError("disk gone")
    with pytest.raises(DataError) as error:
        ImageStore.build(Memory(images, [0] * 8), None)
    assert str(error.value).splitlines() == [
        "5 of 8 images cannot be decoded:",
        "  /data/1.jpg: truncated",
        "  /data/3.jpg: truncated",
        "  /data/5.jpg: truncated",
        "  and 2 more",
        "Replace them, or leave them out with --set damaged=skip",
    ]


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_an_array_that_is_no_image_is_named(image: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"item0: loaded as .*an image is uint8 \[H, W, 1 or 3\]"):
        ImageStore.build(Memory([image], [0]), None)


@pytest.mark.parametrize(
    ("classes", "why"), [([0, 3], "3 is none"), ([-1], "-1 is none"), ([1, 1], "one is named twice")]
)
def test_impossible_views_are_refused(images: list[np.ndarray], classes: list[int], why: str) -> None:
    with pytest.raises(DataError, match=rf"distinct classes among 0\.\.2: {why}"):
        ImageStore.build(Memory(images, LABELS), None).view(classes)


def test_a_view_knows_the_superclasses_of_its_images(images: list[np.ndarray]) -> None:
    class Families(Memory):
        @property
        def items(self) -> ItemTable:
            above = np.array([1, 0, 2])
            return dataclasses.replace(super().items, superclasses=above, superclass_names=("a", "b", "c"))

    assert ImageStore.build(Families(images, LABELS), None).view([2, 0]).superclasses.tolist() == [1, 2, 1, 2]
    assert ImageStore.build(Memory(images, LABELS), None).view([2, 0]).superclasses is None
