"""Trunks and the embedding model."""

import copy
import subprocess
import sys
import urllib.error
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mlbench.api import ComponentInfo, ConfigError, Trunk, UnknownNameError
from mlbench.models import ConvSmall, EfficientNetLite0, EmbeddingModel, TimmTrunk, TorchvisionTrunk
from mlbench.models._torchvision import import_torchvision
from mlbench.spec import Training
from mlbench.training.optimizers import optimizers_of

# The smallest of each library.
TIMM = "test_resnet"
TORCHVISION = "shufflenet_v2_x0_5"
INIT = {"init_weights": False}  # leaving it out draws a warning

TRUNKS = [
    pytest.param(lambda channels: ConvSmall(channels), id="conv-small"),
    pytest.param(lambda channels: TimmTrunk(TIMM, in_channels=channels), id="timm"),
    pytest.param(lambda channels: EfficientNetLite0("none", in_channels=channels), id="efficientnet-lite0"),
    pytest.param(lambda channels: TorchvisionTrunk(TORCHVISION, in_channels=channels), id="torchvision"),
]


def state(module: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(module.state_dict())


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.fixture(params=["timm", "torchvision"])
def library(request):
    """A trunk class of a library, a model's name there, and that model complete with its classifier."""
    torch.manual_seed(3)
    if request.param == "timm":
        trunk = TimmTrunk
        import timm

        return trunk, TIMM, timm.create_model(TIMM)
    return TorchvisionTrunk, TORCHVISION, import_torchvision().models.get_model(TORCHVISION)


@pytest.mark.parametrize("make", TRUNKS)
@pytest.mark.parametrize("channels", [1, 3])
def test_trunk_honours_its_contract(make, channels):
    trunk = make(channels).eval()
    assert isinstance(trunk, Trunk)
    assert isinstance(type(trunk).info, ComponentInfo) and type(trunk).info.summary
    assert trunk(torch.rand(2, channels, 64, 64)).shape == (2, trunk.features)


@pytest.mark.parametrize("make", TRUNKS)
def test_same_seed_gives_the_same_trunk(make):
    def build(seed):
        torch.manual_seed(seed)
        return state(make(1))

    assert same(build(1), build(1))
    assert not same(build(1), build(2))


@pytest.mark.parametrize("make", TRUNKS)
@pytest.mark.parametrize("channels", [0, 2, 4])
def test_other_channel_counts_are_refused(make, channels):
    with pytest.raises(ConfigError, match=f"in_channels = {channels}: must be 1 .grey. or 3 .RGB."):
        make(channels)


@pytest.mark.parametrize(("size", "width"), [(32, 4), (64, 4), (40, 6)])
def test_conv_small_takes_any_size_and_width(size, width):
    trunk = ConvSmall(width=width)
    assert trunk.features == 32 * width
    assert trunk(torch.rand(2, 1, size, size)).shape == (2, 32 * width)


def test_conv_small_refuses_no_channels():
    with pytest.raises(ConfigError, match="width = 0: must be at least 1"):
        ConvSmall(width=0)


def test_conv_small_learns_to_tell_four_images_apart():
    torch.manual_seed(0)
    images, labels = torch.rand(4, 1, 32, 32).repeat(4, 1, 1, 1), torch.arange(4).repeat(4)
    model = EmbeddingModel(ConvSmall(width=4), 4)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(30):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images + 0.1 * torch.randn_like(images)), labels).backward()
        optimiser.step()
    assert torch.equal(model.eval()(images).argmax(1), labels)


