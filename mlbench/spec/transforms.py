"""What happens to an image between the dataset and the trunk."""

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, field_validator

from mlbench.spec.base import Table, result


def _one_or_three(value: tuple[float, ...]) -> tuple[float, ...]:
    if len(value) not in (1, 3):
        raise ValueError("one value for grey images, three for colour")
    return value


Probability: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Pair: TypeAlias = Annotated[tuple[float, float], Field(strict=False)]
Channels: TypeAlias = Annotated[tuple[float, ...], Field(strict=False), AfterValidator(_one_or_three)]


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
    Evaluation: ``resize`` -> centre crop -> normalise. What is left out does not happen.
    """

    size: int = result(227, ge=8, le=1024)
    resize: int | None = result(None, ge=8, le=2048)
    crop: RandomResizedCrop | None = result(None)
    affine: RandomAffine | None = result(None)
    flip: Probability = result(0.0)
    invert: Probability = result(0.0)
    pixels: Literal["unit", "bgr-255"] = result("unit")
    mean: Channels = result((0.485, 0.456, 0.406))
    std: Channels = result((0.229, 0.224, 0.225))

    @field_validator("crop", "affine", mode="before")
    @classmethod
    def _switched_off(cls, value: object) -> object:
        """``crop = false`` takes back what an extended benchmark says; TOML has no null."""
        return None if value is False else value

    @field_validator("std")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if min(value) <= 0:
            raise ValueError("every value must be above 0")
        return value
