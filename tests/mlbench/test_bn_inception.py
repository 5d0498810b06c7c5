"""BN-Inception against its public file's names and shapes, and against a reading of those in plain functions."""

import pytest
import torch
from miniatures.cub import write_cub
from torch import Tensor
from torch.nn import functional

from mlbench.api import ConfigError
from mlbench.models import BNInception

#: Some of the public file's tensors.
PUBLIC = {
    "conv1_7x7_s2.weight": (64, 3, 7, 7),
    "conv1_7x7_s2.bias": (64,),
    "conv2_3x3_reduce_bn.running_var": (64,),
    "inception_3a_pool_proj.weight": (32, 192, 1, 1),
    "inception_3c_double_3x3_2.weight": (96, 96, 3, 3),
    "inception_4a_1x1.weight": (224, 576, 1, 1),
    "inception_4c_3x3_reduce_bn.weight": (128,),
    "inception_4e_double_3x3_1.weight": (256, 192, 3, 3),
    "inception_5a_3x3.weight": (320, 192, 3, 3),
    "inception_5b_double_3x3_reduce_bn.bias": (192,),
    "inception_5b_pool_proj.weight": (128, 1024, 1, 1),
}
BLOCKS = ("3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b")


@pytest.fixture(scope="module")
def full():
    """The state of a whole model with statistics as after training, in double precision."""
    torch.manual_seed(0)
    state = BNInception("none").body.state_dict()
    for key, tensor in state.items():
        if "_bn." in key and tensor.ndim:
            tensor.uniform_(0.5, 1.5) if key.endswith(("weight", "var")) else tensor.normal_()
    return state | {"last_linear.weight": torch.randn(1000, 1024), "last_linear.bias": torch.randn(1000)}


