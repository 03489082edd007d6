"""GoogLeNet, BN-Inception, Inception v3 and v4, Inception-ResNet-v2."""

from __future__ import annotations

import deeplite
import numpy as np
import pytest
from deeplite import models
from deeplite.models.googlenet import GoogLeNet, GoogLeNetOutputs
from deeplite.models.inception_blocks import InputTransform
from deeplite.models.inception_v4 import ScaledResidual
from model_pairs import (
    Case,
    compare_initial_values,
    compare_keys,
    compare_step,
    compare_torchvision,
    rows,
)
from nn_pairs import array

NARROW = {"width": 0.0625}
SMALL = {**NARROW, "aux_logits": False}
CASES = [
    Case("googlenet", {**NARROW, "transform_input": True}, (3, 48, 65), torchvision="googlenet"),
    Case("googlenet_paper", NARROW, (3, 64, 49)),
    Case("inception_v3", SMALL, (3, 107, 110), torchvision="inception_v3"),
    Case("inception_v3", NARROW, (3, 299, 299), label="aux", slow=True),
    Case("bn_inception", NARROW, (3, 64, 49)),
    Case("inception_v4", NARROW, (3, 107, 110)),
    Case("inception_resnet_v2", {**NARROW, "repeats": (2, 1, 2)}, (3, 107, 110)),
    Case("inception_resnet_v2", NARROW, (3, 107, 110), label="deep", slow=True),
    Case("inception_resnet_v2_paper", {**NARROW, "repeats": (1, 1, 1)}, (3, 107, 110)),
]
KNOWN = [case for case in CASES if case.torchvision]


@pytest.mark.parametrize("case", rows(CASES))
def test_step_is_torchs(case: Case) -> None:
    compare_step(case)


@pytest.mark.parametrize("case", KNOWN, ids=lambda c: c.name)
def test_keys_are_torchvisions(case: Case) -> None:
    compare_keys(case)


def test_googlenets_scores_are_torchvisions() -> None:
    options = {"num_classes": 5, "init_weights": False, "transform_input": True}
    compare_torchvision(KNOWN[0], options, (2, 3, 64, 63))


@pytest.mark.slow
def test_inceptions_scores_are_torchvisions() -> None:
    options = {"num_classes": 5, "init_weights": False, "transform_input": True}
    compare_torchvision(KNOWN[1], options, (2, 3, 299, 299))


@pytest.mark.slow
@pytest.mark.parametrize("case", KNOWN, ids=lambda c: c.name)
def test_initial_values_are_torchvisions(case: Case) -> None:
    compare_initial_values(case, {"num_classes": 5, "init_weights": True})


def test_without_auxiliary_classifiers() -> None:
    """6.6 and 23.8 million parameters, and plain scores in training mode."""
    net = models.googlenet(aux_logits=False, init_weights=False)
    assert sum(p.numel() for p in net.parameters()) == 6_624_904
    small = models.googlenet(aux_logits=False, **NARROW).train()
    assert isinstance(small(deeplite.randn(2, 3, 33, 33)), deeplite.Tensor)


def test_auxiliary_losses_count_three_tenths() -> None:
    scores = [deeplite.tensor(np.random.default_rng(i).random((2, 4))) for i in range(3)]
    target = deeplite.tensor([1, 3])
    parts = [deeplite.nn.functional.cross_entropy(s, target) for s in scores]
    found = GoogLeNet.loss(GoogLeNetOutputs(*scores), target)
    assert abs(float(found) - float(parts[0] + 0.3 * (parts[1] + parts[2]))) < 1e-12
    assert float(models.Inception3.loss(scores[0], target)) == float(parts[0])


def test_input_transform() -> None:
    """What has mean 0 and deviation 1 per channel goes back to [0, 1] and on to [-1, 1]."""
    image = np.random.default_rng(0).random((2, 3, 4, 5)).astype(np.float32)
    mean = np.array([0.485, 0.456, 0.406], np.float32).reshape(1, 3, 1, 1)
    deviation = np.array([0.229, 0.224, 0.225], np.float32).reshape(1, 3, 1, 1)
    out = InputTransform()(deeplite.tensor((image - mean) / deviation))
    np.testing.assert_allclose(array(out), image * 2 - 1, atol=1e-6)


def test_the_published_net_ends_without_a_rectifier() -> None:
    net = models.inception_resnet_v2(**NARROW)
    blocks = [m for m in net.stage_c if isinstance(m, ScaledResidual)]
    assert [m.activate for m in blocks] == [True] * 9 + [False]
    assert [m.scale for m in blocks] == [0.2] * 9 + [1.0]


@pytest.mark.parametrize(
    ("name", "size", "layer"),
    [
        ("googlenet", 15, ""),
        ("googlenet", 0, r"conv1\.conv \(Conv2d\)"),
        ("inception_v3", 75, ""),
        ("inception_v3", 74, r"Mixed_7a\.branch3x3_2\.conv \(Conv2d\)"),
        ("inception_v3", 42, r"Mixed_6a\.branch3x3\.conv \(Conv2d\)"),
        ("inception_v4", 75, ""),
        ("inception_v4", 74, r"features\.16\.max_pool \(MaxPool2d\)"),
        ("inception_resnet_v2", 74, r"stage_b\.20\.max_pool \(MaxPool2d\)"),
    ],
)
def test_too_small_an_image_names_the_layer(name: str, size: int, layer: str) -> None:
    net = models.build(name, **NARROW).eval()
    image = deeplite.zeros(1, 3, size, size)
    if not layer:
        assert tuple(net(image).shape) == (1, 1000)
        return
    with pytest.raises(ValueError, match=rf"\(in {layer}\)"):
        net(image)
