import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from mlbench.api.errors import ConfigError
from mlbench.data.affine import AFFINE_DRAWS, random_affine
from mlbench.data.crops import CROP_DRAWS, centre_crops, crop_boxes, cut_boxes
from mlbench.data.first_resize import resized
from mlbench.data.transforms import EvalTransform, TrainTransform, output_channels
from mlbench.models._torchvision import import_torchvision
from mlbench.spec import load_benchmark
from mlbench.spec.transforms import RandomAffine, RandomResizedCrop, Transforms

#: No change at all but to floats in 0..1.
PLAIN = dict(size=16, resize=None, crop=None, flip=0.0, mean=(0.0,), std=(1.0,))
EVERYTHING = dict(
    crop=RandomResizedCrop(),
    affine=RandomAffine(degrees=20.0, translate=0.1, scale=(0.8, 1.2), shear=10.0),
    flip=0.5,
    invert=0.5,
)


def config(**changes: object) -> Transforms:
    return Transforms(**(PLAIN | changes))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator(seed))


def test_nothing_switched_on_gives_the_pixels() -> None:
    images = random_images(5, 1, 16, 16)
    assert torch.equal(TrainTransform(config())(images, generator()), images / 255)
    assert torch.equal(EvalTransform(config())(images), images / 255)


def test_nothing_is_drawn_where_nothing_is_random() -> None:
    images, still, running = random_images(5, 1, 16, 16), generator(3), generator(3)
    TrainTransform(config())(images, still)
    TrainTransform(config(flip=0.5))(images, running)
    assert torch.equal(still.get_state(), generator(3).get_state())
    assert not torch.equal(running.get_state(), still.get_state())


@pytest.mark.parametrize(
    "changes", [EVERYTHING, {"affine": RandomAffine(degrees=180.0)}, {"crop": RandomResizedCrop()}]
)
def test_the_generator_alone_decides(changes: dict) -> None:
    images = random_images(6, 3, 20, 24)
    transform = TrainTransform(config(**changes))
    torch.manual_seed(1)
    first = transform(images, generator(7))
    torch.manual_seed(2)
    np.random.seed(2)
    assert torch.equal(first, transform(images, generator(7)))
    assert not torch.equal(first, transform(images, generator(8)))
    running = generator(7)
    assert torch.equal(first, transform(images, running))
    assert not torch.equal(first, transform(images, running))


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    TrainTransform(config(**EVERYTHING))(random_images(4, 1, 16, 16), generator())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("size", [16, 23])
def test_an_image_does_not_depend_on_the_others_of_its_batch(size: int) -> None:
    transform = TrainTransform(config(**EVERYTHING, size=size))
    images = random_images(9, 1, 20, 24)
    whole = transform(images, generator(3))
    others = random_images(9, 1, 20, 24, seed=5)
    others[4] = images[4]
    assert torch.equal(transform(others, generator(3))[4], whole[4])
    assert torch.equal(transform(images[:5], generator(3)), whole[:5])
    listed = [random_images(1, 20, 24), *images[1:]]
    assert torch.equal(transform(listed, generator(3))[1:], whole[1:])


def test_switching_one_thing_on_leaves_the_others() -> None:
    images = random_images(20, 1, 16, 16)
    crop = {"crop": RandomResizedCrop()}
    cropped = TrainTransform(config(**crop))(images, generator())
    flipped = TrainTransform(config(**crop, flip=0.5))(images, generator())
    same = [torch.equal(one, other) for one, other in zip(cropped, flipped, strict=True)]
    mirrored = [torch.equal(one, other.flip(-1)) for one, other in zip(cropped, flipped, strict=True)]
    assert all(a or b for a, b in zip(same, mirrored, strict=True)) and 3 < sum(same) < 17


def test_evaluation_has_no_randomness() -> None:
    images = random_images(4, 3, 20, 24)
    transform = EvalTransform(config(**EVERYTHING))
    assert torch.equal(transform(images), images[:, :, 2:18, 4:20] / 255)
    mixed = [image[:, : 18 + 2 * index] for index, image in enumerate(images[:2])]
    assert torch.equal(transform(mixed)[1], transform(images)[1])


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 20), (256, 341), (19, 16)])
def test_the_centre_crop_is_torchvisions(height: int, width: int) -> None:
    top, left = round((height - 16) / 2.0), round((width - 16) / 2.0)
    images = random_images(2, 3, height, width)
    assert np.array_equal(np.stack(list(centre_crops(images, 16))), images[:, :, top : top + 16, left : left + 16])