@pytest.mark.parametrize("make", [TimmTrunk, TorchvisionTrunk])
def test_grey_is_seen_as_rgb_with_equal_channels(make):
    name = TIMM if make is TimmTrunk else TORCHVISION
    torch.manual_seed(0)
    grey = make(name, in_channels=1).eval()
    torch.manual_seed(0)
    rgb = make(name).eval()
    images = torch.rand(2, 1, 64, 64)
    torch.testing.assert_close(grey(images), rgb(images.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize(("name", "size"), [("googlenet", 64), ("inception_v3", 80)])
def test_inceptions_have_no_auxiliary_outputs(name, size):
    trunk = TorchvisionTrunk(name).train()
    features = trunk(torch.rand(2, 3, size, size))
    assert features.shape == (2, trunk.features) == (2, {"googlenet": 1024, "inception_v3": 2048}[name])
    assert not [key for key in trunk.state_dict() if "aux" in key.lower() or ".fc." in key]


# One architecture for each place where torchvision keeps its classifier.
@pytest.mark.parametrize(
    ("name", "features"), [("squeezenet1_1", 512), ("mobilenet_v3_small", 1024), ("vit_b_32", 768), ("swin_t", 768)]
)
def test_torchvision_classifier_is_removed_wherever_it_is(name, features):
    with torch.device("meta"):
        trunk = TorchvisionTrunk(name).eval()
        assert trunk(torch.empty(1, 3, 224, 224)).shape == (1, features) == (1, trunk.features)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("classes", ["with its classifier", "without"])
def test_weights_come_from_a_file(library, suffix, classes, tmp_path):
    make, name, full = library
    weights = full.state_dict()
    if classes == "without":
        weights = make(name).body.state_dict()
    file = tmp_path / f"model{suffix}"
    save_file(weights, file) if suffix == ".safetensors" else torch.save(weights, file)
    loaded = make(name, weights=str(file)).body.state_dict()
    assert same(loaded, {key: weights[key] for key in loaded})


def test_a_saved_trunk_is_a_weight_file(library, tmp_path):
    make, name, _ = library
    trunk = make(name)
    torch.save(trunk.state_dict(), tmp_path / "trunk.pth")
    assert same(make(name, weights=str(tmp_path / "trunk.pth")).state_dict(), trunk.state_dict())


@pytest.mark.parametrize(("name", "options"), [("googlenet", INIT), ("inception_v3", INIT), ("resnet50", {})])
def test_public_files_load_without_their_classifiers(name, options, tmp_path):
    with torch.device("meta"):
        full = import_torchvision().models.get_model(name, **options)
    # One number for each tensor keeps the file small: its place in the file.
    numbers = {key: torch.tensor(place, dtype=t.dtype) for place, (key, t) in enumerate(full.state_dict().items())}
    torch.save({key: numbers[key].expand(t.shape) for key, t in full.state_dict().items()}, tmp_path / "public.pth")
    loaded = TorchvisionTrunk(name, weights=str(tmp_path / "public.pth")).body.state_dict()
    assert all((tensor == numbers[key]).all() for key, tensor in loaded.items())
    dropped = {key.partition(".")[0] for key in numbers.keys() - loaded.keys()}
    assert dropped == {"googlenet": {"fc", "aux1", "aux2"}, "inception_v3": {"fc", "AuxLogits"}}.get(name, {"fc"})


def test_old_files_without_batch_counters_load(library, tmp_path):
    make, name, full = library
    weights = {key: value for key, value in full.state_dict().items() if not key.endswith("num_batches_tracked")}
    save_file(weights, tmp_path / "old.safetensors")
    loaded = make(name, weights=str(tmp_path / "old.safetensors")).body.state_dict()
    assert all(torch.equal(loaded[key], weights[key]) for key in loaded if key in weights)


@pytest.mark.parametrize("problem", ["missing", "shape", "unknown"])
def test_an_unfitting_file_is_named_with_its_first_key(library, problem, tmp_path):
    make, name, full = library
    weights = full.state_dict()
    first = next(iter(weights))
    shape = list(weights[first].shape)
    if problem == "missing":
        expected = f"{first}: missing"
        del weights[first]
    elif problem == "shape":
        expected = f"{first}: has shape {[*shape, 1]}, must be {shape}"
        weights[first] = weights[first][..., None]
    else:
        expected = "stranger: unknown to the model"
        weights["stranger"] = torch.zeros(1)
    file = tmp_path / "other.pth"
    torch.save(weights, file)
    with pytest.raises(ConfigError) as caught:
        make(name, weights=str(file))
    assert str(caught.value).startswith(f"{file}: does not fit") and str(caught.value).endswith(expected)


def bad_file(folder: Path, kind: str) -> Path:
    file = folder / {"damaged safetensors": "x.safetensors", "numpy": "x.npz"}.get(kind, "x.pth")
    if kind == "a list":
        torch.save([1, 2], file)
    elif kind == "a checkpoint":
        torch.save({"epoch": 3, "state_dict": {}}, file)
    elif kind == "a pickled module":
        torch.save(nn.Linear(1, 1), file)
    elif kind != "absent":
        file.write_bytes(b"not weights")
    return file


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("absent", r'no such file; weights is "none", "pretrained" or the path'),
        ("numpy", r"unknown kind of weight file; known are .pt, .pth, .safetensors"),
        ("damaged pth", r"not readable as weights"),
        ("damaged safetensors", r"not readable as weights"),
        ("a pickled module", r"not readable as weights"),
        ("a list", r"holds a list, not a state dict"),
        ("a checkpoint", r"epoch: is a int, not a tensor; save the model's state dict on its own"),
    ],
)
def test_a_file_that_is_no_state_dict_is_explained(kind, message, tmp_path):
    file = bad_file(tmp_path, kind)
    with pytest.raises(ConfigError, match=message) as caught:
        TimmTrunk(TIMM, weights=str(file))
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("make", "name", "hint"),
    [
        (TimmTrunk, "resnet5O", "did you mean"),
        (TimmTrunk, "resnet50.a1_in1q", "resnet50.a1_in1k"),
        (TimmTrunk, "hf-hub:someone/model", "timm.list_models"),
        (TimmTrunk, "qwen3_vit_88m_enc", "no classification model"),
        (TorchvisionTrunk, "resnet5O", "resnet50"),
        (TorchvisionTrunk, "fasterrcnn_resnet50_fpn", "no classification model"),
        (TorchvisionTrunk, "xyzzy", "torchvision.models.list_models"),
    ],
)
def test_unknown_names_list_close_ones(make, name, hint):
    with pytest.raises(UnknownNameError, match=hint) as caught:
        make(name)
    assert repr(name) in str(caught.value)


