"""Folders and annotations that are not what the owner offers: the error names the file, the line and the next step."""

import os
import re
import shutil

import pytest
from miniatures.cars import write_cars, write_cars_devkit
from miniatures.cub import write_cub
from miniatures.every import WRITERS
from miniatures.flowers import write_flowers
from miniatures.imagenet import write_imagenet
from miniatures.inaturalist import write_inaturalist
from miniatures.inshop import write_inshop
from miniatures.matlab import save_mat
from miniatures.pet import write_pet
from miniatures.pictures import write
from miniatures.sop import write_sop

from mlbench.api import DataError
from mlbench.data.classic.cars196 import Cars196
from mlbench.data.classic.cub200 import Cub200
from mlbench.data.classic.flowers102 import Flowers102
from mlbench.data.classic.imagenet import ImageNet
from mlbench.data.classic.inaturalist2018 import INaturalist2018
from mlbench.data.classic.inshop import InShop
from mlbench.data.classic.pet import OxfordPet
from mlbench.data.classic.sop import StanfordOnlineProducts
from mlbench.registry import load
from mlbench.registry.entries import find

#: A file of every set that is cut in half, and what is then said of it.
HALVED = {
    "cub200": ("CUB_200_2011/images.txt", r"images\.txt:\d+: expected|images\.txt: has no row for image \d+"),
    "cars196": ("cars_annos.mat", r"cars_annos\.mat: cannot be read as a MATLAB file: .+; unpack the archive again"),
    "sop": (
        "Stanford_Online_Products/Ebay_test.txt",
        r"Ebay_info\.txt lists 16 images, .* list 12; are the three|Ebay_test\.txt:\d+: expected image id, class id",
    ),
    "inshop": (
        "list_bbox_inshop.txt",
        r"list_bbox_inshop\.txt(:\d+: expected|: holds \d+ rows, but its first line says 20; is the file whole)",
    ),
    "pet": ("annotations/test.txt", r"_\d is either in list\.txt or in one of|test\.txt:\d+: expected"),
    "dogs": ("train_list.mat", r"train_list\.mat: cannot be read as a MATLAB file"),
    "flowers102": ("setid.mat", r"setid\.mat: (cannot be read as a MATLAB file|has no variable)"),
    "inaturalist2018": ("val2018.json", r"val2018\.json: is no annotation of iNaturalist 2018: .*is the file whole\?"),
    "imagenet": ("ILSVRC2012_devkit_t12/data/meta.mat", r"meta\.mat: cannot be read as a MATLAB file"),
}


def dataset(name, path):
    return load(find("datasets", name))(str(path))