def test_the_centre_crop_of_a_small_image_lies_on_zeros() -> None:
    (cropped,) = centre_crops(torch.full((1, 1, 5, 20), 9, dtype=torch.uint8), 16)
    rows = cropped[0].mean(axis=1)
    assert rows.tolist() == [0.0] * 5 + [9.0] * 5 + [0.0] * 6


@settings(max_examples=60)
@given(st.integers(8, 400), st.integers(8, 400), st.integers(0, 1000))
def test_crop_boxes_lie_inside_and_keep_their_ranges(height: int, width: int, seed: int) -> None:
    crop = RandomResizedCrop(scale=(0.16, 1.0), ratio=(0.75, 1.33))
    draws = torch.rand(64, CROP_DRAWS, generator=generator(seed), dtype=torch.float64)
    boxes = crop_boxes(torch.tensor([[height, width]] * 64, dtype=torch.float64), crop, draws)
    for top, left, box_height, box_width in boxes.tolist():
        assert top >= 0 and left >= 0 and box_height >= 1 and box_width >= 1
        assert top + box_height <= height and left + box_width <= width
        # Rounding to whole pixels moves either side by half a pixel.
        assert (box_width - 0.5) / (box_height + 0.5) <= 1.33 and (box_width + 0.5) / (box_height - 0.5) >= 0.75


def test_crop_boxes_are_distributed_as_drawn() -> None:
    crop = RandomResizedCrop(scale=(0.1, 0.5), ratio=(0.5, 2.0))
    draws = torch.rand(20_000, CROP_DRAWS, generator=generator(), dtype=torch.float64)
    boxes = crop_boxes(torch.full((20_000, 2), 1000.0, dtype=torch.float64), crop, draws).double()
    top, left, height, width = boxes.T
    share, log_ratio = height * width / 1e6, torch.log(width / height)
    # In a square no box of these ranges is refused, so both are uniform.
    assert float(share.mean()) == pytest.approx(0.3, abs=0.005)
    assert float(share.std()) == pytest.approx(0.4 / math.sqrt(12), rel=0.03)
    assert float(log_ratio.mean()) == pytest.approx(0.0, abs=0.02)
    assert float(log_ratio.std()) == pytest.approx(2 * math.log(2) / math.sqrt(12), rel=0.03)
    for place, free in ((top, 1000 - height), (left, 1000 - width)):
        assert float((place / free).mean()) == pytest.approx(0.5, abs=0.01)
        assert float((place / free).min()) < 0.01 and float((place / free).max()) > 0.99


@pytest.mark.parametrize(
    ("size", "box"), [((10, 100), (0, 43, 10, 13)), ((100, 10), (43, 0, 13, 10)), ((40, 40), (0, 0, 40, 40))]
)
def test_where_no_box_fits_the_largest_central_one_is_taken(size: tuple[int, int], box: tuple[int, ...]) -> None:
    crop = RandomResizedCrop(scale=(2.0, 3.0), ratio=(0.75, 1.33))
    draws = torch.rand(1, CROP_DRAWS, generator=generator(), dtype=torch.float64)
    assert tuple(crop_boxes(torch.tensor([size], dtype=torch.float64), crop, draws)[0].tolist()) == box


def test_the_crop_is_resized_with_antialiasing() -> None:
    checkerboard = (torch.arange(64)[:, None] + torch.arange(64)) % 2 * 255
    images = checkerboard.to(torch.uint8).expand(8, 1, 64, 64)
    whole = RandomResizedCrop(scale=(1.0, 1.0), ratio=(1.0, 1.0))
    small = TrainTransform(config(size=8, crop=whole))(images, generator())
    assert float((small - 0.5).abs().max()) < 0.01
    assert torch.equal(TrainTransform(config(size=64, crop=whole))(images, generator()), images / 255)


def affine(images: Tensor, spec: RandomAffine, *draws: float) -> Tensor:
    """One map for all images; draws of 0.5 change nothing where ranges are symmetric."""
    rows = torch.tensor([draws + (0.5,) * (AFFINE_DRAWS - len(draws))] * len(images), dtype=torch.float64)
    return random_affine(images, spec, rows)


def test_the_identity_map_changes_nothing() -> None:
    images = random_images(4, 3, 32, 32).float()
    strong = RandomAffine(degrees=90.0, translate=0.5, shear=45.0)
    assert torch.equal(affine(images, strong), images)
    odd = random_images(2, 3, 227, 227).float()
    assert torch.allclose(affine(odd, strong), odd, atol=0.02)


