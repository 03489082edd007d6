"""Transforms of pictures, against Pillow and torchvision."""

from __future__ import annotations

import threading
from typing import Any

import deeplite
import numpy as np
import pytest
from deeplite.data import _random
from deeplite.data import transforms as T
from deeplite.data.transforms import functional as F
from deeplite.data.transforms.functional import InterpolationMode as Mode

torch = pytest.importorskip("torch")
PIL = pytest.importorskip("PIL.Image")


def picture(height: int = 24, width: int = 31, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Smooth and rough parts, so that both blending and picking of pixels show."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = (
        100 + 60 * np.sin(x[..., None] / 3 + np.arange(channels)) + 40 * np.cos(y / 4)[..., None]
    )
    noise = random.integers(-40, 40, (height, width, channels))
    return np.clip(waves + noise, 0, 255).astype(np.uint8)


def theirs() -> Any:
    """torchvision.transforms.functional, without torchvision's compiled part."""
    for name in ("nms", "qnms"):
        try:
            torch.library.define(f"torchvision::{name}", "(Tensor a, Tensor b, float c) -> Tensor")
        except RuntimeError:
            pass  # defined already, by another test
    return pytest.importorskip("torchvision.transforms.functional")


def to_torch(array: np.ndarray) -> Any:
    return torch.from_numpy(array.transpose(2, 0, 1).copy())


def mode_of(mode: Mode) -> Any:
    return theirs().InterpolationMode(mode.value)


def close(ours: Any, wanted: Any, most: float = 0, share: float = 0.0) -> None:
    """Equal up to a share of pixels that may differ, and those by at most ``most``."""
    ours = np.asarray(ours.numpy() if isinstance(ours, deeplite.Tensor) else ours, dtype=np.float64)
    wanted = np.asarray(wanted.numpy() if isinstance(wanted, torch.Tensor) else wanted)
    if wanted.ndim == 3 and wanted.shape != ours.shape:
        wanted = wanted.transpose(1, 2, 0)
    assert ours.shape == wanted.shape
    difference = np.abs(ours - wanted.astype(np.float64))
    tiny = 1e-5 if wanted.dtype.kind == "f" else 0
    assert difference.max() <= max(most, tiny), difference.max()
    assert (difference > tiny).mean() <= share, (difference > tiny).mean()


# ---------------------------------------------------------------------- resizing

PILLOW = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}


@pytest.mark.parametrize("mode", PILLOW)
@pytest.mark.parametrize("size", [(11, 13), (50, 7), (24, 40), (48, 31), (1, 1), (97, 83)])
@pytest.mark.parametrize("channels", [1, 3])
def test_resize_of_8_bits_is_pillows_bit_for_bit(mode: str, size: Any, channels: int) -> None:
    array = picture(channels=channels)
    array = array[..., 0] if channels == 1 else array
    wanted = np.asarray(PIL.fromarray(array).resize(size[::-1], PILLOW[mode]))
    np.testing.assert_array_equal(F.resize(array, size, Mode(mode)), wanted)
    np.testing.assert_array_equal(F.resize(PIL.fromarray(array), size, Mode(mode)), wanted)


@pytest.mark.parametrize("mode", [Mode.NEAREST, Mode.NEAREST_EXACT, Mode.BILINEAR, Mode.BICUBIC])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("size", [(11, 13), (50, 60), 12])
def test_resize_of_floats_is_torchs(mode: Mode, antialias: bool, size: Any) -> None:
    x = torch.rand(2, 3, 24, 31)
    wanted = theirs().resize(x.double(), size, mode_of(mode), antialias=antialias)
    ours = F.resize(deeplite.from_numpy(x.numpy()), size, mode, antialias=antialias)
    assert tuple(ours.shape) == tuple(wanted.shape)
    np.testing.assert_allclose(ours.numpy(), wanted.numpy(), atol=2e-6)


@pytest.mark.parametrize(
    ("size", "most"), [(10, None), ([10], None), (10, 12), ((5, 9), None), (40, 45), (24, None)]
)
def test_sizes_are_torchvisions(size: Any, most: int | None) -> None:
    array = picture()
    for image in (array, array.transpose(1, 0, 2)):
        wanted = theirs().resize(PIL.fromarray(np.ascontiguousarray(image)), size, max_size=most)
        np.testing.assert_array_equal(F.resize(image, size, max_size=most), np.asarray(wanted))


