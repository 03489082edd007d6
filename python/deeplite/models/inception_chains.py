"""The blocks of the Inception networks, as chains (see ``inception_blocks``): BN-Inception (arXiv
1502.03167), v3 (arXiv 1512.00567), v4 and Inception-ResNet-v2 (arXiv 1602.07261). Figures, tables
and sections are those of the paper at hand.
"""

from __future__ import annotations

from typing import Any

from deeplite.models.inception_blocks import Blocks, Chain

LOW, HIGH = (1, 7), (7, 1)

# ---------------------------------------------------------------------- BN-Inception

# Figure 5 of "Batch normalization": 1x1; 3x3 reduce, 3x3; double 3x3 reduce, double 3x3; pooling
# and its projection. Blocks without 1x1 have stride 2.
BNRow = tuple[int, int, int, int, int, str, int]
BN_TABLE: tuple[BNRow, ...] = (
    (64, 64, 64, 64, 96, "mean", 32),
    (64, 64, 96, 64, 96, "mean", 64),
    (0, 128, 160, 64, 96, "max2s", 0),
    (224, 64, 96, 96, 128, "mean", 128),
    (192, 96, 128, 96, 128, "mean", 128),
    (160, 128, 160, 128, 160, "mean", 96),
    (96, 128, 192, 160, 192, "mean", 96),
    (0, 128, 192, 192, 256, "max2s", 0),
    (352, 192, 320, 160, 224, "mean", 128),
    (352, 192, 320, 192, 224, "max", 128),
)


def bn_block(row: BNRow) -> list[Chain]:
    """The chains of a row of `BN_TABLE`."""
    one, reduce, three, reduce2, double, pooling, projection = row
    how = "" if one else "s2"
    chains: list[Chain] = [
        ("branch3x3", "", [(reduce, 1), (three, 3, how)]),
        ("branch3x3dbl", "", [(reduce2, 1), (double, 3), (double, 3, how)]),
        ("branch_pool", pooling, [(projection, 1)] if projection else []),
    ]
    return [("branch1x1", "", [(one, 1)]), *chains] if one else chains


# ---------------------------------------------------------------------- v3


def block_a(pool_features: int) -> list[Chain]:
    """Figure 5: two 3x3 in place of a 5x5; the single 5x5 stayed in Google's code."""
    return [
        ("branch1x1", "", [(64, 1)]),
        ("branch5x5", "", [(48, 1), (64, 5)]),
        ("branch3x3dbl", "", [(64, 1), (96, 3), (96, 3)]),
        ("branch_pool", "mean", [(pool_features, 1)]),
    ]


def block_c(c7: int) -> list[Chain]:
    """Figure 6: 7x7 as 1x7 and 7x1."""
    return [
        ("branch1x1", "", [(192, 1)]),
        ("branch7x7", "", [(c7, 1), (c7, LOW), (192, HIGH)]),
        ("branch7x7dbl", "", [(c7, 1), (c7, HIGH), (c7, LOW), (c7, HIGH), (192, LOW)]),
        ("branch_pool", "mean", [(192, 1)]),
    ]


# Section 5: means beside convolutions of stride 2, so that nothing is squeezed away on the way.
BLOCK_B: list[Chain] = [
    ("branch3x3", "", [(384, 3, "v2")]),
    ("branch3x3dbl", "", [(64, 1), (96, 3), (96, 3, "v2")]),
    ("branch_max", "max2", []),
]
BLOCK_D: list[Chain] = [
    ("branch3x3", "", [(192, 1), (320, 3, "v2")]),
    ("branch7x7x3", "", [(192, 1), (192, LOW), (192, HIGH), (192, 3, "v2")]),
    ("branch_max", "max2", []),
]
# Figure 7: wide at the coarsest maps.
BLOCK_E: list[Chain] = [
    ("branch1x1", "", [(320, 1)]),
    ("branch3x3", "", [(384, 1), [(384, (1, 3)), (384, (3, 1))]]),
    ("branch3x3dbl", "", [(448, 1), (384, 3), [(384, (1, 3)), (384, (3, 1))]]),
    ("branch_pool", "mean", [(192, 1)]),
]
V3_STEM: tuple[tuple[str, Any], ...] = (
    ("Conv2d_1a_3x3", (32, 3, "v2")),
    ("Conv2d_2a_3x3", (32, 3, "v")),
    ("Conv2d_2b_3x3", (64, 3)),
    ("maxpool1", None),
    ("Conv2d_3b_1x1", (80, 1)),
    ("Conv2d_4a_3x3", (192, 3, "v")),
    ("maxpool2", None),
)
V3_BODY: tuple[tuple[str, list[Chain]], ...] = (
    ("Mixed_5b", block_a(32)),
    ("Mixed_5c", block_a(64)),
    ("Mixed_5d", block_a(64)),
    ("Mixed_6a", BLOCK_B),
    ("Mixed_6b", block_c(128)),
    ("Mixed_6c", block_c(160)),
    ("Mixed_6d", block_c(160)),
    ("Mixed_6e", block_c(192)),
    ("Mixed_7a", BLOCK_D),
    ("Mixed_7b", BLOCK_E),
    ("Mixed_7c", BLOCK_E),
)


