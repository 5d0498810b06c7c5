"""What happens to an image between the dataset and the trunk."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from mlbench.spec.base import Table, result

Probability: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Pair: TypeAlias = Annotated[tuple[float, float], Field(strict=False)]
Triple: TypeAlias = Annotated[tuple[float, ...], Field(strict=False, min_length=1, max_length=3)]


class RandomResizedCrop(Table):
    """Cut a random part of the image and resize it to the output size (training only)."""

    scale: Pair = result((0.16, 1.0))
    ratio: Pair = result((0.75, 1.33))


class RandomAffine(Table):
    """Rotate, shift, scale and shear about the centre (training only)."""

    degrees: float = result(0.0, ge=0, le=180)
    translate: float = result(0.0, ge=0, le=1)
    scale: Pair = result((1.0, 1.0))
    shear: float = result(0.0, ge=0, le=60)


class Transforms(Table):
    """Deterministic first resize, random training transform or centre crop, normalisation.

    Training: ``resize`` -> ``crop`` -> ``affine`` -> ``flip`` -> ``invert`` -> normalise.
    Evaluation: ``resize`` -> centre crop -> normalise.
    """

    size: int = result(227, ge=8, le=1024)
    resize: int | None = result(256, ge=8, le=2048)
    crop: RandomResizedCrop | None = result(RandomResizedCrop())
    affine: RandomAffine | None = result(None)
    flip: Probability = result(0.5)
    invert: Probability = result(0.0)
    pixels: Literal["unit", "bgr-255"] = result("unit")
    mean: Triple = result((0.485, 0.456, 0.406))
    std: Triple = result((0.229, 0.224, 0.225))