def test_timm_without_a_network_says_what_to_do(monkeypatch, tmp_path):
    TimmTrunk("resnet18")  # Imports timm before its hub client is cut off.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match=r"timm model 'resnet18': .* could not be fetched .* pass the path"):
        TimmTrunk("resnet18", weights="pretrained")


@pytest.mark.parametrize("weights", ["pretrained", "IMAGENET1K_V1"])
def test_torchvision_without_a_network_says_what_to_do(weights, monkeypatch, tmp_path):
    def unreachable(*args, **kwargs):
        raise urllib.error.URLError("Network is unreachable")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    with pytest.raises(ConfigError, match=r"torchvision model 'googlenet': .*Network is unreachable.* pass the path"):
        TorchvisionTrunk("googlenet", weights=weights)


def test_torchvision_brings_the_weights_that_are_named(monkeypatch, tmp_path):
    """From its cache folder, filled by hand: each name leads to a file of its own."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    first_layers = {}
    for weights, digits in (("IMAGENET1K_V1", "8738ca79"), ("IMAGENET1K_V2", "5c1a4163")):
        model = import_torchvision().models.get_model("mobilenet_v3_large")
        torch.save(model.state_dict(), checkpoints / f"mobilenet_v3_large-{digits}.pth")
        first_layers[weights] = model.features[0][0].weight.detach().clone()
    for weights, expected in first_layers.items():
        assert torch.equal(TorchvisionTrunk("mobilenet_v3_large", weights=weights).body.features[0][0].weight, expected)


def test_embeddings_are_a_linear_map_of_the_features():
    model = EmbeddingModel(ConvSmall(width=4), 16).eval()
    images = torch.rand(3, 1, 32, 32)
    expected = model.trunk(images) @ model.embedder.weight.T + model.embedder.bias
    torch.testing.assert_close(model(images), expected)
    assert model(images).shape == (3, 16) == (3, model.embedding_size)


@pytest.mark.parametrize("make", TRUNKS)
def test_frozen_batchnorm_keeps_its_statistics_and_learns_its_scale(make):
    model = EmbeddingModel(make(1), 8, freeze_batchnorm=True)
    before = state(model)
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(2):
        model.eval()
        model.train()
        optimiser.zero_grad()
        model(torch.rand(4, 1, 64, 64)).square().sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    after = state(model)
    running = [key for key in before if "running_" in key or "num_batches" in key]
    scales = [key.replace("running_mean", "weight") for key in running if key.endswith("running_mean")]
    assert running and all(torch.equal(before[key], after[key]) for key in running)
    assert any(not torch.equal(before[key], after[key]) for key in scales)
    assert model.training and model.trunk.training and model.embedder.training


def test_batchnorm_that_is_not_frozen_follows_the_data():
    model = EmbeddingModel(ConvSmall(width=4), 8).train()
    before = state(model)
    model(torch.rand(4, 1, 32, 32))
    assert not same(before, state(model))


@pytest.mark.parametrize("make", TRUNKS)
def test_a_frozen_trunk_stays_as_it_is_while_the_embedder_learns(make):
    model = EmbeddingModel(make(1), 8, freeze_batchnorm=True, frozen_trunk=True)
    before, images = state(model), torch.rand(4, 1, 64, 64)
    features = model.eval().trunk(images)
    model.train()
    embeddings = model(images)
    torch.testing.assert_close(embeddings, model.embedder(features))  # no dropout, no statistics of the batch
    embeddings.square().sum().backward()
    (optimiser,) = optimizers_of(model, None, Training())
    assert [id(each) for group in optimiser.param_groups for each in group["params"]] == [
        id(each) for each in model.embedder.parameters()
    ]
    optimiser.step()
    after = state(model)
    assert {key for key in before if not torch.equal(before[key], after[key])} == {"embedder.weight", "embedder.bias"}
    assert model.training and model.embedder.training


def test_a_frozen_trunk_keeps_nothing_for_a_backward_pass():
    model = EmbeddingModel(ConvSmall(width=4), 8, frozen_trunk=True).train()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.shape), lambda shape: None):
        model(torch.rand(4, 1, 32, 32))
    assert all(len(shape) == 2 for shape in kept)  # the embedder's own, no images and no feature maps


def test_a_trunk_must_state_its_width():
    with pytest.raises(ConfigError, match="trunk Linear: `features` must be the width of its output"):
        EmbeddingModel(nn.Linear(2, 2), 8)
    with pytest.raises(ConfigError, match="embedding_size = 0: must be at least 1"):
        EmbeddingModel(ConvSmall(width=4), 0)


def run_fresh(code: str) -> str:
    """Standard output of ``code`` in a new interpreter: imports of torchvision can only be watched once."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_torchvision_is_imported_when_needed_and_helped_only_where_its_extension_failed():
    code = """
import sys
from mlbench.models import ConvSmall
assert "timm" not in sys.modules and "torchvision" not in sys.modules
from mlbench.models import _torchvision
torchvision = _torchvision.import_torchvision()
assert _torchvision.import_torchvision() is torchvision
print(torchvision.extension._has_ops(), bool(_torchvision._declared))
"""
    native, declared = run_fresh(code).split()
    assert native != declared


def test_another_failure_of_torchvision_is_not_hidden(monkeypatch):
    def broken(name):
        raise RuntimeError("compiled with different CUDA major versions")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(RuntimeError, match="different CUDA major versions"):
        import_torchvision()
