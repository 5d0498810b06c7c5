"""Batches made ahead are those made in step, bit for bit, whoever makes them."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import Memory, random_images

from mlbench.api.errors import ConfigError, DataError
from mlbench.api.sampler import GroupedBatch
from mlbench.data import EvalTransform, ImageStore, MPerClass, TrainTransform
from mlbench.data.ahead import Rooms
from mlbench.data.device_crops import DeviceImages
from mlbench.data.loader import Loader, evaluated
from mlbench.data.on_device import OnDevice
from mlbench.spec import load_benchmark
from mlbench.spec.transforms import RandomAffine, RandomResizedCrop, Transforms

LABELS = [index % 4 for index in range(24)]
CONFIG = Transforms(size=20, crop=RandomResizedCrop(), affine=RandomAffine(degrees=10.0), flip=0.5, invert=0.3)


@pytest.fixture(scope="module")
def view():
    images = random_images(*[(24 + index, 40 - index, 3) for index in range(24)])
    return ImageStore.build(Memory(images, LABELS), None).view(range(4))


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    """Every call transforms three images, and no batch is too small to have its memory kept."""
    monkeypatch.setattr("mlbench.data.loader._PIXELS", 3 * 3 * 20 * 20)
    monkeypatch.setattr("mlbench.data.ahead._SMALL", 0)


class Parts:
    """A loader with what it draws from."""

    def __init__(self, view, threads, **more):
        self.batches = MPerClass(8, 2).batches(view.labels, seed=3)
        self.generator = torch.Generator().manual_seed(5)
        self.loader = Loader(view, self.batches, TrainTransform(CONFIG), self.generator, threads=threads, **more)


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_the_number_of_threads_changes_nothing(view, threads):
    parts = Parts(view, threads, views=2)
    batches, generator = MPerClass(8, 2).batches(view.labels, seed=3), torch.Generator().manual_seed(5)
    transform = TrainTransform(CONFIG)
    for count in (3, 1, 2):  # epochs
        for batch in parts.loader.take(count):
            indices = next(batches)
            assert np.array_equal(batch.indices, indices) and batch.groups is None and len(batch.views) == 2
            for images in batch.views:
                assert torch.equal(images, transform(view.images(indices), generator))
        # Nothing was drawn for batches that nobody asked for.
        assert torch.equal(parts.generator.get_state(), generator.get_state())
    assert np.array_equal(next(parts.batches), next(batches))


@pytest.mark.parametrize("threads", [0, 2])
def test_a_training_can_go_on_between_any_two_batches(view, threads):
    whole = [batch.views[0] for batch in Parts(view, 0).loader.take(6)]
    parts = Parts(view, threads, snapshot=lambda: parts.generator.get_state())
    for done, _ in enumerate(parts.loader.take(6), start=1):
        resumed = Parts(view, 3 - threads)
        list(itertools.islice(resumed.batches, done))
        resumed.generator.set_state(parts.loader.state)
        rest = [batch.views[0] for batch in resumed.loader.take(6 - done)]
        assert all(torch.equal(one, other) for one, other in zip(rest, whole[done:], strict=True))


def test_an_epoch_that_is_left_early_leaves_no_threads(view):
    import threading

    before = threading.active_count()
    for _ in Parts(view, 2).loader.take(100):
        break
    assert threading.active_count() == before


def test_groups_of_a_sampler_are_handed_on(view):
    grouped = iter([GroupedBatch(np.arange(4), np.array([7, 7, 9, 9]))])
    (batch,) = Loader(view, grouped, TrainTransform(CONFIG), torch.Generator(), threads=2).take(1)
    assert batch.groups.tolist() == [7, 7, 9, 9]


def test_an_error_in_a_thread_reaches_the_caller(view, monkeypatch):
    monkeypatch.setattr(TrainTransform, "apply", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(Parts(view, 2).loader.take(3))


@pytest.mark.parametrize("threads", [0, 2])
def test_evaluation_sees_every_item_once_and_in_order(view, threads):
    parts = list(evaluated(view, EvalTransform(CONFIG), 10, threads=threads))
    assert [len(part) for part in parts] == [10, 10, 4]
    assert torch.equal(torch.cat(parts), EvalTransform(CONFIG)(view.images(range(24))))


@pytest.mark.parametrize("hold", [lambda batch: batch, lambda batch: batch.view(-1)[7:9]])
def test_memory_of_a_batch_is_used_again_when_nobody_holds_any_of_it(hold):
    rooms = Rooms()
    held = hold(rooms.take((4, 5)).fill_(1))
    place = held.untyped_storage().data_ptr()
    other = rooms.take((4, 5)).fill_(2)
    assert other.data_ptr() != place and bool((held == 1).all())
    del held
    assert rooms.take((4, 5)).data_ptr() == place
    assert rooms.take((3,)).shape == (3,)


def test_vectors_pass_as_they_are():
    from mlbench.data.images import ImageView

    vectors = torch.randn(6, 5)
    view = ImageView(vectors, np.arange(6), tuple("abcdef"), 5)
    assert torch.equal(torch.cat(list(evaluated(view, EvalTransform(CONFIG), 4))), vectors)
    for batch in evaluated(view, EvalTransform(CONFIG), 4):
        batch.zero_()  # as a model may that computes in place
    assert vectors.all()
    (batch,) = Loader(view, iter([np.array([4, 1])]), TrainTransform(Transforms()), torch.Generator(), threads=2).take(
        1
    )
    assert torch.equal(batch.views[0], vectors[[4, 1]])


#: What a device computes as the processor does: everything but affine maps.
EXACT = [
    dict(pixels="unit", mean=(0.48, 0.45, 0.4), std=(0.23, 0.22, 0.225), invert=0.3),
    dict(pixels="unit", mean=(0.5,), std=(0.25,)),
    dict(pixels="bgr-255", mean=(104.0, 117.0, 128.0), std=(1.0, 1.0, 1.0)),
]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("changes", EXACT)
def test_batches_of_images_on_a_device_are_those_of_mapped_ones(changes, channels):
    """On the processor as the device: the same whole numbers, added up in another way."""
    images = random_images(*[(30 + 17 * index, 90 - 3 * index, channels) for index in range(24)])
    view = ImageStore.build(Memory(images, LABELS), None).view(range(4))
    config = Transforms(size=37, crop=RandomResizedCrop(), flip=0.5, **changes)
    both = []
    for resident in (None, OnDevice(view, config, "cpu")):
        batches, generator = MPerClass(8, 2).batches(view.labels, seed=3), torch.Generator().manual_seed(5)
        loader = Loader(view, batches, TrainTransform(config), generator, views=2, threads=1, resident=resident)
        both.append([images for batch in loader.take(4) for images in batch.views] + [generator.get_state()])
    assert all(torch.equal(one, other) for one, other in zip(*both, strict=True))
    assert both[1][0].is_contiguous()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_crop_on_a_device_has_pytorchs_pixels(data):
    height, width = data.draw(st.integers(1, 300)), data.draw(st.integers(1, 300))
    box_height, box_width = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    top, left = data.draw(st.integers(0, height - box_height)), data.draw(st.integers(0, width - box_width))
    size = data.draw(st.sampled_from([3, 16, 61, 227]))
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    # Black and white are where rounding and overflow would show.
    image, other = (torch.from_numpy(rng.choice([0, 1, 254, 255], (3, height, width)).astype(np.uint8)) for _ in "ab")
    boxes = torch.tensor([[0, 0, 1, 1], [top, left, box_height, box_width]])
    cut = DeviceImages([other, image], "cpu").cut(np.array([0, 1]), boxes, size)[1]
    part = image[None, :, top : top + box_height, left : left + box_width]
    (expected,) = torch.nn.functional.interpolate(part, (size, size), mode="bilinear", antialias=True)
    assert torch.equal(cut.permute(2, 0, 1), expected.int())


def test_images_that_do_not_fit_on_a_device_are_refused():
    vast = torch.zeros(1, dtype=torch.uint8).expand(3, 10**7, 10**7)
    with pytest.raises(DataError, match=r'"device": the 2 images of a training need 600,000\.00 GB of cpu, .*"mapped"'):
        DeviceImages([vast, vast], "cpu")


@pytest.mark.parametrize("changes", [["transforms.affine={degrees=5.0}", "transforms.crop={}"], []])
def test_what_a_device_would_compute_otherwise_is_refused(changes):
    with pytest.raises(ConfigError, match=r'runtime\.images: "device" is for images that are cropped at random'):
        load_benchmark("smoke", ["runtime.images=device", *changes])