# ---------------------------------------------------------------------- crops, flips, borders


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("crop", (2, 3, 5, 7)),
        ("crop", (-2, -3, 10, 40)),
        ("crop", (20, 25, 10, 10)),
        ("center_crop", (9,)),
        ("center_crop", ([10, 13],)),
        ("center_crop", ([30, 20],)),
        ("center_crop", ([31, 40],)),
        ("hflip", ()),
        ("vflip", ()),
        ("five_crop", (7,)),
        ("ten_crop", ([6, 9],)),
        ("ten_crop", (7, True)),
        ("resized_crop", (2, 3, 11, 13, [8, 9])),
        ("pad", (2,)),
        ("pad", ([1, 2], 9)),
        ("pad", ([1, 2, 3, 4], 0, "edge")),
        ("pad", ([1, 2, 3, 4], 0, "reflect")),
        ("pad", ([4, 3, 2, 1], 0, "symmetric")),
        ("rgb_to_grayscale", ()),
        ("invert", ()),
        ("solarize", (120,)),
    ],
)
def test_exact_functions_are_torchvisions(name: str, arguments: Any) -> None:
    array = picture()
    one = 1 if name == "resized_crop" else 0  # torch rounds 8-bit weights to 16 bits, Pillow to 22
    wanted = getattr(theirs(), name)(to_torch(array), *arguments)
    ours = getattr(F, name)(array, *arguments)
    tensors = getattr(F, name)(deeplite.from_numpy(to_torch(array).numpy()), *arguments)
    if not isinstance(wanted, tuple):
        ours, tensors, wanted = (ours,), (tensors,), (wanted,)
    assert len(ours) == len(tensors) == len(wanted)
    for a, t, w in zip(ours, tensors, wanted):
        assert a.dtype == np.uint8 and t.dtype == deeplite.uint8
        close(a, w, one, 0.2 * one)
        close(t.permute(1, 2, 0), w, one, 0.2 * one)


def test_fill_of_a_border_by_channel() -> None:
    array = picture()
    wanted = np.asarray(theirs().pad(PIL.fromarray(array), [1, 2, 3, 4], (9, 8, 7)))
    np.testing.assert_array_equal(F.pad(array, [1, 2, 3, 4], (9, 8, 7)), wanted)
    tensor = deeplite.from_numpy(to_torch(array).numpy())
    np.testing.assert_array_equal(
        F.pad(tensor, [1, 2, 3, 4], (9, 8, 7)).numpy().transpose(1, 2, 0), wanted
    )


def test_input_is_left_alone() -> None:
    array = picture()
    before = array.copy()
    for transform in everything():
        transform(array)
        transform(array[:, ::-1])  # strides of any sign
    np.testing.assert_array_equal(array, before)


# ---------------------------------------------------------------------- geometry

WARPS = {
    "rotate": [
        {"angle": 30}, {"angle": -77.5, "expand": True}, {"angle": 65, "expand": True},
        {"angle": 20, "center": [3, 5]}, {"angle": 180},
    ],
    "affine": [
        {"angle": 0, "translate": [3, -2], "scale": 1, "shear": [0, 0]},
        {"angle": 25, "translate": [0, 0], "scale": 0.7, "shear": [10, 0]},
        {"angle": -40, "translate": [2, 1], "scale": 1.8, "shear": [-15, 20], "center": [10, 4]},
    ],
    "perspective": [
        {
            "startpoints": [[0, 0], [30, 0], [30, 23], [0, 23]],
            "endpoints": [[3, 2], [27, 1], [30, 20], [1, 23]],
        },
    ],
}  # fmt: skip


@pytest.mark.parametrize("mode", [Mode.NEAREST, Mode.BILINEAR])
@pytest.mark.parametrize(
    ("name", "options"), [(n, o) for n, options in WARPS.items() for o in options]
)
def test_warps_are_torchvisions(name: str, options: dict[str, Any], mode: Mode) -> None:
    """torch computes positions in float32: where they fall between pixels (or on half a level),
    a few pixels go the other way."""
    array = picture()
    wanted = getattr(theirs(), name)(to_torch(array), interpolation=mode_of(mode), **options)
    ours = getattr(F, name)(array, interpolation=mode, **options)
    if mode is Mode.NEAREST:
        close(ours, wanted, 255, 0.02)
    else:
        close(ours, wanted, 1, 0.02)
    floats = deeplite.from_numpy((to_torch(array) / 255).numpy())
    wanted = getattr(theirs(), name)(
        to_torch(array) / 255, interpolation=mode_of(mode), **options
    ).numpy()
    difference = np.abs(getattr(F, name)(floats, interpolation=mode, **options).numpy() - wanted)
    assert (difference > 1e-4).mean() <= (0.02 if mode is Mode.NEAREST else 0.001)