def test_each_part_of_the_map_does_what_it_says() -> None:
    images = random_images(1, 1, 32, 32).float()
    quarter = affine(images, RandomAffine(degrees=90.0), 1.0)
    assert torch.allclose(quarter, torch.rot90(images, -1, (2, 3)), atol=0.01)  # clockwise, as y points down
    shifted = affine(images, RandomAffine(translate=0.25), 0.5, 1.0, 0.5)
    assert torch.equal(shifted[..., 8:], images[..., :-8]) and not shifted[..., :8].any()
    lowered = affine(images, RandomAffine(translate=0.25), 0.5, 0.5, 1.0)
    assert torch.equal(lowered[..., 8:, :], images[..., :-8, :]) and not lowered[..., :8, :].any()
    square = torch.zeros(1, 1, 32, 32)
    square[..., 12:20, 12:20] = 1
    doubled = affine(square, RandomAffine(scale=(1.0, 2.0)), 0.5, 0.5, 0.5, 1.0)
    assert float(doubled.sum()) == pytest.approx(4 * 64, rel=0.01) and bool((doubled[..., 9:23, 9:23] == 1).all())
    sheared = affine(square, RandomAffine(shear=45.0), 0.5, 0.5, 0.5, 0.5, 1.0)[0, 0]
    centres = (sheared * torch.arange(32)).sum(dim=1)[12:20] / sheared.sum(dim=1)[12:20]
    assert torch.allclose(centres.diff(), torch.full((7,), -1.0), atol=1e-4)
    assert torch.allclose(sheared.sum(dim=1)[12:20], torch.full((8,), 8.0))


def test_the_border_is_background_before_inversion() -> None:
    spec = config(affine=RandomAffine(translate=1.0), invert=1.0)
    images = torch.zeros(32, 1, 16, 16, dtype=torch.uint8)
    assert torch.equal(TrainTransform(spec)(images, generator()), torch.ones(32, 1, 16, 16))


@pytest.mark.parametrize("what", ["flip", "invert"])
def test_flips_and_inversions_have_their_probability(what: str) -> None:
    images = random_images(1, 1, 16, 16).expand(4000, 1, 16, 16)
    out = TrainTransform(config(**{what: 0.3}))(images, generator())
    changed = images[0].flip(-1) if what == "flip" else 255 - images[0]
    hits = sum(torch.equal(image, changed / 255) for image in out)
    kept = sum(torch.equal(image, images[0] / 255) for image in out)
    assert hits + kept == 4000 and hits == pytest.approx(1200, rel=0.1)