def refused(cls, path, message):
    with pytest.raises(DataError, match=message):
        _ = cls(str(path)).items


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("name", HALVED)
def test_half_an_annotation_is_named(name, tmp_path):
    WRITERS[name](tmp_path)
    file, message = HALVED[name]
    whole = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(whole[: len(whole) // 2 + 2])
    with pytest.raises(DataError, match=message):
        _ = dataset(name, tmp_path).items


@pytest.mark.parametrize("name", HALVED)
def test_another_folder_is_refused_with_what_is_there_and_what_should_be(name, tmp_path):
    write(tmp_path / "holiday.txt", "sunny")
    with pytest.raises(DataError, match=rf"{name}: {tmp_path} lacks .+; it has holiday\.txt; set `path` to the folder"):
        _ = dataset(name, tmp_path).items
    with pytest.raises(DataError, match=rf"{name}: path = .*holiday\.txt is not a folder"):
        _ = dataset(name, tmp_path / "holiday.txt").items


@pytest.mark.parametrize("name", [name for name in HALVED if name != "imagenet"])
def test_a_missing_image_is_named_and_counted(name, tmp_path):
    WRITERS[name](tmp_path)
    found = dataset(name, tmp_path)
    gone = found._file(found.items.ids[5])
    gone.unlink()
    total = len(found.items)
    with pytest.raises(
        DataError, match=rf"1 of {total} files are missing, the first is {re.escape(str(gone))}; unpack"
    ):
        _ = found.content_hash
    with pytest.raises(DataError, match=rf"{re.escape(str(gone))}: no such file"):
        found.load(5)


def test_the_folder_one_level_deeper_or_higher_is_suggested(tmp_path):
    write_sop(tmp_path / "a" / "mine")
    (tmp_path / "a" / "mine" / "Stanford_Online_Products").rename(tmp_path / "a" / "mine" / "products")
    deeper = re.escape(str(tmp_path / "a" / "mine" / "products"))
    refused(
        StanfordOnlineProducts,
        tmp_path / "a" / "mine",
        f"lacks Ebay_train.txt, Ebay_test.txt, Ebay_info.txt; .*set `path` to {deeper}$",
    )
    root = write_cub(tmp_path / "b")
    refused(Cub200, root / "images", rf"and 10 more; set `path` to {re.escape(str(root))}$")


def test_one_missing_annotation_is_named_alone(tmp_path):
    root = write_cub(tmp_path)
    (root / "bounding_boxes.txt").unlink()
    refused(Cub200, tmp_path, r"CUB_200_2011 lacks bounding_boxes\.txt; it has README, classes\.txt, ")


def test_a_file_name_that_is_no_text_can_be_shown(tmp_path):
    try:
        os.mkdir(bytes(tmp_path) + b"/b\xffird")
    except OSError:
        pytest.skip("this file system stores text names only")
    refused(Cub200, tmp_path, r"it has b\\udcffird; set")


def test_cub_tables_that_contradict_each_other(tmp_path):
    root = write_cub(tmp_path)
    edit(root / "image_class_labels.txt", "7 2\n", "7 99\n")
    refused(Cub200, root, r"classes\.txt: has no row for class 99")
    edit(root / "image_class_labels.txt", "7 99\n", "7 two\n")
    refused(Cub200, root, r"image_class_labels\.txt:7: expected image number, class number; got '7 two'")
    edit(root / "image_class_labels.txt", "7 two\n", "7 2\n65 1\n")
    refused(Cub200, root, r"images\.txt: has no row for image 65")
    edit(root / "image_class_labels.txt", "65 1\n", "64 1\n")
    refused(Cub200, root, r"image_class_labels\.txt: 1 of its 65 rows repeat the number of another")
    edit(root / "image_class_labels.txt", "64 1\n", "")
    edit(root / "bounding_boxes.txt", "5 2.0", "5 nan")
    refused(Cub200, root, r"bounding_boxes\.txt:5: expected image number, x, y, width, height; got '5 nan 2\.0")
    edit(root / "bounding_boxes.txt", "5 nan", "5 2.0")
    edit(root / "train_test_split.txt", "3 0\n", "3 2\n")
    refused(Cub200, root, r"train_test_split\.txt:3: expected image number, is training image \(0 or 1\); got '3 2'")


def test_text_that_is_not_utf8_or_empty(tmp_path):
    root = write_cub(tmp_path)
    (root / "classes.txt").write_bytes(b"1 001.Gr\xfcn\n")
    refused(Cub200, root, r"classes\.txt:1: is not UTF-8: b'1 001\.Gr\\xfcn'; save the file as UTF-8")
    (root / "classes.txt").write_bytes(b"\n")
    refused(Cub200, root, r"classes\.txt: holds no rows")


def test_windows_line_ends_and_byte_order_marks_do_not_matter(tmp_path):
    root = write_cub(tmp_path)
    before = Cub200(str(root)).content_hash
    for path in root.glob("*.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert Cub200(str(root)).content_hash == before


def test_a_box_outside_its_image(tmp_path):
    root = write_cub(tmp_path)
    edit(root / "bounding_boxes.txt", "3 2.0 2.0", "3 200.0 2.0")
    cropped = Cub200(str(root), crop_boxes=True)
    with pytest.raises(
        DataError, match=r"_0003_902\.jpg: its box \(200, 2, 221, 19\) holds nothing of its 24×20 pixels"
    ):
        cropped.load(2)
    edit(root / "bounding_boxes.txt", "4 2.0 2.0", "4 -5.0 10.0")  # sticks out: what is inside counts
    assert Cub200(str(root), crop_boxes=True).load(3).shape == (10, 16, 3)


def test_cars_annotations_without_labels_or_of_another_file(tmp_path):
    root = write_cars_devkit(tmp_path / "kit")
    shutil.copy(root / "devkit/cars_meta.mat", root / "devkit/cars_train_annos.mat")
    refused(Cars196, root, r"cars_train_annos\.mat: has no variable 'annotations'; is it the owner's")
    whole = write_cars(tmp_path / "whole")
    save_mat(whole / "cars_annos.mat", annotations=[1, 2], class_names=["a"])
    refused(Cars196, whole, r"cars_annos\.mat: its entries have no 'relative_im_path'")


def test_sop_paths_without_category(tmp_path):
    root = write_sop(tmp_path)
    edit(root / "Ebay_train.txt", "bicycle_final/", "bicycle/")
    refused(StanfordOnlineProducts, root, r"Ebay_train\.txt:2: expected .*path; got '1 1 1 bicycle/")


def test_inshop_unknown_part(tmp_path):
    root = write_inshop(tmp_path)
    edit(root / "list_eval_partition.txt", "gallery", "galery ")
    refused(
        InShop,
        root,
        r"list_eval_partition\.txt:\d+: expected image name, item id, evaluation status; got 'img/.*galery",
    )


def test_inshop_boxes_of_other_images(tmp_path):
    root = write_inshop(tmp_path)
    edit(root / "list_bbox_inshop.txt", "img/MEN/Denim/id_00000001/01_1", "img/MEN/Denim/id_00000001/09_1")
    refused(
        InShop, root, r"list_bbox_inshop\.txt: has no row for img/MEN/Denim/id_00000001/01_1_front\.jpg; is the file"
    )


def test_pet_unknown_species(tmp_path):
    root = write_pet(tmp_path)
    edit(root / "annotations/list.txt", "beagle_1 4 2", "beagle_1 4 3")
    refused(
        OxfordPet, root, r"list\.txt:\d+: expected image, class id, species \(1 or 2\), breed id; got 'beagle_1 4 3"
    )


def test_dogs_annotation_without_box(tmp_path):
    root = WRITERS["dogs"](tmp_path)
    note = next(path for path in (root / "Annotation").rglob("*") if path.is_file())
    note.write_text("<annotation></annotation>")
    with pytest.raises(DataError, match=rf"{note.name}: is no annotation with a box"):
        _ = dataset("dogs", root).items


def test_flowers_sets_that_do_not_cover_the_images(tmp_path):
    root = write_flowers(tmp_path)
    save_mat(root / "setid.mat", trnid=[[1, 2]], valid=[[3]], tstid=[[4]])
    refused(Flowers102, root, r"setid\.mat: does not split the 25 images of imagelabels\.mat; are both whole\?")


def test_inaturalist_one_list_or_lists_of_other_images(tmp_path):
    root = write_inaturalist(tmp_path)
    (root / "Inat_dataset_splits/Inaturalist_test_set1.txt").unlink()
    refused(INaturalist2018, root, r"Inaturalist_test_set1\.txt: cannot be read: No such file")
    write(root / "Inat_dataset_splits/Inaturalist_test_set1.txt", "train_val2018/Aves/0/other.jpg")
    refused(INaturalist2018, root, r"leave out 12 images, such as train_val2018/Aves/0/0000cafe\.jpg")


def test_imagenet_validation_without_development_kit(tmp_path):
    root = write_imagenet(tmp_path)
    shutil.rmtree(root / "ILSVRC2012_devkit_t12")
    refused(
        ImageNet, root, r"val: has no class folders like n01440764, and .* unpack ILSVRC2012_devkit_t12\.tar\.gz there"
    )
    (root / "train").rename(root / "cats")
    (root / "train").mkdir()
    refused(
        ImageNet,
        root,
        r"train: has no class folders like n01440764; `mlbench datasets prepare imagenet --from FOLDER` unpacks",
    )


def test_imagenet_truth_of_other_classes(tmp_path):
    root = write_imagenet(tmp_path)
    edit(root / "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt", "8", "1001")
    refused(ImageNet, root, r"ground_truth\.txt: names classes that .*train does not have: n00001740")


@pytest.mark.parametrize("name", ["cub200", "sop", "inshop", "pet"])
def test_a_table_that_ends_between_two_lines_is_noticed(name, tmp_path):
    """Nothing in such a file is wrong by itself."""
    WRITERS[name](tmp_path)
    tables = {"cub200": "CUB_200_2011/images.txt", "sop": "Stanford_Online_Products/Ebay_train.txt"}
    tables |= {"inshop": "list_eval_partition.txt", "pet": "annotations/list.txt"}
    path = tmp_path / tables[name]
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(DataError, match=r"(is the file|are the three files) whole\?"):
        _ = dataset(name, tmp_path).items