# ---------------------------------------------------------------------- v4

# Figure 3, from images of 299x299 to 384 maps of 35x35.
STEM: Blocks = (
    [("conv", "", [(32, 3, "v2"), (32, 3, "v"), (64, 3)])],
    [("max", "max2", []), ("conv", "", [(96, 3, "v2")])],
    [
        ("short", "", [(64, 1), (96, 3, "v")]),
        ("long", "", [(64, 1), (64, HIGH), (64, LOW), (96, 3, "v")]),
    ],
    [("conv", "", [(192, 3, "v2")]), ("max", "max2", [])],
)
# Figures 4 to 6: at 35x35, 17x17 and 8x8.
INCEPTION_A: list[Chain] = [
    ("mean", "mean", [(96, 1)]),
    ("one", "", [(96, 1)]),
    ("three", "", [(64, 1), (96, 3)]),
    ("double", "", [(64, 1), (96, 3), (96, 3)]),
]
INCEPTION_B: list[Chain] = [
    ("mean", "mean", [(128, 1)]),
    ("one", "", [(384, 1)]),
    ("seven", "", [(192, 1), (224, LOW), (256, HIGH)]),
    ("double", "", [(192, 1), (192, LOW), (224, HIGH), (224, LOW), (256, HIGH)]),
]
INCEPTION_C: list[Chain] = [
    ("mean", "mean", [(256, 1)]),
    ("one", "", [(256, 1)]),
    ("three", "", [(384, 1), [(256, (1, 3)), (256, (3, 1))]]),
    ("double", "", [(384, 1), (448, (1, 3)), (512, (3, 1)), [(256, (3, 1)), (256, (1, 3))]]),
]


def reduction_a(k: int, l: int, m: int, n: int) -> list[Chain]:
    """Figure 7 with the filter counts of table 1."""
    return [
        ("max", "max2", []),
        ("three", "", [(n, 3, "v2")]),
        ("double", "", [(k, 1), (l, 3), (m, 3, "v2")]),
    ]


# Figure 8.
REDUCTION_B: list[Chain] = [
    ("max", "max2", []),
    ("three", "", [(192, 1), (192, 3, "v2")]),
    ("seven", "", [(256, 1), (256, LOW), (320, HIGH), (320, 3, "v2")]),
]
V4: Blocks = (
    *STEM,
    *[INCEPTION_A] * 4,
    reduction_a(192, 224, 256, 384),
    *[INCEPTION_B] * 7,
    REDUCTION_B,
    *[INCEPTION_C] * 3,
)


# ---------------------------------------------------------------------- Inception-ResNet-v2

# Figures 16, 17 and 19: the branches; a 1x1 convolution without activation follows.
RESNET_A: list[Chain] = [
    ("one", "", [(32, 1)]),
    ("three", "", [(32, 1), (32, 3)]),
    ("double", "", [(32, 1), (48, 3), (64, 3)]),
]
RESNET_B: list[Chain] = [
    ("one", "", [(192, 1)]),
    ("seven", "", [(128, 1), (160, LOW), (192, HIGH)]),
]
RESNET_C: list[Chain] = [
    ("one", "", [(192, 1)]),
    ("three", "", [(192, 1), (224, (1, 3)), (256, (3, 1))]),
]
# Figure 18.
RESNET_REDUCTION_B: list[Chain] = [
    ("max", "max2", []),
    ("first", "", [(256, 1), (384, 3, "v2")]),
    ("second", "", [(256, 1), (288, 3, "v2")]),
    ("double", "", [(256, 1), (288, 3), (320, 3, "v2")]),
]
# The published code: the stem of v3 and one more inception block, 320 maps of 35x35.
STEM_V3: Blocks = (
    [("conv", "", [(32, 3, "v2"), (32, 3, "v"), (64, 3)])],
    [("max", "max2", [(80, 1), (192, 3, "v")])],
    [("max", "max2", [])],
    [
        ("one", "", [(96, 1)]),
        ("five", "", [(48, 1), (64, 5)]),
        ("double", "", [(64, 1), (96, 3), (96, 3)]),
        ("mean", "mean", [(64, 1)]),
    ],
)