def test_normalisation_is_pytorchs() -> None:
    images = random_images(2, 3, 16, 16)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected = (images.double() / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    got = EvalTransform(config(mean=mean, std=std))(images)
    assert got.dtype == torch.float32 and torch.allclose(got.double(), expected, atol=1e-5)


def test_caffe_pixels_are_bgr_in_0_to_255() -> None:
    images = random_images(2, 3, 16, 16)
    got = EvalTransform(config(pixels="bgr-255", mean=(104.0, 117.0, 128.0), std=(1.0, 1.0, 1.0)))(images)
    red, green, blue = images.float().unbind(dim=1)
    assert torch.equal(got, torch.stack([blue - 104, green - 117, red - 128], dim=1))


@pytest.mark.parametrize(
    ("channels", "mean", "std", "out"),
    [(1, 1, 1, 1), (1, 3, 3, 3), (1, 3, 1, 3), (1, 1, 3, 3), (3, 1, 1, 3), (3, 3, 3, 3)],
)
@pytest.mark.parametrize("pixels", ["unit", "bgr-255"])
def test_three_values_repeat_a_grey_image(channels: int, mean: int, std: int, out: int, pixels: str) -> None:
    spec = config(mean=(0.0,) * mean, std=(1.0,) * std, pixels=pixels)
    images = random_images(2, channels, 16, 16)
    for got in (EvalTransform(spec)(images), TrainTransform(spec)(images, generator())):
        assert got.shape == (2, out, 16, 16) and output_channels(spec, channels) == out
        if channels == 1:
            assert torch.equal(got, got[:, :1].expand_as(got))


@pytest.mark.parametrize("part", ["mean", "std"])
def test_two_values_are_refused(part: str) -> None:
    with pytest.raises(ConfigError, match=rf"transforms\.{part}: one value for grey images, three for colour"):
        load_benchmark("smoke", [f"transforms.{part}=[0.5, 0.5]"])
    with pytest.raises(ConfigError, match=r"transforms\.std: every value must be above 0"):
        load_benchmark("smoke", ["transforms.std=[0.0]"])


@pytest.fixture(scope="module")
def theirs():
    """torchvision's functions on tensors."""
    import_torchvision()
    from torchvision.transforms.v2 import functional

    return functional


@settings(max_examples=60)
@given(st.data())
def test_a_crop_has_torchvisions_pixels(theirs, data: st.DataObject) -> None:
    height, width = data.draw(st.integers(8, 300)), data.draw(st.integers(8, 300))
    box_height, box_width = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    top, left = data.draw(st.integers(0, height - box_height)), data.draw(st.integers(0, width - box_width))
    size, channels = data.draw(st.sampled_from([16, 61, 227])), data.draw(st.sampled_from([1, 3]))
    image = random_images(height, width, channels, seed=data.draw(st.integers(0, 9))).permute(2, 0, 1)
    box = torch.tensor([[top, left, box_height, box_width]])
    expected = theirs.resized_crop(image.contiguous(), top, left, box_height, box_width, [size, size], antialias=True)
    for layout in (image, image.contiguous()):
        assert np.array_equal(next(cut_boxes([layout], size, box)), expected)


def test_the_reality_checks_transforms_are_torchvisions(theirs) -> None:
    """On the same boxes: 256 on the shorter side, crop to 227, flip, BGR in 0..255 without the mean, bit for bit."""
    photos = [random_images(300 + 40 * index, 400, 3, seed=index).numpy() for index in range(4)]
    mean = (104.0, 117.0, 128.0)
    spec = Transforms(
        size=227, resize=256, crop=RandomResizedCrop(), flip=0.5, pixels="bgr-255", mean=mean, std=(1.0,) * 3
    )
    stored = [torch.from_numpy(resized(photo, 256)).permute(2, 0, 1) for photo in photos]
    transform = TrainTransform(spec)
    draws = transform.draw(stored, generator(4))
    assert draws.flip.any() and not draws.flip.all()
    trained, evaluated = transform(stored, generator(4)), EvalTransform(spec)(stored)
    for index, photo in enumerate(photos):
        whole = theirs.pil_to_tensor(theirs.resize(Image.fromarray(photo), 256))
        crop = theirs.resized_crop(whole, *draws.boxes[index].tolist(), [227, 227], antialias=True)
        crop = theirs.horizontal_flip(crop) if draws.flip[index] else crop
        for ours, pixels in ((trained, crop), (evaluated, theirs.center_crop(whole, 227))):
            expected = theirs.normalize(pixels.flip(0).float(), list(mean), [1.0] * 3)
            assert torch.equal(ours[index], expected)


def test_unit_pixels_are_torchvisions_to_a_rounding(theirs) -> None:
    image = random_images(3, 32, 32)
    spec = config(size=32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    scaled = theirs.to_dtype(image, torch.float32, scale=True)
    expected = theirs.normalize(scaled, list(spec.mean), list(spec.std))
    # Either side rounds values below 1 by 2**-25 up to three times, divides by 0.224, and rounds values below 4.
    bound = 2 * (3 * 2**-25 / 0.224 + 2**-23)
    assert float((EvalTransform(spec)([image])[0] - expected).abs().max()) <= bound


@settings(max_examples=40)
@given(st.integers(8, 500), st.integers(8, 500), st.integers(8, 64))
def test_the_first_resize_is_torchvisions(theirs, height: int, width: int, shorter: int) -> None:
    image = random_images(height, width, 3).numpy()
    expected = np.asarray(theirs.resize(Image.fromarray(image), shorter))
    assert np.array_equal(resized(image, shorter), expected)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_images_of_one_size_fare_together_as_one_by_one(data: st.DataObject) -> None:
    height, width, size = (data.draw(st.integers(8, 20)) for _ in range(3))
    channels, pixels = data.draw(st.sampled_from([(1, "unit"), (3, "unit"), (3, "bgr-255")]))
    images = random_images(data.draw(st.integers(1, 9)), channels, height, width, seed=data.draw(st.integers(0, 99)))
    spec = config(size=size, flip=0.5, invert=0.5, pixels=pixels, mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.25])
    assert torch.equal(TrainTransform(spec)(images, generator()), TrainTransform(spec)(list(images), generator()))
    assert torch.equal(EvalTransform(spec)(images), EvalTransform(spec)(list(images)))


def test_the_callers_images_are_left_alone() -> None:
    images = random_images(4, 3, 16, 16)
    before = images.clone()
    TrainTransform(config(**EVERYTHING))(images, generator())
    EvalTransform(config())(images)
    assert torch.equal(images, before)
