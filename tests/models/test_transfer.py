"""Transfer learning, ensembles and test-time augmentation."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import deeplite
import numpy as np
import pytest
from deeplite import models, nn
from deeplite.data import TensorDataset
from deeplite.models import transfer


def net() -> nn.Module:
    """Two blocks and a head, with BatchNorm."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()),
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(3, 4),
    )


def state(model: nn.Module) -> dict[str, list[Any]]:
    return {k: v.flatten().tolist() for k, v in model.state_dict().items()}


def train_step(model: nn.Module, weight_decay: float = 0.1) -> None:
    sgd = deeplite.optim.SGD(model.parameters(), lr=0.1, weight_decay=weight_decay)
    model.train()
    model(deeplite.rand(4, 1, 8, 8)).square().sum().backward()
    sgd.step()


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {k for k in before if before[k] != after[k]}


def test_frozen_parts_do_not_move() -> None:
    model = net()
    assert transfer.freeze(model, "0", "1.0") == 20 + 4 + 57
    before = state(model)
    train_step(model)
    moved = changed(before, state(model))
    assert {k.split(".")[0] for k in moved} == {"1", "4"}
    assert not any(k.startswith(("0.", "1.0.")) for k in moved)
    assert "1.1.running_mean" in moved  # of a BatchNorm that learns
    clone = copy.deepcopy(model)
    transfer.unfreeze(clone, "0")
    before = state(clone)
    train_step(clone)
    assert {"0.0.weight", "0.1.running_mean"} <= changed(before, state(clone))
    assert "1.0.weight" not in changed(before, state(clone))
    transfer.unfreeze(model)
    assert all(p.requires_grad for p in model.parameters())
    before = state(model)
    train_step(model)
    assert changed(before, state(model)) == set(before)
    model.eval()
    transfer.freeze(model, depth=2)
    transfer.unfreeze(model, depth=2)
    assert not model[0][1].training


def test_depth_and_layers() -> None:
    model = models.build("resnet18", num_classes=3)
    names = [name for name, _ in transfer.layers(model)]
    assert names[:4] == ["conv1", "bn1", "layer1.0", "layer1.1"] and names[-1] == "fc"
    transfer.freeze(model, depth=-1)
    assert [n for n, p in model.named_parameters() if p.requires_grad] == ["fc.weight", "fc.bias"]
    with pytest.raises(ValueError, match="11 layers"):
        transfer.freeze(model, depth=12)
    with pytest.raises(ValueError, match="nothing called 'layer9'"):
        transfer.freeze(model, "layer9")
    with pytest.raises(ValueError, match="prefixes of names, or a depth"):
        transfer.freeze(model)


@pytest.mark.parametrize(
    ("name", "size"),
    [("resnet18", 33), ("vgg11", 33), ("squeezenet1_1", 33), ("mobilenet_v2", 33)],
)
def test_heads(name: str, size: int) -> None:
    model = models.build(name, num_classes=5)
    head = transfer.replace_head(model, 3)
    assert transfer.find_head(model)[1] is head
    assert model.eval()(deeplite.rand(2, 3, size, size)).shape == (2, 3)
    with pytest.raises(ValueError, match="positive"):
        transfer.replace_head(model, 0)
    with pytest.raises(ValueError, match="no linear layer"):
        transfer.find_head(nn.ReLU())


