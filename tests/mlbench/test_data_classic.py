"""Every dataset in its owner's layout, generated: each field of the item table against values written by hand."""

import numpy as np
import pytest
from miniatures.cars import write_cars, write_cars_devkit
from miniatures.cub import write_cub
from miniatures.dogs import write_dogs
from miniatures.every import WRITERS
from miniatures.flowers import write_flowers
from miniatures.imagenet import write_imagenet
from miniatures.inaturalist import write_inaturalist
from miniatures.inshop import write_inshop
from miniatures.items import write_csv
from miniatures.pet import write_pet
from miniatures.pictures import picture
from miniatures.sop import write_sop

from mlbench.api import Counts, DataError
from mlbench.data.classic.cars196 import Cars196
from mlbench.data.classic.cub200 import Cub200
from mlbench.data.classic.dogs import StanfordDogs
from mlbench.data.classic.flowers102 import Flowers102
from mlbench.data.classic.imagenet import ImageNet
from mlbench.data.classic.inaturalist2018 import INaturalist2018
from mlbench.data.classic.inshop import InShop
from mlbench.data.classic.pet import OxfordPet
from mlbench.data.classic.sop import StanfordOnlineProducts
from mlbench.data.csv_table import Csv
from mlbench.registry import load
from mlbench.registry.entries import find

#: Classes and items as the owners and the literature give them.
PUBLISHED = {
    "cub200": (200, 11_788),
    "cars196": (196, 16_185),
    "sop": (22_634, 120_053),
    "inshop": (7_982, 52_712),
    "pet": (37, 7_349),
    "dogs": (120, 20_580),
    "flowers102": (102, 8_189),
    "inaturalist2018": (8_142, 461_939),
    "imagenet": (1_000, 1_331_167),
}


def shows(pixels: np.ndarray, label: int, sample: int) -> bool:
    """Whether this is that picture, but for what JPEG changes."""
    return bool(np.abs(pixels.astype(int) - np.asarray(picture(label, sample), int)).mean() < 12)


def splits_of(items, label):
    return [items.splits[index] for index in np.flatnonzero(items.labels == label)]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_complete_set_is_known(name):
    cls = load(find("datasets", name))
    assert cls.expected == Counts(classes=PUBLISHED[name][0], items=PUBLISHED[name][1])
    assert cls.licence and cls.info.citation and cls.info.summary
    for archive in cls.archives:
        kind, _, checksum = archive.checksum.partition(":")
        assert (kind, len(checksum)) in {("md5", 32), ("sha256", 64), ("", 0)}
        assert not archive.url or archive.url.rpartition("/")[2] == archive.name


def test_cub(tmp_path):
    root = write_cub(tmp_path, classes=3, per_class=3)
    items = Cub200(str(root)).items
    assert items.class_names == ("001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross")
    assert items.ids[3] == "002.Laysan_Albatross/Laysan_Albatross_0001_900.jpg"
    assert items.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2] and items.labels.dtype == np.int64
    assert items.splits == ("train", "train", "test") * 3  # per image: not the field's split by class
    assert items.boxes.tolist() == [[2, 2, 23, 19]] * 9
    assert (items.roles, items.superclasses, items.views) == (None, None, None)


def test_cub_grey_images_become_rgb(tmp_path):
    dataset = Cub200(str(write_cub(tmp_path, classes=2, per_class=2)))
    grey = dataset.load(1)
    assert grey.shape == (20, 24, 3) and grey.dtype == np.uint8
    assert np.array_equal(grey[..., 0], grey[..., 1]) and np.array_equal(grey[..., 0], grey[..., 2])
    assert shows(dataset.load(2), 1, 0) and not shows(dataset.load(2), 0, 0)


def test_classes_are_in_the_order_of_their_numbers(tmp_path):
    """Not of the text: 10 comes after 9."""
    items = Cub200(str(write_cub(tmp_path, classes=11, per_class=2))).items
    assert [name[:3] for name in items.class_names] == [f"{number:03d}" for number in range(1, 12)]


@pytest.mark.parametrize(
    ("dataset", "write", "box"),
    [
        (Cub200, write_cub, (2, 2, 23, 19)),
        (Cars196, write_cars, (2, 1, 23, 19)),
        (InShop, write_inshop, (3, 2, 20, 18)),
        (StanfordDogs, write_dogs, (2, 1, 20, 18)),
        (Csv, write_csv, (2, 1, 20, 18)),
    ],
)
def test_images_are_cropped_to_their_boxes_on_request(tmp_path, dataset, write, box):
    root = str(write(tmp_path))
    whole, cropped = dataset(root), dataset(root, crop_boxes=True)
    left, top, right, bottom = box
    assert whole.items.boxes[4].tolist() == list(box) and cropped.items.boxes is None
    assert np.array_equal(cropped.load(4), whole.load(4)[top:bottom, left:right])
    assert cropped.items.ids == whole.items.ids and cropped.content_hash != whole.content_hash


