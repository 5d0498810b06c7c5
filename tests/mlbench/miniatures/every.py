"""The writer of every dataset in files, by its bare id; each gives what to configure as ``path``."""

from collections.abc import Callable
from pathlib import Path

from miniatures.cars import write_cars
from miniatures.cub import write_cub
from miniatures.dogs import write_dogs
from miniatures.emoji import write_emoji
from miniatures.fashion import write_fashion
from miniatures.flowers import write_flowers
from miniatures.imagenet import write_imagenet
from miniatures.inaturalist import write_inaturalist
from miniatures.inshop import write_inshop
from miniatures.items import write_csv
from miniatures.pet import write_pet
from miniatures.sop import write_sop

WRITERS: dict[str, Callable[[Path], Path]] = {
    "cub200": write_cub,
    "cars196": write_cars,
    "sop": write_sop,
    "inshop": write_inshop,
    "pet": write_pet,
    "dogs": write_dogs,
    "flowers102": write_flowers,
    "inaturalist2018": write_inaturalist,
    "imagenet": write_imagenet,
    "csv": write_csv,
    "emoji": write_emoji,
    "fashion-mnist": write_fashion,
}
