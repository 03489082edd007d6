// Dims: a short list of 64-bit sizes, held inline. Shapes, strides, paddings and lists of dimensions.
#pragma once
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <string>

#include "core/error.h"
#include "kernels/types.h"

namespace deeplite {

inline constexpr int kMaxDims = DL_MAX_DIMS;

class Dims {
 public:
    Dims() = default;
    Dims(std::initializer_list<int64_t> v) : Dims(v.begin(), int(v.size())) {}
    Dims(const int64_t* v, int n) {
        check_rank(n);
        n_ = n;
        std::copy_n(v, n, d_);
    }
    Dims(const Dims& o) : n_(o.n_) { std::copy_n(o.d_, n_, d_); }
    Dims& operator=(const Dims& o) {
        n_ = o.n_;
        std::copy_n(o.d_, n_, d_);
        return *this;
    }
    static Dims filled(int n, int64_t value) {
        Dims d;
        d.resize(n, value);
        return d;
    }

    int size() const { return n_; }
    bool empty() const { return n_ == 0; }
    int64_t operator[](int i) const { return d_[i]; }
    int64_t& operator[](int i) { return d_[i]; }
    int64_t front() const { return d_[0]; }
    int64_t back() const { return d_[n_ - 1]; }
    int64_t& back() { return d_[n_ - 1]; }
    const int64_t* data() const { return d_; }
    int64_t* data() { return d_; }
    const int64_t* begin() const { return d_; }
    const int64_t* end() const { return d_ + n_; }
    int64_t* begin() { return d_; }
    int64_t* end() { return d_ + n_; }

    void push_back(int64_t v) {
        check_rank(n_ + 1);
        d_[n_++] = v;
    }
    void pop_back() { --n_; }
    void insert(int at, int64_t v) {
        push_back(v);
        std::rotate(d_ + at, d_ + n_ - 1, d_ + n_);
    }
    void erase(int at) {
        std::copy(d_ + at + 1, d_ + n_, d_ + at);
        --n_;
    }
    void resize(int n, int64_t value = 0) {
        check_rank(n);
        for (int i = n_; i < n; ++i) d_[i] = value;
        n_ = n;
    }
    bool contains(int64_t v) const { return std::find(begin(), end(), v) != end(); }
    bool operator==(const Dims& o) const {
        return n_ == o.n_ && std::equal(begin(), end(), o.begin());
    }

 private:
    static void check_rank(int n) {
        check<ShapeError>(n >= 0 && n <= kMaxDims, "tensors have at most ", kMaxDims,
                          " dimensions, got ", n);
    }
    int32_t n_ = 0;
    int64_t d_[kMaxDims];  // only the first n_ are set
};

std::ostream& operator<<(std::ostream& out, const Dims& d);  // [2, 3]

// Product of the sizes. Throws ShapeError on a negative size and when the product overflows.
int64_t checked_numel(const Dims& shape, const char* op);
// Row-major strides of a shape (sizes of 0 count as 1).
Dims contiguous_strides(const Dims& shape);
// A possibly negative dimension number brought into [0, ndim); IndexError names op and range.
// A 0-d tensor accepts 0 and -1.
int wrap_dim(int64_t dim, int64_t ndim, const char* op = "dim");
// Wraps each, sorts them and refuses repetition. An empty list means all dimensions when `all_if_empty`.
Dims wrap_dims(const Dims& dims, int64_t ndim, const char* op, bool all_if_empty = true);
// The shape to which a and b broadcast; ShapeError names op, both shapes and the dimension at fault.
Dims broadcast_shapes(const Dims& a, const Dims& b, const char* op);

}  // namespace deeplite
