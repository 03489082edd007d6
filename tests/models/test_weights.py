"""Weights out of files into models: what fits, what is said, and what is left alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import deeplite
import numpy as np
import pytest
from deeplite import models, nn

torch = pytest.importorskip("torch")


def state_of(model: nn.Module) -> dict[str, Any]:
    return {k: v.numpy().copy() for k, v in model.state_dict().items()}


def unchanged(model: nn.Module, before: dict[str, Any]) -> None:
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key], err_msg=key)


def small(num_classes: int = 4) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, num_classes)
    )


def torch_small(num_classes: int = 4) -> Any:
    t = torch.nn
    model = t.Sequential(t.Conv2d(1, 2, 3), t.BatchNorm2d(2), t.Flatten(), t.Linear(8, num_classes))
    model(torch.rand(3, 1, 4, 4))  # statistics that differ from the initial ones
    return model


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors", "mapping"])
def test_files_of_every_form(form: str, tmp_path: Path) -> None:
    theirs = torch_small().state_dict()
    path: Any = tmp_path / "weights.pth"
    if form == "safetensors":
        deeplite.save({k: deeplite.from_numpy(v.numpy()) for k, v in theirs.items()}, path)
    else:
        torch.save(theirs, path, _use_new_zipfile_serialization=form == "zip")
    ours = small()
    answer = models.load_weights(ours, deeplite.load(path) if form == "mapping" else path)
    assert answer == ([], [], [])
    unchanged(ours, {k: v.numpy() for k, v in theirs.items()})


def test_build_from_a_file_of_torchs(tmp_path: Path) -> None:
    source = models.build("resnet18", num_classes=7)
    torch.save({k: torch.from_numpy(v) for k, v in state_of(source).items()}, tmp_path / "w.pth")
    unchanged(models.build("resnet18", num_classes=7, weights=tmp_path / "w.pth"), state_of(source))
    # For other classes: all but the head is taken over.
    other = models.build("resnet18", num_classes=3, weights=tmp_path / "w.pth")
    for key, value in other.state_dict().items():
        if key.startswith("fc."):
            assert value.shape[0] == 3
        else:
            np.testing.assert_array_equal(value.numpy(), source.state_dict()[key].numpy())
    # The number of classes must be asked for: 1000 by default is not what the file has.
    with pytest.raises(RuntimeError, match=r"fc\.weight: \(7, 512\).*\(1000, 512\)"):
        models.build("resnet18", weights=tmp_path / "w.pth")
    with pytest.raises(RuntimeError, match="missing.*features"):
        models.build("mobilenet_v2", weights=tmp_path / "w.pth")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": s, "optimizer": {"state": {}}},
        lambda s: {"model_state_dict": {f"module.{k}": v for k, v in s.items()}},
        lambda s: {f"module.{k}": v for k, v in s.items()},
        lambda s: {f"_orig_mod.{k}": v for k, v in s.items()},
        lambda s: {"a": {"b": 1}, "state_dict": {"model": s}},
    ],
)
def test_state_dicts_inside_of_checkpoints(wrap: Any, tmp_path: Path) -> None:
    source = small()
    deeplite.save(wrap(source.state_dict()), tmp_path / "checkpoint")
    ours = small()
    models.load_weights(ours, tmp_path / "checkpoint")
    unchanged(ours, state_of(source))


def test_what_does_not_fit_is_listed() -> None:
    state = small().state_dict()
    state["extra.weight"] = deeplite.ones(1)
    del state["0.bias"]
    state["3.weight"] = deeplite.ones(4, 9)
    ours = small()
    before = state_of(ours)
    with pytest.raises(RuntimeError) as caught:
        models.load_weights(ours, state)
    text = str(caught.value)
    assert re.search(r"missing.*0\.bias", text) and re.search(r"unexpected.*extra\.weight", text)
    assert "shape of 3.weight: (4, 9) in the file, (4, 8) in the model" in text
    assert "nothing was changed" in text
    unchanged(ours, before)
    answer = models.load_weights(ours, state, strict=False)
    assert answer.missing == ["0.bias"] and answer.unexpected == ["extra.weight"]
    assert answer.mismatched == [("3.weight", (4, 9), (4, 8))]
    np.testing.assert_array_equal(ours[3].weight.detach().numpy(), before["3.weight"])
    np.testing.assert_array_equal(ours[0].weight.detach().numpy(), state["0.weight"].numpy())


def test_a_head_for_other_classes() -> None:
    state = small(9).state_dict()
    ours = small(4)
    before = state_of(ours)
    with pytest.raises(RuntimeError, match="hint: replace_head"):
        models.load_weights(ours, state)
    unchanged(ours, before)
    answer = models.load_weights(ours, state, replace_head=True)
    assert [key for key, _, _ in answer.mismatched] == ["3.weight", "3.bias"]
    np.testing.assert_array_equal(ours[3].weight.detach().numpy(), before["3.weight"])
    np.testing.assert_array_equal(ours[0].weight.detach().numpy(), state["0.weight"].numpy())
    # Another width is no other number of classes.
    state["3.weight"] = deeplite.ones(9, 7)
    with pytest.raises(RuntimeError, match=r"3\.weight: \(9, 7\)"):
        models.load_weights(ours, state, replace_head=True)


def test_old_spellings() -> None:
    """DenseNet's layers were called norm.1 once; batches were not counted before torch 0.4.1."""
    layer = nn.Module()
    layer.norm1, layer.conv1, layer.norm2 = nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
    model = nn.Module()
    model.denselayer12 = layer
    state = {k: v + 1 for k, v in model.state_dict().items() if "num_batches" not in k}
    old = {re.sub(r"(norm|conv)(\d)", r"\1.\2", k): v for k, v in state.items()}
    assert "denselayer12.norm.1.running_mean" in old and len(old) == len(state)
    assert models.load_weights(model, old) == ([], [], [])
    for key, value in state.items():
        assert model.state_dict()[key].tolist() == value.tolist()
    twice = {**old, **state}
    with pytest.raises(RuntimeError, match="two entries"):
        models.load_weights(model, twice)