def test_there_must_be_boxes_to_crop_to(tmp_path):
    without = InShop(str(write_inshop(tmp_path, boxes=False)), crop_boxes=True)
    for read in (lambda: without.items, lambda: without.content_hash):
        with pytest.raises(DataError, match="inshop: crop_boxes = true, but there are no boxes here"):
            read()


def test_cars_in_one_folder(tmp_path):
    dataset = Cars196(str(write_cars(tmp_path, classes=2)))
    items = dataset.items
    assert items.ids == tuple(f"car_ims/{number:06d}.jpg" for number in range(1, 7))
    assert items.class_names == ("AM General Hummer SUV 2000", "Acura RL Sedan 2012")
    assert items.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert items.splits == ("train", "train", "test") * 2
    assert items.boxes.tolist() == [[2, 1, 23, 19]] * 6
    assert dataset.load(0).shape == (20, 24, 3) and np.ptp(dataset.load(0), axis=2).max() == 0  # grey
    assert shows(dataset.load(5), 1, 2)


@pytest.mark.parametrize("where", ["devkit", "."])
def test_cars_of_the_development_kit(tmp_path, where):
    dataset = Cars196(str(write_cars_devkit(tmp_path, classes=2, test_annotations=where)))
    items = dataset.items
    assert items.ids == (
        *(f"cars_train/{number:05d}.jpg" for number in range(1, 5)),
        "cars_test/00001.jpg",
        "cars_test/00002.jpg",
    )
    assert items.class_names == ("AM General Hummer SUV 2000", "Acura RL Sedan 2012")
    assert items.labels.tolist() == [1, 1, 0, 0, 1, 0]
    assert items.splits == ("train",) * 4 + ("test",) * 2
    assert items.boxes.tolist() == [[2, 1, 23, 19]] * 6
    assert shows(dataset.load(0), 1, 0) and shows(dataset.load(5), 0, 2)


def test_sop(tmp_path):
    root = write_sop(tmp_path, classes=12)
    dataset = StanfordOnlineProducts(str(root))
    items = dataset.items
    assert items.ids[:3] == (
        "bicycle_final/111085122871_0.JPG",
        "bicycle_final/111085122871_1.JPG",
        "cabinet_final/111085122872_0.JPG",
    )
    assert items.class_names == tuple(str(number) for number in range(1, 13))
    assert items.splits == ("train",) * 12 + ("test",) * 12
    assert items.superclass_names == ("bicycle", "cabinet", "chair")
    assert items.superclasses.tolist() == [0, 1, 2] * 4
    assert (items.roles, items.boxes) == (None, None)
    assert np.ptp(dataset.load(1), axis=2).max() == 0 and shows(dataset.load(23), 11, 1)


@pytest.mark.parametrize("folders", [False, True])
def test_inshop(tmp_path, folders):
    dataset = InShop(str(write_inshop(tmp_path, items=4, folders=folders)))
    items = dataset.items
    assert items.ids[0] == "img/MEN/Denim/id_00000001/01_1_front.jpg"
    assert items.class_names == ("id_00000001", "id_00000002", "id_00000003", "id_00000004")
    assert items.labels.tolist() == [0, 0, 1, 1, 2, 2, 2, 3, 3, 3]
    assert items.splits == ("train",) * 4 + ("test",) * 6
    assert items.roles == ("",) * 4 + ("query", "gallery", "gallery") * 2
    assert items.superclass_names == ("MEN/Denim", "WOMEN/Dresses") and items.superclasses.tolist() == [0, 1, 0, 1]
    assert items.boxes.tolist() == [[3, 2, 20, 18]] * 10
    assert shows(dataset.load(9), 3, 2)


def test_inshop_without_boxes_and_where_the_folders_are(tmp_path):
    flat, folders = write_inshop(tmp_path / "a"), write_inshop(tmp_path / "b", folders=True)
    assert InShop(str(flat)).content_hash == InShop(str(folders)).content_hash
    assert InShop(str(write_inshop(tmp_path / "c", boxes=False))).items.boxes is None