def test_quarter_turns_move_pixels() -> None:
    array = picture(24, 30)
    for quarters in (1, 2, 3, -1):
        turned = F.rotate(array, 90 * quarters, expand=True)
        np.testing.assert_array_equal(turned, np.rot90(array, quarters))


def test_fill_from_outside() -> None:
    array = picture()
    turned = F.rotate(array, 45, Mode.BILINEAR, fill=[9, 99, 199], expand=True)
    assert turned[0, 0].tolist() == [9, 99, 199]
    # Between picture and fill: a blend of both.
    moved = F.affine(np.full((4, 4, 1), 200, np.uint8), 0, [0.5, 0], 1, 0, Mode.BILINEAR, fill=100)
    assert moved[:, :, 0].tolist() == [[150, 200, 200, 200]] * 4
    tensor = F.rotate(deeplite.ones(2, 3, 9, 9), 45, fill=[0.25, 0.5, 0.75])
    assert tensor[1, :, 0, 0].tolist() == [0.25, 0.5, 0.75]


def test_elastic_warp_is_torchvisions() -> None:
    array = picture(40, 44)
    field = (torch.rand(1, 40, 44, 2) - 0.5) * 0.2
    wanted = theirs().elastic_transform(to_torch(array), field, mode_of(Mode.BILINEAR))
    ours = F.elastic_transform(array, deeplite.from_numpy(field.numpy()), Mode.BILINEAR)
    close(ours, wanted, 1, 0.02)
    drawn = T.ElasticTransform.get_params([34.0, 34.0], [4.0, 4.0], [40, 44])
    assert tuple(drawn.shape) == (1, 40, 44, 2)
    assert 0 < float(drawn.abs().max()) < 1
    assert float((drawn[:, 1:] - drawn[:, :-1]).abs().max()) < float(drawn.abs().max()) / 2


# ---------------------------------------------------------------------- colours, blur


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 1.7])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_colours_are_torchvisions(name: str, factor: float) -> None:
    for seed, channels in ((0, 3), (1, 1)):
        array = picture(channels=channels, seed=seed)
        function, wanted = getattr(F, f"adjust_{name}"), getattr(theirs(), f"adjust_{name}")
        close(function(array, factor), wanted(to_torch(array), factor))
        x = to_torch(array) / 255
        np.testing.assert_allclose(
            function(deeplite.from_numpy(x.numpy()), factor).numpy(),
            wanted(x, factor).numpy(), atol=1e-6,
        )  # fmt: skip


