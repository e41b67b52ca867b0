"""The network: one meaning of its outputs, the published weights' padding, what freezing and strides change."""

import dataclasses
import hashlib
import sys
import types

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from reid_tracker.errors import ConfigError, ModelError  # noqa: E402
from reid_tracker.training import backbones  # noqa: E402
from reid_tracker.training.backbones import load_start_weights, make_backbone  # noqa: E402
from reid_tracker.training.efficientnet_lite import SameConv2d, convolve_and_normalize  # noqa: E402
from reid_tracker.training.export import fold_batchnorm, torch_answers, write_onnx  # noqa: E402
from reid_tracker.training.network import (  # noqa: E402
    AlignedReIDNet,
    PixelNetwork,
    pixels_to_input,
    set_last_stride,
    stripe_shares,
)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return AlignedReIDNet()


def test_training_and_evaluation_give_the_same_kinds_of_vectors(network):
    x = torch.randn(2, 3, 128, 64)
    shapes = []
    for mode in (True, False):
        features = network.train(mode)(x)
        shapes.append((features.raw.shape, features.global_.shape, features.stripes.shape))
        torch.testing.assert_close(features.global_.norm(dim=1), torch.ones(2))
        torch.testing.assert_close(features.stripes.norm(dim=2), torch.ones(2, 8))
    assert shapes[0] == shapes[1] == ((2, 256), (2, 256), (2, 8, 128))


@pytest.mark.parametrize(
    ("size", "last_stride", "rows"), [((256, 128), 2, (8, 4)), ((128, 64), 1, (8, 4)), ((192, 96), 2, (6, 3))]
)
def test_map_of_each_size(network, size, last_stride, rows):
    set_last_stride(network, last_stride)
    network.eval()
    x = torch.randn(1, 3, *size)
    assert network.backbone(x).shape == (1, 1280, *rows)
    assert network(x).stripes.shape == (1, 8, 128)
    set_last_stride(network, 2)


def test_stripes_are_the_rows_of_the_map_from_head_to_foot():
    network = AlignedReIDNet()
    network.backbone = torch.nn.Identity()
    fmap = torch.randn(1, 1280, 8, 4)
    changed = fmap.clone()
    changed[:, :, 6] += 1
    moved = (network(fmap).stripes - network(changed).stripes).norm(dim=2)[0]
    assert moved.nonzero().flatten().tolist() == [6]


@pytest.mark.parametrize("rows", [2, 6, 8, 10, 12, 16, 24])
def test_every_row_of_a_map_counts_alike(rows):
    shares = stripe_shares(rows, torch.device("cpu"))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(8))
    torch.testing.assert_close(shares.sum(dim=0), torch.full((rows,), 8 / rows))


