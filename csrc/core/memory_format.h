// The order of a tensor's elements in memory, by torch's names. A format is no attribute of a tensor: it
// is read off the strides, so that views and permutations have one too.
#pragma once
#include "core/tensor.h"

namespace deeplite {

enum class MemoryFormat { Contiguous, ChannelsLast, ChannelsLast3d, Preserve };

const char* name(MemoryFormat f);  // "channels_last"

// Strides of a dense tensor in format f (not Preserve). ShapeError when f asks for another rank:
// channels_last has 4 dimensions, channels_last_3d 5.
Dims format_strides(const Dims& shape, MemoryFormat f, const char* op);
bool is_contiguous(const Tensor& x, MemoryFormat f);
// What the strides look like, gaps allowed. Where sizes of 1 leave it open, Contiguous.
MemoryFormat suggested_format(const Tensor& x);
// Whether kernels should treat x as channels last: 4 or 5 dimensions, dense, pixel by pixel, and not
// row-major at the same time.
bool is_channels_last(const Tensor& x);
// The channels_last format of tensors of this rank.
inline MemoryFormat channels_last_of(int rank) {
    return rank == 5 ? MemoryFormat::ChannelsLast3d : MemoryFormat::ChannelsLast;
}

// Uninitialised, with strides that are dense in some order.
Tensor empty_strided(const Dims& shape, const Dims& strides, DType dtype, Device device,
                     const char* op);
Tensor empty_in(MemoryFormat f, const Dims& shape, DType dtype, Device device, const char* op);
// Strides for a tensor like x in format f: Preserve keeps x's own when x is dense, and its suggested
// format when it is not.
Dims like_strides(const Tensor& x, MemoryFormat f, const char* op);

}  // namespace deeplite
