"""Preparing pictures, as a loader's worker does: one thread, one picture at a time.

A picture is a tensor [3, H, W], or an array [H, W, 3] as a decoder gives it, of 8 bits. For arrays
torchvision has a Pillow image or a tensor, and we are compared with the faster of the two.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.library import Library
from benchmarks.runner import time_all
from benchmarks.work import Call, Make, Options, Work

SIZE, CROP = 256, 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# The functions of `transforms.functional`, the picture, and how it becomes floats [3, H, W].
Step = Callable[[Any, Any, Callable[[Any], Any]], Any]
STEPS: dict[str, Step] = {
    "to floats": lambda f, x, floats: floats(x),
    "flip": lambda f, x, floats: f.hflip(x),
    "crop, flip, to floats": lambda f, x, floats: floats(f.hflip(f.crop(x, 9, 17, CROP, CROP))),
    "crop, flip, to floats, normalize": lambda f, x, floats: f.normalize(
        floats(f.hflip(f.crop(x, 9, 17, CROP, CROP))), MEAN, STD
    ),
    "normalize": lambda f, x, floats: f.normalize(x, MEAN, STD),
    "resize to 224": lambda f, x, floats: f.resize(x, [CROP, CROP], antialias=True),
    "crop and resize, flip, to floats, normalize": lambda f, x, floats: f.normalize(
        floats(f.hflip(f.resized_crop(x, 9, 17, 200, 180, [CROP, CROP], antialias=True))),
        MEAN,
        STD,
    ),
    "brightness": lambda f, x, floats: f.adjust_brightness(x, 1.2),
    "contrast": lambda f, x, floats: f.adjust_contrast(x, 1.2),
    "saturation": lambda f, x, floats: f.adjust_saturation(x, 1.2),
    "hue": lambda f, x, floats: f.adjust_hue(x, 0.1),
    "gray": lambda f, x, floats: f.rgb_to_grayscale(x, 3),
    "invert": lambda f, x, floats: f.invert(x),
    "solarize": lambda f, x, floats: f.solarize(x, 128),
    "rotate by 30 degrees": lambda f, x, floats: f.rotate(x, 30.0),
    "blur 5 x 5": lambda f, x, floats: f.gaussian_blur(x, [5, 5], [1.0, 1.0]),
    "pad by 4": lambda f, x, floats: f.pad(x, [4, 4, 4, 4]),
}


def picture() -> np.ndarray:
    """Smooth and rough parts: [H, W, 3]."""
    y, x = np.mgrid[:SIZE, :SIZE]
    waves = 128 + 60 * np.sin(x[..., None] / 30 + np.arange(3)) + 40 * np.cos(y / 40)[..., None]
    noise = np.random.default_rng(5).integers(-20, 20, (SIZE, SIZE, 3))
    return np.clip(waves + noise, 0, 255).astype(np.uint8)


def functions(library: Library) -> Any:
    if library.name == "deeplite":
        return importlib.import_module("deeplite.data.transforms.functional")
    # The Python files of torchvision do; their compiled part defines these where it is there.
    for name in ("nms", "qnms"):
        try:
            library.module.library.define(
                f"torchvision::{name}", "(Tensor a, Tensor b, float c) -> Tensor"
            )
        except RuntimeError:
            pass  # defined already
    return importlib.import_module("torchvision.transforms.functional")


def on_tensor(step: Step, floating: bool, library: Library) -> Call:
    f = functions(library)
    x = library.tensor(np.ascontiguousarray(picture().transpose(2, 0, 1)))
    x = f.convert_image_dtype(x) if floating else x
    return lambda: step(f, x, f.convert_image_dtype)


def on_pixels(step: Step, library: Library) -> Call:
    """An array [H, W, C] of ours, a Pillow image of theirs: what a decoder gives."""
    f = functions(library)
    x: Any = picture()
    if library.name != "deeplite":
        x = importlib.import_module("PIL.Image").fromarray(x)
    return lambda: step(f, x, f.to_tensor)


def work(name: str, group: str, make: Make, peers: dict[str, Make]) -> Work:
    # Not judged here: 8-bit results differ by a rounding, and tests/data compares them.
    return Work(f"{name}, {group}", group, make, peers, terms=0)


def works(options: Options) -> list[Work]:
    found = []
    for name, step in STEPS.items():
        floating = name == "normalize"  # which is for tensors only
        tensors = partial(on_tensor, step, floating)
        found.append(work(name, "tensor", tensors, {}))
        if not floating:
            found.append(work(name, "array", partial(on_pixels, step), {"tensor": tensors}))
    return found


def rows(options: Options) -> Iterator[dict[str, Any]]:
    return time_all(works(options), dataclasses.replace(options, threads=(1,)))