def test_a_map_of_ten_rows_is_exported_as_it_is_computed(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    network = AlignedReIDNet("resnet18").eval()
    write_onnx(network, (320, 64), tmp_path / "model.onnx")
    crops = np.random.default_rng(0).integers(0, 256, (3, 320, 64, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    (stripes,) = session.run(["stripes"], {"crops": crops})
    np.testing.assert_allclose(stripes, torch_answers(network, crops)["stripes"], atol=1e-4)


@pytest.mark.parametrize(("kernel", "size", "before", "after"), [(3, 8, 0, 1), (5, 8, 1, 2), (3, 7, 1, 1)])
def test_padding_is_tensorflows(kernel, size, before, after):
    convolution = SameConv2d(1, 1, kernel, 2, bias=False)
    x = torch.randn(1, 1, size, size)
    padded = torch.nn.functional.pad(x, (before, after, before, after))
    torch.testing.assert_close(convolution(x), torch.nn.functional.conv2d(padded, convolution.weight, stride=2))


def test_frozen_blocks_keep_weights_and_statistics():
    network = AlignedReIDNet().train()
    network.backbone.freeze(3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(torch.randn(4, 3, 64, 32)).raw.sum().backward()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
    after = network.state_dict()
    frozen = [name for name in before if name.startswith(("backbone.conv_stem", "backbone.bn0", "backbone.blocks.1."))]
    assert frozen
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert not torch.equal(before["backbone.blocks.3.bn1.running_mean"], after["backbone.blocks.3.bn1.running_mean"])
    network.backbone.freeze(0)
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert network.backbone.bn0.training


@pytest.mark.parametrize(
    ("kernel", "stride", "groups"),
    [(1, 1, 1), (3, 2, 1), (5, 2, 4), (3, 1, 4)],  # project, stem, depthwise with uneven padding, depthwise
)
def test_scaled_weights_are_convolution_and_fixed_normalisation_in_value_and_gradient(kernel, stride, groups):
    torch.manual_seed(1)
    convolution = SameConv2d(4, 8, kernel, stride, groups=groups, bias=False)
    norm = torch.nn.BatchNorm2d(8).eval()
    with torch.no_grad():
        for statistics in (norm.weight, norm.running_var):
            statistics.uniform_(0.5, 2)
        for statistics in (norm.bias, norm.running_mean):
            statistics.normal_()
    x, weighing = torch.randn(2, 4, 9, 6), None
    found = []
    for together in (True, False):
        for parameter in (*convolution.parameters(), *norm.parameters()):
            parameter.grad = None
        y = convolve_and_normalize(convolution, norm, x) if together else norm(convolution(x))
        weighing = torch.randn(y.shape) if weighing is None else weighing
        (y * weighing).sum().backward()
        found.append([y.detach(), convolution.weight.grad, norm.weight.grad, norm.bias.grad])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)


def test_normalisation_that_learns_its_statistics_is_left_to_itself():
    convolution, norm = SameConv2d(3, 4, 1, bias=False), torch.nn.BatchNorm2d(4).train()
    x = torch.randn(5, 3, 4, 4)
    y = convolve_and_normalize(convolution, norm, x)
    torch.testing.assert_close(y.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)
    assert not torch.equal(norm.running_mean, torch.zeros(4))


def test_fixed_statistics_stay_while_scales_learn_and_can_be_let_go():
    network = AlignedReIDNet().train()
    network.backbone.fix_statistics(True)
    network.train()  # as a loop does after an evaluation
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(torch.randn(2, 3, 64, 32)).raw.sum().backward()
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before if "running" in name)
    assert network.backbone.blocks[0].bn1.weight.grad.abs().sum() > 0
    network.backbone.fix_statistics(False)
    network(torch.randn(2, 3, 64, 32))
    assert not torch.equal(before["backbone.bn0.running_mean"], network.state_dict()["backbone.bn0.running_mean"])


def test_colour_order_and_range_are_the_graphs_business():
    pixels = torch.zeros(1, 2, 2, 3, dtype=torch.uint8)
    pixels[..., 0] = 255  # blue, as OpenCV stores it
    x = pixels_to_input(pixels)
    assert x.shape == (1, 3, 2, 2)
    assert (x[:, 2] == 1).all()  # blue is the last of RGB
    assert (x[:, :2] == -1).all()


def test_folding_batch_normalisation_changes_nothing(network):
    network.train()
    network(torch.randn(8, 3, 64, 32))  # so that the statistics are not the neutral ones
    network.eval()
    crops = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 64, 32, 3), dtype=np.uint8))
    with torch.no_grad():
        folded, whole = PixelNetwork(fold_batchnorm(network))(crops), PixelNetwork(network)(crops)
        for found, expected in zip(folded, whole, strict=True):
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_unknown_backbone_and_stride_are_refused():
    with pytest.raises(ConfigError, match="efficientnet_lite0"):
        make_backbone("efficientnet_lite9")
    with pytest.raises(ConfigError, match="last_stride"):
        make_backbone("efficientnet_lite0", 3)


def published(backbone, drop=""):
    """A state as the upstream project writes it: an underscore before each part's name, a classifier at the end."""
    state = {}
    for name, value in backbone.state_dict().items():
        parts = [part if part.isdigit() else f"_{part}" for part in name.split(".")[:-1]]
        state[".".join([*parts, name.split(".")[-1]])] = value
    state |= {"_fc.weight": torch.zeros(1000, 1280), "_fc.bias": torch.zeros(1000)}
    return {name: value for name, value in state.items() if name != drop}


def know(monkeypatch, file):
    kind = backbones.BACKBONES["efficientnet_lite0"]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    changed = dataclasses.replace(kind, start_sha256=(digest,))
    monkeypatch.setitem(backbones.BACKBONES, "efficientnet_lite0", changed)


def test_start_weights_are_loaded_by_name_and_all_of_them(tmp_path, monkeypatch):
    source, _ = make_backbone("efficientnet_lite0")
    file = tmp_path / "weights.pth"
    torch.save(published(source), file)
    know(monkeypatch, file)
    target, _ = make_backbone("efficientnet_lite0")
    load_start_weights(target, "efficientnet_lite0", file)
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value)


def test_wrong_or_incomplete_start_weights_are_refused(tmp_path, monkeypatch):
    backbone, _ = make_backbone("efficientnet_lite0")
    file = tmp_path / "weights.pth"
    with pytest.raises(ModelError, match="no such file"):
        load_start_weights(backbone, "efficientnet_lite0", file)
    torch.save(published(backbone, drop="_conv_head.weight"), file)
    with pytest.raises(ModelError, match="sha256"):
        load_start_weights(backbone, "efficientnet_lite0", file)
    know(monkeypatch, file)
    with pytest.raises(ModelError, match=r"conv_head\.weight"):
        load_start_weights(backbone, "efficientnet_lite0", file)


def test_an_empty_file_is_no_start(tmp_path):
    (tmp_path / "empty.pth").touch()
    with pytest.raises(ModelError, match=r"empty\.pth: its tensors do not fit osnet_x0_25"):
        load_start_weights(make_backbone("osnet_x0_25")[0], "osnet_x0_25", tmp_path / "empty.pth")