def test_pet(tmp_path):
    dataset = OxfordPet(str(write_pet(tmp_path)))
    items = dataset.items
    assert len(items) == 32 and "Abyssinian_104.jpg" not in items.ids  # listed nowhere
    assert items.class_names[:5] == ("Abyssinian", "american_bulldog", "basset_hound", "beagle", "Bengal")
    assert items.class_names[7] == "staffordshire_bull_terrier"
    assert items.superclass_names == ("cat", "dog") and items.superclasses.tolist() == [0, 1, 1, 1, 0, 0, 1, 1]
    assert splits_of(items, 3) == ["train", "train", "test", "test"]
    # Two files are named .jpg and are none.
    for name, label, sample in (("Abyssinian_2.jpg", 0, 1), ("Bengal_3.jpg", 4, 2)):
        pixels = dataset.load(items.ids.index(name))
        assert pixels.shape == (20, 24, 3) and shows(pixels, label, sample)


def test_dogs(tmp_path):
    dataset = StanfordDogs(str(write_dogs(tmp_path)))
    items = dataset.items
    assert items.ids[:2] == ("n02085620-Chihuahua/n02085620_7.jpg", "n02085620-Chihuahua/n02085620_8.jpg")
    assert items.class_names[:5] == ("Chihuahua", "Japanese_spaniel", "Maltese_dog", "Pekinese", "Shih-Tzu")
    assert items.splits == ("train",) * 16 + ("test",) * 8 and splits_of(items, 2) == ["train", "train", "test"]
    assert items.boxes.tolist() == [[2, 1, 20, 18]] * 24
    assert shows(dataset.load(16), 0, 2)


def test_dogs_without_annotations_or_with_lists_in_a_folder(tmp_path):
    root = write_dogs(tmp_path, annotations=False)
    (root / "lists").mkdir()
    for name in ("train_list.mat", "test_list.mat"):
        (root / name).rename(root / "lists" / name)
    assert StanfordDogs(str(root)).items.boxes is None


def test_flowers(tmp_path):
    dataset = Flowers102(str(write_flowers(tmp_path)))
    items = dataset.items
    assert items.ids[0] == "image_00001.jpg" and len(items) == 25
    assert items.class_names == tuple(f"{number:03d}" for number in range(1, 9))
    assert items.labels.tolist()[:5] == [2, 2, 0, 1, 3]
    # trnid, valid, tstid as they are named: the many are the test set.
    assert [items.splits[index] for index in (0, 1, 7, 19)] == ["train", "val", "test", "test"]
    assert (items.splits.count("train"), items.splits.count("val"), items.splits.count("test")) == (8, 8, 9)
    assert shows(dataset.load(1), 3, 1)


def test_inaturalist_with_the_split_of_metric_learning(tmp_path):
    dataset = INaturalist2018(str(write_inaturalist(tmp_path)))
    items = dataset.items
    assert items.ids[0] == "train_val2018/Aves/0/0000cafe.jpg" and items.ids[16] == "train_val2018/Aves/0/0002cafe.jpg"
    assert items.class_names == ("0", "1", "2", "3", "4", "5", "6", "7") and items.counts.tolist() == [3] * 8
    assert items.superclass_names == ("Aves", "Insecta", "Plantae")
    assert items.superclasses.tolist() == [0, 2, 1, 0, 2, 1, 0, 2]
    assert splits_of(items, 1) == ["train"] * 3 and splits_of(items, 2) == ["test"] * 3  # by class
    assert shows(dataset.load(17), 1, 2)


def test_inaturalist_as_the_competition_splits_it(tmp_path):
    items = INaturalist2018(str(write_inaturalist(tmp_path, by_class=False))).items
    assert items.splits == ("train",) * 16 + ("val",) * 8


@pytest.mark.parametrize("folders", [True, False])
def test_imagenet(tmp_path, folders):
    dataset = ImageNet(str(write_imagenet(tmp_path, val_folders=folders)))
    items = dataset.items
    assert items.class_names[:2] == ("n01440764", "n01443537") and items.counts.tolist() == [3] * 8
    assert items.ids[0] == "train/n01440764/n01440764_10.JPEG" and items.splits == ("train",) * 16 + ("val",) * 8
    third = items.ids.index(f"val/{'n01514668/' if folders else ''}ILSVRC2012_val_00000003.JPEG")
    assert items.labels[third] == 7 and shows(dataset.load(third), 7, 2)


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "csv"])
def test_where_a_set_was_prepared_it_is_found_without_a_path(name, tmp_path, monkeypatch):
    folder = tmp_path / name
    folder.mkdir()
    WRITERS[name](folder)
    cls = load(find("datasets", name))
    (folder / ".mlbench-prepared.json").write_text("{}")
    monkeypatch.setenv("MLBENCH_DATA", str(tmp_path))
    assert len(cls().items) == len(cls(str(folder)).items) > 0