@pytest.mark.parametrize("turns", [-0.5, -0.2, 0.0, 0.1, 0.37, 0.5])
def test_hue_is_torchvisions(turns: float) -> None:
    """One level: a hue on the border of a sixth may be rounded to either side."""
    array = np.concatenate([picture(), picture() // 200 * 255])
    close(F.adjust_hue(array, turns), theirs().adjust_hue(to_torch(array), turns), 1, 0.01)


@pytest.mark.parametrize(("kernel", "sigma"), [(3, None), ([5, 9], [0.8, 2.5]), (7, 1.3)])
def test_blur_is_torchvisions(kernel: Any, sigma: Any) -> None:
    array = picture()
    wanted = theirs().gaussian_blur(to_torch(array), kernel, sigma)
    close(F.gaussian_blur(array, kernel, sigma), wanted, 1, 0.01)
    x = torch.rand(2, 3, 20, 21)
    np.testing.assert_allclose(
        F.gaussian_blur(deeplite.from_numpy(x.numpy()), kernel, sigma).numpy(),
        theirs().gaussian_blur(x, kernel, sigma).numpy(), atol=1e-6,
    )  # fmt: skip


def test_to_tensor_and_normalize() -> None:
    for channels in (1, 2, 3, 4):
        array = picture(channels=channels)
        wanted = theirs().to_tensor(array)
        np.testing.assert_array_equal(F.to_tensor(array).numpy(), wanted.numpy())
        np.testing.assert_array_equal(F.to_tensor(array[::-1, ::-1]).numpy(), wanted.flip(1, 2))
        mean, std = [0.1, 0.2, 0.3, 0.4][:channels], [0.5, 0.6, 0.7, 0.8][:channels]
        np.testing.assert_array_equal(
            F.normalize(F.to_tensor(array), mean, std).numpy(),
            theirs().normalize(wanted, mean, std).numpy(),
        )
    assert F.to_tensor(array[..., 0]).shape == (1, 24, 31)
    assert F.to_tensor(array.astype(np.int32)).dtype == deeplite.int32
    image = deeplite.rand(3, 4, 5)
    mean_image = deeplite.rand(3, 4, 5)
    assert T.Normalize(mean_image)(image).tolist() == (image - mean_image).tolist()
    round_trip = F.convert_image_dtype(F.to_tensor(array), deeplite.uint8)
    np.testing.assert_array_equal(round_trip.numpy().transpose(1, 2, 0), array)


def test_pca_noise() -> None:
    array = picture(50, 50)
    noise = T.PCANoise.fit([array])
    colours = array.reshape(-1, 3) / 255
    values, vectors = np.linalg.eigh(np.cov(colours.T, bias=True))
    np.testing.assert_allclose(np.array(noise.eigenvalues)[::-1] ** 2, values, rtol=1e-9)
    for mine, own in zip(np.array(noise.eigenvectors).T[::-1], vectors.T):
        assert abs(abs(mine @ own) - 1) < 1e-6
    deeplite.manual_seed(0)
    shifts = np.array([noise.get_params() for _ in range(4000)])
    np.testing.assert_allclose(np.cov(shifts.T), 0.01 * np.cov(colours.T), rtol=0.15, atol=1e-5)
    shifted = F.shift_channels(array, [0.1, -0.1, 0.0])
    wanted = np.clip(np.floor(array + np.array([25.5, -25.5, 0.0]) + 0.5), 0, 255)
    assert np.abs(shifted - wanted).max() <= 1 and (shifted[..., 2] == array[..., 2]).all()


# ---------------------------------------------------------------------- kernels


def everything() -> list[Any]:
    always = [
        T.Resize(13), T.Resize((40, 9), Mode.BICUBIC), T.Pad(2), T.CenterCrop(10), T.Grayscale(3),
        T.GaussianBlur(5), T.RandomCrop(12, padding=3), T.RandomResizedCrop(14),
        T.RandomHorizontalFlip(1.0), T.RandomVerticalFlip(1.0), T.RandomGrayscale(1.0),
        T.RandomRotation(40), T.RandomAffine(20, (0.1, 0.2), (0.7, 1.4), (-5, 5, -9, 9)),
        T.RandomAffine(20, shear=8, interpolation=Mode.BILINEAR), T.RandomInvert(1.0),
        T.RandomPerspective(p=1.0), T.ElasticTransform(), T.ColorJitter(0.4, 0.4, 0.4, 0.2),
        T.PCANoise(), T.RandomSolarize(100, 1.0),
    ]  # fmt: skip
    return [
        *always,
        T.RandomApply([T.Pad(1), T.Resize(8)], 0.5),
        T.RandomChoice([T.Pad(1), T.Pad(2)], [0.2, 0.8]),
        T.RandomOrder([T.Pad(1), T.CenterCrop(9)]),
    ]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_every_instruction_set_gives_the_same_bits(dtype: str) -> None:
    cpu = deeplite.backends.cpu
    array = picture(37, 45) if dtype == "uint8" else picture(37, 45).astype(np.float32) / 255
    results: dict[str, list[bytes]] = {}
    for name in [*cpu.capability(), "reference"]:
        with cpu.using_isa(name):
            deeplite.manual_seed(1)
            made = [np.ascontiguousarray(t(array)) for t in everything()]
            made += [F.adjust_hue(array, f / 7) for f in range(-3, 4)]
            assert all(m.dtype == array.dtype for m in made)
            results[name] = [m.tobytes() for m in [*made, F.to_tensor(array).numpy()]]
    first = results.pop("reference")
    assert results
    for name, other in results.items():
        assert [i for i, (a, b) in enumerate(zip(first, other)) if a != b] == [], name


def lying_differently(array: np.ndarray) -> dict[str, np.ndarray]:
    """The same pixels, elsewhere in memory."""
    wide = np.zeros((array.shape[0] + 3, array.shape[1] + 5, array.shape[2]), array.dtype)
    wide[1:-2, 2:-3] = array
    return {
        "cropped": wide[1:-2, 2:-3],
        "mirrored columns": np.ascontiguousarray(array[:, ::-1])[:, ::-1],
        "mirrored rows": np.ascontiguousarray(array[::-1])[::-1],
        "turned around": np.ascontiguousarray(wide[::-1, ::-1])[::-1, ::-1][1:-2, 2:-3],
        "planes": np.ascontiguousarray(array.transpose(2, 0, 1)).transpose(1, 2, 0),
        "turned planes": np.ascontiguousarray(array[:, ::-1].transpose(2, 0, 1)).transpose(1, 2, 0)[
            :, ::-1
        ],
        "columns": np.ascontiguousarray(array.transpose(1, 0, 2)).transpose(1, 0, 2),
        "other colours first": np.ascontiguousarray(array[..., ::-1])[..., ::-1],
    }


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("size", [(37, 45), (5, 300), (1, 1), (16, 128)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_are_read_where_they_lie(dtype: str, size: Any, channels: int) -> None:
    array = picture(*size, channels)
    array = array if dtype == "uint8" else array.astype(np.float32) / 255
    shifts = [0.1 * c for c in range(channels)]
    functions = [F.to_tensor, F.invert, lambda x: F.shift_channels(x, shifts)]
    if channels != 4:
        functions += [lambda x: F.adjust_contrast(x, 0.4)]
    if channels == 3:
        functions += [lambda x: F.adjust_saturation(x, 1.7), lambda x: F.adjust_hue(x, 0.3)]
        functions += [lambda x: F.rotate(x, 33, fill=[0.2, 0.4, 0.6]), F.rgb_to_grayscale]
    cpu = deeplite.backends.cpu
    with cpu.using_isa("reference"):
        wanted = [np.asarray(f(array)) for f in functions]
    for name in [*cpu.capability(), "reference"]:
        with cpu.using_isa(name):
            for lie, same in {"dense": array, **lying_differently(array)}.items():
                np.testing.assert_array_equal(same, array)
                for i, f in enumerate(functions):
                    np.testing.assert_array_equal(np.asarray(f(same)), wanted[i], f"{name} {lie}")
            planes = deeplite.from_numpy(array.transpose(2, 0, 1).copy())
            for f, one in zip(functions[1:], wanted[1:]):
                both = f(deeplite.stack([planes, planes])).numpy().transpose(0, 2, 3, 1)
                np.testing.assert_array_equal(both[1], one)


@pytest.mark.parametrize("divisor", [255.0, 2.0, 3.0, 7.0, 0.1, 100.0])
def test_bytes_are_divided_as_a_division_does(divisor: float) -> None:
    array = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    wanted = array[..., 0].astype(np.float32) / np.float32(divisor)
    made = deeplite._C._image_to_planes(deeplite.from_numpy(array), divisor)
    np.testing.assert_array_equal(made.numpy()[0], wanted)


def test_a_border_of_several_numbers_around_a_tensor() -> None:
    x = deeplite.ones(2, 3, 2, 2)
    made = F.pad(x, [1, 0, 2, 1], fill=[3.0, 4.0, 5.0])
    assert made.shape == (2, 3, 3, 5)
    assert made[1, :, 0, 0].tolist() == [3.0, 4.0, 5.0] and made[..., :2, 1:3].sum() == 24
    with pytest.raises(ValueError, match="fill has 2 entries"):
        F.pad(x, 1, fill=[1.0, 2.0])


def test_large_pictures_are_the_same_for_any_number_of_threads() -> None:
    array = picture(700, 900)
    before = deeplite.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 4):
            deeplite.set_num_threads(threads)
            made = (
                F.resize(array, (500, 611)), F.rotate(array, 20, Mode.BILINEAR),
                F.gaussian_blur(array, 5), F.adjust_hue(array, 0.2), F.adjust_saturation(array, 2),
                F.to_tensor(array).numpy(), F.adjust_contrast(array, 2), F.rotate(array, 20),
                F.to_tensor(array[:, ::-1]).numpy(),
            )  # fmt: skip
            results.append([m.tobytes() for m in made])
    finally:
        deeplite.set_num_threads(before)
    assert results[0] == results[1] == results[2]
    half = np.asarray(PIL.fromarray(array).resize((611, 500), 2))
    np.testing.assert_array_equal(F.resize(array, (500, 611)), half)


def test_batches_are_worked_on_picture_by_picture() -> None:
    batch = np.stack([picture(seed=s) for s in range(3)])
    x = deeplite.from_numpy(batch.transpose(0, 3, 1, 2).copy())
    functions = [
        lambda t: F.resize(t, 9), lambda t: F.rotate(t, 33), lambda t: F.adjust_contrast(t, 0.4),
        lambda t: F.adjust_hue(t, 0.1), lambda t: F.gaussian_blur(t, 3), F.hflip,
    ]  # fmt: skip
    for function in functions:
        singles = [function(one).tolist() for one in x]
        assert function(x).tolist() == singles


def test_kernels_run_without_the_interpreters_lock() -> None:
    """While a thread resizes one large picture, others go on counting."""
    array = picture(1500, 1500)
    running = threading.Event()
    done = threading.Event()

    def work() -> None:
        running.set()
        F.gaussian_blur(array, 31, 9.0)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    running.wait()
    counted = 0
    while not done.is_set():
        counted += 1
    thread.join()
    assert counted > 1000


# ---------------------------------------------------------------------- chance


def test_seeds_decide() -> None:
    array = picture()
    for transform in everything():
        results = []
        for seed in (3, 3):
            deeplite.manual_seed(seed)
            results.append(np.asarray(transform(array)).tobytes())
        assert results[0] == results[1], transform


class Augmented(deeplite.data.Dataset):
    def __init__(self) -> None:
        self.transform = T.Compose(
            [T.RandomResizedCrop(8), T.RandomHorizontalFlip(), T.ColorJitter(0.3), T.ToTensor()]
        )

    def __len__(self) -> int:
        return 23

    def __getitem__(self, i: int) -> tuple[Any, int]:
        return self.transform(picture(seed=i)), i


def test_the_same_pictures_for_any_number_of_workers() -> None:
    passes = []
    for workers in (0, 1, 3):
        deeplite.manual_seed(5)
        loader = deeplite.data.DataLoader(Augmented(), 4, shuffle=True, num_workers=workers)
        epochs = [[x.tolist() for x, _ in loader] for _ in range(2)]
        assert epochs[0] != epochs[1]
        passes.append(epochs)
    assert passes[0] == passes[1] == passes[2]


def test_draws_have_the_distributions_they_should() -> None:
    deeplite.manual_seed(0)
    windows = [T.RandomResizedCrop.get_params(picture(), (0.2, 0.5), (0.5, 2)) for _ in range(500)]
    areas = np.array([h * w / (24 * 31) for _, _, h, w in windows])
    assert 0.17 < areas.min() and areas.max() < 0.55 and 0.32 < areas.mean() < 0.38
    assert T.RandomResizedCrop.get_params(picture(4, 40), (1, 1), (0.9, 1.1)) == (0, 18, 4, 4)
    corners = {T.RandomCrop.get_params(picture(5, 6), (4, 5))[:2] for _ in range(100)}
    assert corners == {(0, 0), (0, 1), (1, 0), (1, 1)}
    two = np.array([[0, 1]], np.uint8)
    flipped = sum(int(T.RandomHorizontalFlip()(two)[0, 0]) for _ in range(1000))
    assert 430 < flipped < 570
    chosen = [
        T.RandomChoice([lambda i, k=k: k for k in range(3)], [1, 0, 3])(0) for _ in range(800)
    ]
    assert chosen.count(1) == 0 and 150 < chosen.count(0) < 250
    orders = {tuple(i for i, _ in T.ColorJitter(0.1).get_params()) for _ in range(300)}
    assert len(orders) == 24
    betas = np.array([_random.beta(0.2) for _ in range(500)])
    assert (betas < 0.1).mean() > 0.25 and (betas > 0.9).mean() > 0.25


def test_erasing() -> None:
    deeplite.manual_seed(0)
    x = deeplite.ones(3, 20, 20)
    erased = T.RandomErasing(1.0, (0.1, 0.2), value=[7, 8, 9])(x)
    assert float(x.sum()) == 1200
    changed = (erased != 1).numpy()
    assert 0.05 < changed.mean() < 0.3
    rows, columns = np.nonzero(changed[0])
    assert changed[0].sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert sorted(set(erased.numpy()[changed].tolist())) == [7, 8, 9]
    noisy = T.RandomErasing(1.0, value="random")(x)
    assert len(set(noisy.numpy().flatten().tolist())) > 10
    assert T.RandomErasing(0.0)(x) is x


def test_mixup_and_cutmix() -> None:
    deeplite.manual_seed(0)
    images = deeplite.arange(4.0).reshape(4, 1, 1, 1).expand(4, 2, 10, 10).contiguous()
    labels = deeplite.arange(4)
    for mix in (T.MixUp(alpha=0.7, num_classes=4), T.CutMix(num_classes=4)):
        mixed, parts = mix((images, labels))
        np.testing.assert_allclose(parts.sum(1).numpy(), 1, atol=1e-6)
        # The label says how much of each picture is there: the mean of the pixels shows it.
        shown = (parts * deeplite.arange(4.0)).sum(1).numpy()
        np.testing.assert_allclose(mixed.mean((1, 2, 3)).numpy(), shown, atol=1e-5)
        again, soft = mix(images, parts)
        assert soft.shape == parts.shape and again.shape == images.shape
    with pytest.raises(ValueError, match="need num_classes"):
        T.MixUp()(images, labels)


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: F.resize("x", 3), TypeError, "a picture is"),
        (lambda: F.resize(np.zeros(3, np.uint8), 3), ValueError, r"shape \(3,\)"),
        (lambda: F.resize(picture().astype(np.int32), 3), TypeError, "resize: .*int32"),
        (lambda: F.resize(picture(), (3, 4, 5)), (ValueError, TypeError), "size|int"),
        (lambda: F.resize(picture(), (0, 4)), ValueError, "positive"),
        (lambda: F.resize(picture(), 10, max_size=5), ValueError, "max_size"),
        (lambda: F.five_crop(picture(), 99), ValueError, "larger"),
        (lambda: F.pad(picture(), [1, 2, 3]), ValueError, "padding"),
        (lambda: F.pad(picture(), -1), ValueError, "negative"),
        (lambda: F.pad(picture(), 1, 0, "wrap"), ValueError, "wrap"),
        (lambda: F.pad(picture(), 30, 0, "reflect"), ValueError, "larger"),
        (lambda: F.rotate(picture(), 1, Mode.BICUBIC), ValueError, "BILINEAR"),
        (lambda: F.rotate(picture(), 1, fill=[1, 2]), ValueError, "fill has 2"),
        (lambda: F.affine(picture(), 0, [0, 0], 0, 0), ValueError, "scale"),
        (lambda: F.perspective(picture(), [[0, 0]], [[0, 0]]), ValueError, "four points"),
        (lambda: F.elastic_transform(picture(), deeplite.zeros(1, 2, 2, 2)), ValueError, "24, 31"),
        (lambda: F.gaussian_blur(picture(), 4), ValueError, "odd"),
        (lambda: F.gaussian_blur(picture(), 49), ValueError, "too large"),
        (lambda: F.gaussian_blur(picture(), 3, -1), ValueError, "sigma"),
        (lambda: F.adjust_hue(picture(), 0.6), ValueError, "-0.5"),
        (lambda: F.adjust_hue(picture(channels=2), 0.1), ValueError, "channels"),
        (lambda: F.adjust_brightness(picture(), -1), ValueError, "negative"),
        (lambda: F.to_tensor(deeplite.zeros(3, 2, 2)), TypeError, "tensor"),
        (lambda: F.normalize(deeplite.zeros(3, 2, 2), [0], [0]), ValueError, "zero"),
        (lambda: F.normalize(picture(), [0], [1]), TypeError, "ToTensor"),
        (lambda: T.RandomCrop(50)(picture()), ValueError, "does not fit"),
        (lambda: T.ColorJitter(hue=0.7), ValueError, "hue"),
        (lambda: T.ColorJitter(-1), ValueError, "brightness"),
        (lambda: T.RandomAffine(1, scale=(0, 1)), ValueError, "scales"),
        (lambda: T.RandomErasing(value="red"), ValueError, "random"),
        (lambda: T.RandomChoice([T.Pad(1)], [1, 2]), ValueError, "probabilities"),
    ],
)
def test_errors(call: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_transforms_show_their_settings() -> None:
    text = repr(T.Compose([T.Resize(8), T.ToTensor()]))
    assert "Compose(transforms=[Resize(size=8" in text and "ToTensor()" in text
