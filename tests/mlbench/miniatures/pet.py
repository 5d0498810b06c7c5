"""Oxford-IIIT Pet."""

from pathlib import Path

from miniatures.pictures import picture, save, write

#: Cats with a capital letter, as the owner has it; in the order of their numbers.
BREEDS = (
    *("Abyssinian", "american_bulldog", "basset_hound", "beagle"),
    *("Bengal", "Birman", "boxer", "staffordshire_bull_terrier"),
)


def write_pet(root: Path, per_class: int = 4) -> Path:
    """The first half of every breed is in ``trainval.txt``; one picture more is in no list, one is a GIF, one a PNG."""
    rows = []
    for label, breed in enumerate(BREEDS):
        species = 1 if breed[0].isupper() else 2
        number = sum(other[0].isupper() == breed[0].isupper() for other in BREEDS[: label + 1])
        for sample in range(per_class):
            save(picture(label, sample), root / "images" / f"{breed}_{sample + 1}.jpg")
            rows.append(f"{breed}_{sample + 1} {label + 1} {species} {number}")
    save(picture(0, 1).quantize(16), root / "images" / "Abyssinian_2.jpg", format="GIF")
    save(picture(4, 2, mode="RGBA"), root / "images" / "Bengal_3.jpg", format="PNG")
    save(picture(0, 99), root / "images" / "Abyssinian_104.jpg")
    head = (
        "#Image CLASS-ID SPECIES BREED ID",
        "#ID: 1:37 Class ids",
        "#SPECIES: 1:Cat 2:Dog",
        "#BREED ID: 1-25:Cat 1:12:Dog",
    )
    write(root / "annotations" / "list.txt", *head, *rows)
    early = [index % per_class < per_class // 2 for index in range(len(rows))]
    write(root / "annotations" / "trainval.txt", *(row for row, is_early in zip(rows, early, strict=True) if is_early))
    write(root / "annotations" / "test.txt", *(row for row, is_early in zip(rows, early, strict=True) if not is_early))
    return root