def test_lite2_is_as_wide_and_deep_as_published():
    backbone, channels = make_backbone("efficientnet_lite2")
    assert channels == 1280
    assert len(backbone.blocks) == 21
    assert sum(value.numel() for value in backbone.state_dict().values()) == 4_869_232
    backbone.eval()
    assert backbone(torch.zeros(1, 3, 64, 32)).shape == (1, 1280, 2, 1)
    backbone.set_last_stride(1)
    assert backbone(torch.zeros(1, 3, 64, 32)).shape == (1, 1280, 4, 2)


KINDS = [
    # name, channels, stride of the map at last stride 2, parameters of the published network without its classifier
    ("mobilenet_v2", 1280, 32, 2_223_872),
    ("osnet_x0_25", 128, 16, 134_792),  # torchreid's 203,568 less its fc (67,072) and thrice the shared gates
    ("osnet_x1_0", 512, 16, 1_905_828),  # torchreid's 2,193,616 less its fc (263,680) and thrice the shared gates
    ("resnet18", 512, 32, 11_176_512),
    ("resnet50", 2048, 32, 23_508_032),
]


@pytest.mark.parametrize(("name", "channels", "stride", "parameters"), KINDS)
def test_backbones_are_the_published_ones_in_size_and_stride(name, channels, stride, parameters):
    backbone, found = make_backbone(name)
    assert found == channels
    assert sum(parameter.numel() for parameter in backbone.parameters()) == parameters
    backbone.eval()
    x = torch.zeros(1, 3, 64, 32)
    with torch.no_grad():
        assert backbone(x).shape == (1, channels, 64 // stride, 32 // stride)
        backbone.set_last_stride(1)
        assert backbone(x).shape == (1, channels, 128 // stride, 64 // stride)
        assert make_backbone(name, 1)[0].eval()(x).shape == backbone(x).shape


@pytest.mark.parametrize("name", ["mobilenet_v2", "osnet_x1_0", "resnet18", "resnet50"])
def test_every_backbone_freezes_fixes_and_folds(name):
    torch.manual_seed(0)
    network = AlignedReIDNet(name).train()
    network(torch.randn(4, 3, 64, 32))
    network.backbone.freeze(2)
    network.backbone.fix_statistics(True)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network(torch.randn(2, 3, 64, 32)).raw.sum().backward()
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items() if "running" in key)
    parameters = list(network.backbone.parameters())
    assert parameters[0].grad is None
    assert not parameters[0].requires_grad
    assert parameters[-1].grad is not None
    network.eval()
    x = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        folded, whole = fold_batchnorm(network)(x), network(x)
    torch.testing.assert_close(folded.global_, whole.global_, atol=1e-4, rtol=0)
    torch.testing.assert_close(folded.stripes, whole.stripes, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("name", "left_over"),
    [("resnet18", "fc.weight"), ("mobilenet_v2", "classifier.1.bias"), ("osnet_x1_0", "fc.0.bias")],
)
def test_published_files_load_strictly_without_their_classifier(name, left_over, tmp_path, monkeypatch):
    source, _ = make_backbone(name)
    file = tmp_path / "weights.pth"
    torch.save({**source.state_dict(), left_over: torch.zeros(3)}, file)
    if backbones.BACKBONES[name].start_sha256:
        with pytest.raises(ModelError, match="sha256"):
            load_start_weights(source, name, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    kind = dataclasses.replace(backbones.BACKBONES[name], start_sha256=(digest,))
    monkeypatch.setitem(backbones.BACKBONES, name, kind)
    target, _ = make_backbone(name)
    load_start_weights(target, name, file)
    assert all(torch.equal(value, target.state_dict()[key]) for key, value in source.state_dict().items())


class FakeModel(torch.nn.Module):
    """What timm hands out: features before pooling, and how many."""

    num_features = 6

    def __init__(self, flat: bool) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 6, 3, 4, 1)
        self.flat = flat

    def forward(self, x):
        y = self.conv(x)
        return y.flatten(2) if self.flat else y


def test_any_of_timms_feature_extractors_can_be_named(monkeypatch):
    asked = []

    def create_model(name, **options):
        if name == "unknown":
            raise RuntimeError("Unknown model (unknown)")
        asked.append((name, options))
        return FakeModel(flat=name == "a_transformer")

    monkeypatch.setitem(sys.modules, "timm", types.SimpleNamespace(create_model=create_model))
    network = AlignedReIDNet("timm:a_net")
    assert asked == [("a_net", {"pretrained": False, "num_classes": 0, "global_pool": ""})]
    assert network(torch.zeros(2, 3, 32, 16)).stripes.shape == (2, 8, 128)
    network.backbone.freeze(0)
    with pytest.raises(ConfigError, match="frozen_blocks"):
        network.backbone.freeze(2)
    with pytest.raises(ConfigError, match="last stride"):
        set_last_stride(network, 1)
    with pytest.raises(ConfigError, match="unknown"):
        make_backbone("timm:unknown")
    with pytest.raises(ConfigError, match="map"):
        AlignedReIDNet("timm:a_transformer")(torch.zeros(2, 3, 32, 16))
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match="pip install timm"):
        make_backbone("timm:a_net")
