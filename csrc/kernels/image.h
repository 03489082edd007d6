// Contract of the image family: pictures on their way from a file to a network. x [n, h, w, c] and
// y [n, oh, ow, c], u8 (0..255) or f32; arithmetic in f32 unless said otherwise, without fused
// multiply-adds, so that every instruction set gives the same bits.
//
// What looks at several pixels at once (resample, warp, blur) takes dense rows of pixels. What is
// done to one pixel takes any strides, negative ones too: planes [n, c, h, w], crops and mirror
// images are read where they lie.
//
// A picture of ordinary size is prepared on the calling thread alone: loader threads, not kernels,
// share the processors. Only larger work is cut, by its size.
#pragma once
#include "kernels/types.h"

typedef struct dl_image_strides {  // in elements
    int64_t n, h, w, c;
} dl_image_strides;

typedef struct dl_image_args {
    int32_t dtype;  // of x and y: DL_U8 or DL_F32
    int64_t n, h, w, c, oh, ow;
    const void* x;
    void* y;
    dl_image_strides xs, ys;  // for linear and what follows it in the table
} dl_image_args;

// One axis of a separable resampling: out[i] = sum of weight[i * taps + k] * in[start[i] + k], with
// start[i] + taps inside of the axis. taps 0: the axis stays as it is.
typedef struct dl_resample_axis {
    int64_t taps;
    const int32_t* start;
    const double* weight;
} dl_resample_axis;

// Rows first (ow), then columns (oh), through temp [n, h, ow, c] of the dtype. u8: weights rounded
// to multiples of 2^-22, exact sums, both passes rounded half up and clamped.
typedef struct dl_resample_args {
    dl_image_args image;
    dl_resample_axis rows, columns;
    void* temp;  // may be null when one of the axes stays
} dl_resample_args;

// y at (row i, column j) is x at (sx, sy), pixel centres at whole numbers, where
//   map:    (sx, sy) = map[i][j]
//   else:   (sx, sy, s) = matrix (3 x 3) * (j, i, 1), then divided by s
// nearest (half to even) or bilinear; outside of the picture is `fill`. u8: rounded half to even.
typedef struct dl_warp_args {
    dl_image_args image;
    const float* map;  // [oh, ow, 2] or null
    double matrix[9];
    int32_t bilinear;
    const float* fill;  // [c]
} dl_warp_args;

// Separable blur with mirrored edges (the border pixel itself is not repeated): kernel rows [kw],
// columns [kh], odd lengths, at most 2 * size - 1. u8: rounded half to even, once.
typedef struct dl_blur_args {
    dl_image_args image;
    int64_t kh, kw;
    const float *columns, *rows;
} dl_blur_args;

enum { DL_GRAY_SUMS = 16 };

typedef struct dl_image_table {
    dl_status (*resample)(const dl_resample_args*);
    dl_status (*warp)(const dl_warp_args*);
    dl_status (*blur)(const dl_blur_args*);
    // y = clamp(scale[c] * x + shift[c]) to [0, top], u8 truncated; top 255 for u8, 1 for f32.
    dl_status (*linear)(const dl_image_args*, const float* scale, const float* shift);
    // c = 3. y = clamp(factor * x + rest * gray(x)), gray = .2989 r + .587 g + .114 b
    // (truncated for u8).
    dl_status (*gray_blend)(const dl_image_args*, float factor, float rest);
    // c = 3. Hue turned by `turns` (1 is the whole circle) in HSV space.
    dl_status (*hue)(const dl_image_args*, float turns);
    // mean[n] of gray(x) in f64; c = 3 or 1 (gray already). DL_GRAY_SUMS running sums, column j
    // goes to the (j % DL_GRAY_SUMS)-th, in the order of rows; then they are added up in order.
    dl_status (*gray_mean)(const dl_image_args*, double* mean);
    // y f32 = (x / divisor - mean[c]) / std[c]; mean and std may be null.
    dl_status (*to_planes)(const dl_image_args*, float divisor, const float* mean,
                           const float* std);
} dl_image_table;
