"""AlexNet in its two forms, and ZFNet."""

from __future__ import annotations

import deeplite
import numpy as np
import pytest
from deeplite import models, nn
from deeplite.models.alexnet import SINGLE_TOWER, TWO_TOWERS, ZEILER_FERGUS, Stage
from model_pairs import (
    Case,
    compare_initial_values,
    compare_keys,
    compare_step,
    compare_torchvision,
    rows,
)
from nn_pairs import array


def narrow(stages: tuple[Stage, ...]) -> dict[str, object]:
    """The same stages with a sixteenth of the channels."""
    from dataclasses import replace

    return {"stages": [replace(s, channels=s.channels // 16) for s in stages], "hidden": 16}


CASES = [
    Case("alexnet", narrow(SINGLE_TOWER), (3, 63, 67), torchvision="alexnet"),
    Case("alexnet2012", narrow(TWO_TOWERS), (3, 63, 67)),
    Case("zfnet", narrow(ZEILER_FERGUS), (3, 65, 63)),
]


@pytest.mark.parametrize("case", rows(CASES))
def test_step_is_torchs(case: Case) -> None:
    compare_step(case)


def test_keys_are_torchvisions() -> None:
    compare_keys(CASES[0])


@pytest.mark.slow
def test_scores_are_torchvisions() -> None:
    compare_torchvision(CASES[0], {"num_classes": 5}, (2, 3, 64, 90))


@pytest.mark.slow
def test_initial_values_are_torchvisions() -> None:
    compare_initial_values(CASES[0], {"num_classes": 5})


def test_initial_values_of_the_paper() -> None:
    """Section 5: N(0, 0.01^2); biases 1 in layers 2, 4, 5 and the hidden linear ones."""
    net = models.alexnet2012(stages=[Stage(8), Stage(8, bias=1.0)], hidden=64)
    layers = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert [float(m.bias[0]) for m in layers] == [0.0, 1.0, 1.0, 1.0, 0.0]
    assert abs(array(net.classifier[0].weight).std() - 0.01) < 1e-3
    assert [s.bias for s in TWO_TOWERS] == [0.0, 1.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("name", "maps"),
    [
        ("alexnet2012", [55, 55, 27, 27, 27, 13, 13, 13, 13, 6]),
        ("zfnet", [110, 55, 55, 26, 13, 13, 13, 13, 13, 6]),
    ],
)
def test_maps_have_the_papers_sizes(name: str, maps: list[int]) -> None:
    stages = {"alexnet2012": TWO_TOWERS, "zfnet": ZEILER_FERGUS}[name]
    net = models.build(name, **narrow(stages))
    x, found = deeplite.zeros(1, 3, 224, 224), []
    for layer in net.features:
        x = layer(x)
        if not isinstance(layer, nn.ReLU):
            found.append(x.shape[-1])
    assert found == maps


def test_response_normalisation_is_the_papers() -> None:
    """k + alpha * sum of squares over 5 maps, alpha = 1e-4 not divided by 5 (section 3.3)."""
    net = models.alexnet2012(**narrow(TWO_TOWERS))
    norm = next(m for m in net.modules() if isinstance(m, nn.LocalResponseNorm))
    x = deeplite.full((1, 7, 1, 1), 100.0)
    wanted = 100 / (2 + 1e-4 * 5 * 100**2) ** 0.75
    np.testing.assert_allclose(array(norm(x))[0, 3, 0, 0], wanted, rtol=1e-6)


def test_too_small_an_image_names_the_layer() -> None:
    net = models.alexnet(**narrow(SINGLE_TOWER))
    net.eval()(deeplite.zeros(1, 3, 63, 63))
    with pytest.raises(ValueError, match=r"max_pool2d.*\(in features\.12 \(MaxPool2d\)\)"):
        net(deeplite.zeros(1, 3, 62, 62))
