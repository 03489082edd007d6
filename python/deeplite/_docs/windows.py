"""Convolution, pooling and normalisation."""

DOCS = {
    "adaptive_avg_pool1d": """Mean of windows that make an output of this size: window o is
[floor(o in / out), ceil((o + 1) in / out)). input [N, C, L] or [C, L].

>>> dl.adaptive_avg_pool1d(dl.arange(4.0).reshape(1, 1, 4), 2)
tensor([[[0.5000, 2.5000]]])
""",
    "adaptive_max_pool1d": """Maximum of windows that make an output of this size, and where
they are: window o is [floor(o in / out), ceil((o + 1) in / out)). input [N, C, L] or [C,
L].

>>> dl.adaptive_max_pool1d(dl.arange(4.0).reshape(1, 1, 4), 2)[0]
tensor([[[1., 3.]]])
""",
    "avg_pool1d": """Mean of each window of input [N, C, L] or [C, L]. stride None means
kernel_size; count_include_pad: the zeros of the padding count in the divisor.

>>> dl.avg_pool1d(dl.arange(4.0).reshape(1, 1, 4), 2)
tensor([[[0.5000, 2.5000]]])
""",
    "conv1d": """Cross-correlation: y[n, k, o] = bias[k] + sum over c, r of weight[k, c, r] *
input[n, c, o stride - padding + r dilation]. input [N, C, L] or [C, L], weight [K, C /
groups, R], bias [K]; padding may be "valid" or "same" (with stride 1).

Raises ShapeError when channels, ranks or sizes do not fit.

>>> dl.conv1d(dl.ones(1, 1, 4), dl.ones(1, 1, 2))
tensor([[[2., 2., 2.]]])
""",
    "conv2d": """Cross-correlation over two dimensions, see `conv1d`. input [N, C, H, W] or [C,
H, W], weight [K, C / groups, R, S], bias [K].

Raises ShapeError when channels, ranks or sizes do not fit.

>>> dl.conv2d(dl.ones(1, 1, 3, 3), dl.ones(1, 1, 2, 2))
tensor([[[[4., 4.],
          [4., 4.]]]])
""",
    "conv3d": """Cross-correlation over three dimensions, see `conv1d`. input [N, C, D, H, W]
or [C, D, H, W], weight [K, C / groups, Q, R, S], bias [K].

Raises ShapeError when channels, ranks or sizes do not fit.

>>> dl.conv3d(dl.ones(1, 1, 3, 3, 3), dl.ones(2, 1, 2, 2, 2)).shape
deeplite.Size([1, 2, 2, 2, 2])
""",
    "conv_transpose1d": """Transposed convolution, the gradient of a convolution's input:
weight [C, K / groups, R], size (in - 1) stride - 2 padding + dilation (R - 1) +
output_padding + 1.

>>> dl.conv_transpose1d(dl.ones(1, 1, 2), dl.ones(1, 1, 2))
tensor([[[1., 2., 1.]]])
""",
    "conv_transpose2d": """Transposed convolution over two dimensions, see `conv_transpose1d`;
weight [C, K / groups, R, S].

>>> dl.conv_transpose2d(dl.ones(1, 1, 2, 2), dl.ones(1, 3, 2, 2), stride=2).shape
deeplite.Size([1, 3, 4, 4])
""",
    "conv_transpose3d": """Transposed convolution over three dimensions, see
`conv_transpose1d`; weight [C, K / groups, Q, R, S].

>>> dl.conv_transpose3d(dl.ones(1, 1, 2, 2, 2), dl.ones(1, 3, 2, 2, 2)).shape
deeplite.Size([1, 3, 3, 3, 3])
""",
    "group_norm": """(x - mean) / sqrt(var + eps) * weight + bias over groups of channels of
[N, C, ...]: Wu and He, 2018, arXiv 1803.08494. weight and bias: [C].

>>> dl.group_norm(dl.tensor([[1.0, 3.0]]), 1)
tensor([[-1.0000,  1.0000]])
""",
    "layer_norm": """(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions,
whose shape is normalized_shape: Ba, Kiros and Hinton, 2016, arXiv 1607.06450.

>>> dl.layer_norm(dl.tensor([1.0, 3.0]), (2,))
tensor([-1.0000,  1.0000])
""",
    "max_pool1d": """Maximum of each window of input [N, C, L] or [C, L]; padding counts as
minus infinity, a NaN wins. stride None means kernel_size.

>>> dl.max_pool1d(dl.arange(4.0).reshape(1, 1, 4), 2)
tensor([[[1., 3.]]])
""",
    "max_pool1d_with_indices": """max_pool1d, and where in the input each maximum stands.

>>> dl.max_pool1d_with_indices(dl.arange(4.0).reshape(1, 1, 4), 2)[1]
tensor([[[1, 3]]])
""",
    "max_pool2d": """Maximum of each window of input [N, C, H, W] or [C, H, W], see
`max_pool1d`.

>>> dl.max_pool2d(dl.ones(1, 1, 4, 4), 2).shape
deeplite.Size([1, 1, 2, 2])
""",
    "max_pool3d": """Maximum of each window of input [N, C, D, H, W] or [C, D, H, W], see
`max_pool1d`.

>>> dl.max_pool3d(dl.ones(1, 1, 4, 4, 4), 2).shape
deeplite.Size([1, 1, 2, 2, 2])
""",
    "rms_norm": """x / sqrt(mean(x^2) + eps) * weight over the last dimensions, whose shape is
normalized_shape: Zhang and Sennrich, 2019, arXiv 1910.07467. eps None: that of the dtype.

>>> dl.rms_norm(dl.tensor([1.0, 1.0]), (2,))
tensor([1.0000, 1.0000])
""",
}
