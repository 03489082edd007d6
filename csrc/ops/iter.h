// Operands lined up for a kernel: broadcast to one shape, dimensions merged and ordered for speed. And the
// unrecorded copies that every family needs inside its forward.
#pragma once
#include "core/memory_format.h"

namespace deeplite {

// Lines up `nout` outputs followed by inputs. Every output must already have `shape`; inputs broadcast to it.
dl_iter make_iter(const Dims& shape, std::initializer_list<const Tensor*> operands);

// dst[...] = src broadcast to dst's shape and cast to its dtype, across devices too.
void copy_raw(const Tensor& dst, const Tensor& src);
Tensor contiguous_raw(const Tensor& x);         // x itself when it is contiguous
Tensor cast_raw(const Tensor& x, DType dtype);  // x itself when it has that dtype
Tensor cast_contiguous_raw(const Tensor& x, DType dtype);
Tensor cast_format_raw(const Tensor& x, DType dtype, MemoryFormat format);  // dense in that format
Tensor clone_raw(const Tensor& x);                                          // keeps a dense layout
Tensor to_device_raw(const Tensor& x, Device d);  // x itself when it is there
void fill_raw(const Tensor& x, double value);
Tensor full_raw(const Dims& shape, double value, DType dtype, Device device = {});

// Same device for all defined tensors of an op; RuntimeError names op and devices.
void check_same_device(const char* op, std::initializer_list<const Tensor*> tensors);

// The kernel table of a family on x's device; NotImplementedError when the backend lacks the family or entry.
// Use: run_kernel(op, x, kernel(op, x.device(), backend_of(x.device()).softmax, &dl_softmax_table::forward), args...)
template <class Table, class Fn>
Fn kernel(const char* op, Device d, const Table* table, Fn Table::* entry) {
    Fn fn = table ? table->*entry : nullptr;
    if (!fn) [[unlikely]]
        check_status(DL_UNSUPPORTED, d, op);
    return fn;
}

}  // namespace deeplite
