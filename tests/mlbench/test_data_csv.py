"""The item table as a CSV file."""

import pytest
from miniatures.items import write_csv
from miniatures.pictures import picture, save, write

from mlbench.api import DataError
from mlbench.data.csv_table import Csv

ALL = "path,label,split,role,superclass,x1,y1,x2,y2"


@pytest.fixture
def read(tmp_path):
    """The dataset on a CSV file of these lines."""

    def make(*lines, encoding="utf-8"):
        (tmp_path / "items.csv").write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
        return Csv(str(tmp_path / "items.csv"))

    return make


def test_every_column_is_read(read):
    items = read(
        ALL, "a.png,cat,train,,pets,1,2,3,4", "b.png,ant,test,query,wild,0,0,9,8", "c.png,ant,test,gallery,wild,0,1,9,8"
    ).items
    assert items.ids == ("a.png", "b.png", "c.png") and items.class_names == ("ant", "cat")
    assert items.labels.tolist() == [1, 0, 0]
    assert items.splits == ("train", "test", "test") and items.roles == ("", "query", "gallery")
    assert items.superclass_names == ("pets", "wild") and items.superclasses.tolist() == [1, 0]
    assert items.boxes.tolist() == [[1, 2, 3, 4], [0, 0, 9, 8], [0, 1, 9, 8]]


def test_two_columns_are_enough_in_any_order_with_quotes_and_empty_lines(read):
    items = read("label, path", '"cats, large",a b.png', "", "dog,c.png", encoding="utf-8-sig").items
    assert items.ids == ("a b.png", "c.png") and items.class_names == ("cats, large", "dog")
    assert (items.splits, items.roles, items.superclasses, items.boxes) == (None, None, None, None)


def test_numbers_are_sorted_as_numbers_and_texts_as_texts(read):
    assert read("path,label", "a,10", "b,9", "c,-1").items.class_names == ("-1", "9", "10")
    assert read("path,label", "a,10", "b,9", "c,x").items.class_names == ("10", "9", "x")
    assert read("path,label", "a,7", "b,07").items.class_names == ("07", "7")  # two names, two classes


def test_paths_are_relative_to_the_file_or_absolute(read, tmp_path, monkeypatch):
    save(picture(1, 1), tmp_path / "in" / "a.png")
    far = save(picture(2, 2), tmp_path / "elsewhere" / "b.png")
    dataset = read("path,label", "in/a.png,0", f"{far},1")
    monkeypatch.chdir("/")
    assert [dataset.load(index).tolist() for index in (0, 1)] == [
        [[list(pixel) for pixel in row] for row in _rows(picture(label, label))] for label in (1, 2)
    ]


def _rows(image):
    pixels = list(image.get_flattened_data())
    return [pixels[start : start + image.width] for start in range(0, len(pixels), image.width)]


def test_the_hash_is_of_table_and_pixels_not_of_the_place(tmp_path):
    first = Csv(str(write_csv(tmp_path / "a"))).content_hash
    path = write_csv(tmp_path / "b")
    assert Csv(str(path)).content_hash == first
    path.write_text(path.read_text().replace("0_0.png,0,train", "0_0.png,0,test"))
    split = Csv(str(path)).content_hash
    save(picture(5, 5), tmp_path / "b" / "images" / "0_0.png")
    assert len({first, split, Csv(str(path)).content_hash}) == 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), r"items\.csv:1: column 'path' is missing; it has none"),
        (("path,label",), r":1: there are no rows below the header"),
        (
            ("path,klass", "a,1"),
            r":1: unknown column 'klass'; did you mean|unknown column 'klass'; the columns are path, label",
        ),
        (("path;label", "a;1"), r":1: fields are separated by ';', not by commas; save"),
        (("path,lable", "a,1"), r":1: unknown column 'lable'; did you mean label\?"),
        (("path,label,label", "a,1,1"), r":1: column 'label' is there twice"),
        (("path,split", "a,train"), r":1: column 'label' is missing; it has path, split"),
        (("path,label,x1,y1,x2", "a,1,0,0,1"), r":1: column 'y2' is missing"),
        (("path,label", "a,1", "b,"), r":3: label is empty"),
        (("path,label", ",1"), r":2: path is empty"),
        (("path,label", "a,1", "b,1,2"), r":3: 3 fields, but 2 columns"),
        (("path,label", "a,1", "b,2", "", "a,2"), r":5: 'a' is in line 2 already; an image has one row"),
        (("path,label,split", "a,1,train", "b,1,"), r":3: split is empty; allowed: train, val, test"),
        (("path,label,split", "a,1,training"), r":2: split 'training'; allowed: train, val, test"),
        (("path,label,role", "a,1,probe"), r":2: role 'probe'; allowed: query, gallery, empty"),
        (("path,label,superclass", "a,1,p", "b,1,q"), r":3: class '1' is of superclass 'q' here, and of 'p' before"),
        (("path,label,superclass", "a,1,p", "b,2,"), r":3: superclass is empty"),
        (("path,label,x1,y1,x2,y2", "a,1,0,0,1.5,2"), r":2: a box has four whole numbers, not 0, 0, 1\.5, 2"),
        (("path,label,x1,y1,x2,y2", "a,1,5,0,5,2"), r":2: the box 5, 0, 5, 2 is not left < right"),
        (("path,label,x1,y1,x2,y2", "a,1,0,,1,2"), r":2: y1 is empty"),
        (("path,label", 'a,"1'), r":2: .*; is the file whole\?"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(read, lines, message):
    with pytest.raises(DataError, match=message):
        _ = read(*lines).items


def test_a_file_that_is_no_text_or_not_there(read, tmp_path):
    with pytest.raises(DataError, match=r"items\.csv:3: is not UTF-8; save the file as UTF-8"):
        _ = read("path,label", "a,1", "b,grün", encoding="latin-1").items
    with pytest.raises(DataError, match=r"gone\.csv: cannot be read: No such file"):
        _ = Csv(str(tmp_path / "gone.csv")).items
    with pytest.raises(DataError, match=r"cannot be read: Is a directory"):
        _ = Csv(str(tmp_path)).items


def test_a_listed_image_that_is_missing_is_named(tmp_path):
    path = write_csv(tmp_path)
    (tmp_path / "images" / "3_1.png").unlink()
    with pytest.raises(DataError, match=r"1 of 16 files are missing, the first is .*3_1\.png"):
        _ = Csv(str(path)).content_hash
    write(tmp_path / "images" / "3_1.png", "no image")
    with pytest.raises(DataError, match=r"3_1\.png: cannot be read as an image"):
        Csv(str(path)).load(7)