def features(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """The network as the names and shapes in ``state`` tell it."""

    def layer(name: str, maps: Tensor, stride: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        maps = functional.conv2d(maps, weight, state[f"{name}.bias"], stride, weight.shape[-1] // 2)
        mean, var, scale, shift = (state[f"{name}_bn.{part}"] for part in _NORM)
        shaped = [part[:, None, None] for part in (mean, var, scale, shift)]
        return ((maps - shaped[0]) / (shaped[1] + 1e-5).sqrt() * shaped[2] + shaped[3]).clamp(min=0)

    def halve(maps: Tensor) -> Tensor:
        padded = functional.pad(maps, (0, maps.shape[-1] % 2 == 0, 0, maps.shape[-2] % 2 == 0), value=-torch.inf)
        return functional.max_pool2d(padded, 3, 2)

    maps = halve(layer("conv1_7x7_s2", images, 2))
    maps = halve(layer("conv2_3x3", layer("conv2_3x3_reduce", maps)))
    for block in BLOCKS:
        name = f"inception_{block}"
        stride = 1 if f"{name}_1x1.weight" in state else 2
        parts = [layer(f"{name}_1x1", maps)] if stride == 1 else []
        parts.append(layer(f"{name}_3x3", layer(f"{name}_3x3_reduce", maps), stride))
        inner = layer(f"{name}_double_3x3_1", layer(f"{name}_double_3x3_reduce", maps))
        parts.append(layer(f"{name}_double_3x3_2", inner, stride))
        if stride == 2:
            parts.append(halve(maps))
        else:
            nine = functional.unfold(maps, 3, padding=1).unflatten(1, (maps.shape[1], 9))  # zeros count in the mean
            pooled = nine.amax(2) if block == "5b" else nine.mean(2)  # all maps are positive: zeros lose the maximum
            parts.append(layer(f"{name}_pool_proj", pooled.unflatten(2, maps.shape[2:])))
        maps = torch.cat(parts, 1)
    return maps.flatten(2).mean(2)


_NORM = ("running_mean", "running_var", "weight", "bias")


@pytest.mark.parametrize("size", [(64, 96), (67, 64)])  # 67 as 227 gives even and odd sides to the poolings
def test_features_are_those_of_the_public_definition(size, full, tmp_path):
    torch.save(full, tmp_path / "bn_inception.pth")
    images = torch.randn(1, 3, *size)
    exact = {key: tensor.double() for key, tensor in full.items()}
    with torch.no_grad():
        found = BNInception(str(tmp_path / "bn_inception.pth")).eval()(images)
    torch.testing.assert_close(found, features(exact, images.double()).float(), rtol=1e-4, atol=1e-4)


def test_names_shapes_and_numbers_are_those_of_the_public_file(full):
    assert PUBLIC.items() <= {key: tuple(tensor.shape) for key, tensor in full.items()}.items()
    layers = {key.removesuffix(".running_mean") for key in full if key.endswith("running_mean")}
    assert len(layers) == 69
    assert full.keys() == {"last_linear.weight", "last_linear.bias"} | {
        f"{layer}.{part}" for layer in layers for part in (*_NORM, "num_batches_tracked")
    } | {f"{layer.removesuffix('_bn')}.{part}" for layer in layers for part in ("weight", "bias")}
    trained = [tensor for key, tensor in full.items() if key.endswith(("weight", "bias"))]
    assert sum(tensor.numel() for tensor in trained) == 11_295_240


@pytest.mark.parametrize("size", [224, 227])
def test_the_papers_images_end_as_seven_by_seven(size):
    sides = []
    with torch.device("meta"):
        trunk = BNInception("none").eval()
        for name in ("conv1_7x7_s2", "conv2_3x3", "inception_3a_1x1", "inception_4a_1x1", "inception_5b_1x1"):
            trunk.body.get_submodule(name).register_forward_hook(lambda _, given, maps: sides.append(maps.shape[-1]))
        assert trunk(torch.empty(2, 3, size, size)).shape == (2, 1024)
    assert sides == [-(-size // 2), 56 + size % 2, 28, 14, 7]


def test_a_size_that_it_cannot_halve_is_refused():
    with pytest.raises(ConfigError, match=r"block 3c cannot halve 7x8; .* 224, 227 or any multiple of 32"):
        BNInception("none")(torch.rand(2, 3, 58, 64))


def test_the_oldest_files_load_too(full, tmp_path):
    old = {key.replace("last_linear", "fc"): tensor for key, tensor in full.items() if "num_batches" not in key}
    old = {key: tensor[None] if "_bn." in key else tensor for key, tensor in old.items()}
    torch.save(old, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    loaded = BNInception(str(tmp_path / "old.pth")).body.state_dict()
    assert all(torch.equal(tensor, full[key]) for key, tensor in loaded.items() if "num_batches" not in key)


def test_without_a_file_it_says_where_to_get_one_and_how_to_name_it():
    with pytest.raises(ConfigError, match=r"download bn_inception-52deb4733.pth .*--set model.trunk.weights=PATH"):
        BNInception()


def test_without_the_file_a_paper_sized_plan_is_shown_with_its_cost_and_says_what_is_missing(mlbench, tmp_path):
    root = write_cub(tmp_path, classes=88, per_class=2)  # 33 classes train in a fold, a batch of the paper's has 32
    cub = ["--set", "dataset=cub200", "--set", f"paths.cub200={root}"]
    for store in ([], ["--store", str(tmp_path / "store")]):
        code, out, err = mlbench("plan", "reality-check", *cub, *store)
        assert code == 1 and "88 classes" in out
        assert "14 methods with a search × 50 trials × 4 folds; 15 methods × 10 reproductions × 4 folds" in out
        assert "nothing of this can run yet: model.trunk: bn-inception: its ImageNet weights come from you" in err
        assert "--set model.trunk.weights=PATH" in err
    code, _, err = mlbench("run", "reality-check", *cub, "--store", tmp_path / "store")
    assert code == 1 and "model.trunk: bn-inception: its ImageNet weights come from you" in err
    assert not (tmp_path / "store").exists()


def test_the_cost_of_a_plan_is_timed_on_random_weights_where_the_file_is_missing(mlbench, tmp_path, benchmark_file):
    file = benchmark_file(
        "Contrastive",
        dataset={"id": "cub200", "path": str(write_cub(tmp_path))},
        model={"trunk": {"id": "bn-inception"}},
        transforms={"size": 32, "resize": 32, "mean": [0.5] * 3, "std": [0.5] * 3},
    )
    code, out, err = mlbench("plan", file, "--estimate")
    assert code == 1 and "its ImageNet weights come from you" in err
    (row,) = [line.split() for line in out.partition("timed on")[2].splitlines() if line.startswith("Contrastive")]
    step, image, least, most = map(float, row[1:])
    assert step > 0 and image > 0 and 0 <= least <= most


def test_a_plan_says_all_that_is_missing(mlbench, tmp_path, monkeypatch):
    monkeypatch.setenv("MLBENCH_DATA", str(tmp_path))
    code, out, err = mlbench("plan", "reality-check", "--set", "dataset=cub200")
    assert code == 1 and "11788 images, 200 classes" in out
    assert "cub200: not prepared" in err and "--set model.trunk.weights=PATH" in err