def test_rename() -> None:
    state = {f"backbone.{k}": v for k, v in small().state_dict().items()} | {"junk": nn.Parameter(
        deeplite.ones(1))}  # fmt: skip
    ours = small()
    models.load_weights(
        ours, state, rename=lambda k: None if k == "junk" else k.removeprefix("backbone.")
    )
    assert ours[0].weight.tolist() == state["backbone.0.weight"].tolist()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "not a valid"),
        (b"cos\nsystem\n(S'true'\ntR.", r"os\.system"),
        (b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.", r"builtins\.eval"),
        (b"PK\x03\x04 and no more", "truncated or no zip"),
        (b"{}", "not a valid"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_broken_and_hostile_files_change_nothing(
    content: bytes, match: str, strict: bool, tmp_path: Path
) -> None:
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    ours = small()
    before = state_of(ours)
    with pytest.raises(RuntimeError, match=match):
        models.load_weights(ours, path, strict=strict)
    unchanged(ours, before)


@pytest.mark.parametrize("obj", [[1, 2], {"epoch": 3}, {}, deeplite.ones(2), {"w": [1.0]}])
def test_files_without_a_state_dict(obj: Any, tmp_path: Path) -> None:
    deeplite.save(obj, tmp_path / "x")
    with pytest.raises(RuntimeError, match="holds no state_dict"):
        models.load_weights(small(), tmp_path / "x")


def test_weights_of_another_model_altogether() -> None:
    ours = small()
    with pytest.raises(RuntimeError, match="unexpected"):
        models.load_weights(ours, {"w": deeplite.ones(1)}, strict=False)
    with pytest.raises(FileNotFoundError):
        models.load_weights(ours, "no/such/file.pth")