def test_auxiliary_heads_are_replaced_too() -> None:
    model = models.build("googlenet", num_classes=5)
    transfer.replace_head(model, 3)
    linear = {n: m.out_features for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    assert {n: f for n, f in linear.items() if f in (3, 5)} == {
        n: 3 for n in linear if n == "fc" or n.endswith("fc2")
    }


def test_parameter_groups() -> None:
    model = net()
    groups = transfer.parameter_groups(model, 1.0, decay=0.5)
    assert [(g["name"], g["lr"]) for g in groups] == [
        ("0.0", 1 / 16), ("0.1", 1 / 8), ("1.0", 1 / 4), ("1.1", 1 / 2), ("4", 1.0)
    ]  # fmt: skip
    given = [p for g in groups for p in g["params"]]
    assert len(given) == len(list(model.parameters())) == len({id(p) for p in given})
    split = transfer.parameter_groups(model, 1.0, weight_decay=0.1)
    for group in split:
        assert all((p.dim() > 1) == (group["weight_decay"] > 0) for p in group["params"])
    deeplite.optim.SGD(split, lr=1.0).step()
    with pytest.raises(ValueError, match="decay"):
        transfer.parameter_groups(model, 1.0, decay=0)

    class Token(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(deeplite.ones(1))
            self.first, self.second = nn.Linear(1, 1), nn.Linear(1, 1)

    groups = transfer.parameter_groups(Token(), 1.0)
    assert [(g["name"], g["lr"]) for g in groups] == [("first", 0.5), ("second", 1), ("", 0.5)]


def test_gradual_unfreezing() -> None:
    model = net()
    schedule = transfer.GradualUnfreezing(model, every=2)
    learning = []
    for _ in range(10):
        learning.append(sum(p.requires_grad for p in model.parameters()))
        schedule.step()
    assert learning == [2, 2, 4, 4, 6, 6, 8, 8, 10, 10]
    other = transfer.GradualUnfreezing(model)
    assert sum(p.requires_grad for p in model.parameters()) == 2
    other.load_state_dict({"epoch": 2})
    assert other.learning == ["1.0", "1.1", "4"]
    before = state(model)
    train_step(model)
    assert {k.rpartition(".")[0] for k in changed(before, state(model))} == {"1.0", "1.1", "4"}


# ---------------------------------------------------------------------- features


def test_features_are_what_the_head_sees() -> None:
    model = net().train()
    x = deeplite.rand(3, 1, 9, 9)
    before = state(model)
    seen = transfer.features(model, x)
    assert state(model) == before and all(m.training for m in model.modules())
    assert not seen.requires_grad and seen.shape == (3, 3)
    model.eval()
    with deeplite.no_grad():  # as features() runs: layers are joined, which rounds differently
        assert model[4](seen).tolist() == model(x).tolist()
    with pytest.raises(ValueError, match="not its last step"):
        transfer.features(nn.Sequential(nn.Linear(2, 2), nn.Softmax(1)), deeplite.ones(1, 2))


class Counted(nn.Module):
    """Counts how often the frozen part runs."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.calls = nn.Linear(4, 3), nn.Linear(3, 2), 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return self.head(self.body(x))


def test_cached_features_are_computed_once(tmp_path: Path) -> None:
    path = tmp_path / "features.safetensors"
    x = deeplite.rand(10, 4)
    data = TensorDataset(x, deeplite.arange(10))
    model = Counted()
    first = transfer.cached_features(model, data, path, batch_size=4)
    assert model.calls == 3
    wanted = deeplite.cat([transfer.features(model, part) for part in x.split(4)])
    np.testing.assert_array_equal(first.tensors[0].numpy(), wanted.numpy())
    assert first.tensors[1].tolist() == list(range(10))
    model.calls = 0
    nn.init.ones_(model.head.weight)  # the head is not part of it
    again = transfer.cached_features(model, data, path, batch_size=5)
    assert model.calls == 0 and again.tensors[0].tolist() == first.tensors[0].tolist()
    # Other pictures, other weights, a damaged file: computed anew.
    x[3, 2] += 1
    transfer.cached_features(model, data, path)
    assert model.calls == 1
    nn.init.ones_(model.body.bias)
    changed = transfer.cached_features(model, data, path)
    assert model.calls == 2 and changed.tensors[0].tolist() != first.tensors[0].tolist()
    path.write_bytes(path.read_bytes()[:-5])
    transfer.cached_features(model, data, path)
    assert model.calls == 3
    deeplite.save([1, 2], path)
    transfer.cached_features(model, data, path, fingerprint="one")
    transfer.cached_features(model, data, path, fingerprint="one")
    assert model.calls == 4
    transfer.cached_features(model, data, path, fingerprint="two")
    assert model.calls == 5
    with pytest.raises(ValueError, match="empty"):
        transfer.cached_features(model, TensorDataset(x[:0], x[:0]), tmp_path / "none")


# ---------------------------------------------------------------------- several answers


def test_ensembles_average_probabilities() -> None:
    members = [nn.Linear(3, 4) for _ in range(3)]
    x = deeplite.rand(5, 3)
    mean = sum(m(x).softmax(1).detach().numpy() for m in members) / 3
    scores = models.Ensemble(members)(x)
    np.testing.assert_allclose(scores.detach().exp().numpy(), mean, rtol=1e-5)
    scores.sum().backward()
    assert all(m.weight.grad is not None for m in members)
    with pytest.raises(ValueError, match="no members"):
        models.Ensemble([])


def test_snapshots_are_copies() -> None:
    snapshots = models.Snapshots(keep=2)
    model = nn.Linear(1, 1, bias=False)
    for value in (1.0, 2.0, 3.0):
        nn.init.constant_(model.weight, value)
        snapshots.add(model)
    found = [m.weight.item() for m in snapshots.ensemble().members]
    assert found == [2.0, 3.0] and not snapshots.ensemble().training
    factor = models.snapshot_lr(10, 3)
    assert [factor(i) == 1.0 for i in range(10)] == [i % 4 == 0 for i in range(10)]
    with pytest.raises(ValueError, match="cycles"):
        models.snapshot_lr(3, 4)
    with pytest.raises(ValueError, match="keep"):
        models.Snapshots(0)


def test_test_time_augmentation() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(2 * 4 * 4, 3))
    x = deeplite.rand(2, 2, 6, 7)
    corners = ((0, 0), (0, 3), (2, 0), (2, 3), (1, 2))
    views = [p[..., i : i + 4, j : j + 4] for p in (x, x.flip(-1)) for i, j in corners]
    for flip, own in ((True, views), (False, views[:5])):
        wanted = sum(model(v).softmax(1).detach().numpy() for v in own) / len(own)
        found = models.TestTimeAugmentation(model, models.crop_views(4, flip))(x)
        np.testing.assert_allclose(found.detach().exp().numpy(), wanted, rtol=1e-5)
    y = x[..., :4, :4]
    flips = models.TestTimeAugmentation(model)
    both = (model(y).softmax(1) + model(y.flip(-1)).softmax(1)) / 2
    np.testing.assert_allclose(flips(y).detach().exp().numpy(), both.detach().numpy(), rtol=1e-5)
