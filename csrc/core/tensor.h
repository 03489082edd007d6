// Tensor: a reference to a strided view of a Storage. Copying a Tensor copies the reference. What autograd
// knows about a tensor hangs off it as an opaque TensorMeta, so that the core need not know autograd.
#pragma once
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/dims.h"
#include "core/dtype.h"
#include "core/storage.h"

namespace deeplite {

struct TensorMeta {  // autograd/meta.h derives from it
    virtual ~TensorMeta() = default;
};

struct TensorImpl : RefCounted {
    Ref<Storage> storage;
    Dims shape;
    Dims strides;        // in elements; may be 0 (expanded) or negative only inside kernels
    int64_t offset = 0;  // of the first element, in elements
    int64_t numel = 0;
    DType dtype = DType::Float32;
    bool contiguous = true;       // row-major without gaps
    bool wrapped_number = false;  // made from a Python number: weak in type promotion
    bool inference = false;       // made under inference_mode: autograd refuses to save it
    std::unique_ptr<TensorMeta> meta;
    void* pyobj =
        nullptr;  // the Python object that shows this tensor, if one is alive (held by bindings)
};

class Tensor {
 public:
    Tensor() = default;  // undefined: "no tensor" (an absent bias, a gradient nobody needs)
    explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}

    bool defined() const { return bool(impl_); }
    explicit operator bool() const { return defined(); }
    TensorImpl* impl() const { return impl_.get(); }
    bool is_same(const Tensor& o) const { return impl_ == o.impl_; }

    const Dims& shape() const { return impl_->shape; }
    const Dims& strides() const { return impl_->strides; }
    int dim() const { return impl_->shape.size(); }
    int64_t size(int64_t d) const { return impl_->shape[wrap_dim(d, dim(), "size")]; }
    int64_t stride(int64_t d) const { return impl_->strides[wrap_dim(d, dim(), "stride")]; }
    int64_t numel() const { return impl_->numel; }
    int64_t offset() const { return impl_->offset; }
    DType dtype() const { return impl_->dtype; }
    Device device() const { return impl_->storage->device; }
    size_t nbytes() const { return size_t(numel()) * itemsize(dtype()); }
    bool is_contiguous() const { return impl_->contiguous; }
    bool is_floating() const { return deeplite::is_floating(dtype()); }
    uint32_t version() const { return impl_->storage->version.load(std::memory_order_relaxed); }
    void bump_version() const { impl_->storage->version.fetch_add(1, std::memory_order_relaxed); }

    // Address of the first element, for reading and writing. data<T>() trusts the caller about T.
    void* raw() const {
        return static_cast<char*>(impl_->storage->data) +
               impl_->offset * int64_t(itemsize(impl_->dtype));
    }
    template <class T>
    T* data() const {
        return static_cast<T*>(raw());
    }

 private:
    Ref<TensorImpl> impl_;
};
using TensorList = std::vector<Tensor>;

// Uninitialised, row-major. `op` names the caller in the error for a negative or overflowing shape.
Tensor empty(const Dims& shape, DType dtype, Device device = {}, const char* op = "empty");
// Uninitialised with the shape, dtype and device of x (and its strides when x is dense in another order).
Tensor empty_like(const Tensor& x);
Tensor empty_like(const Tensor& x, DType dtype);
// Another view of x's storage: raw, without a trace for autograd (ops/view.h has the recorded ones).
// Refuses views that reach outside the storage.
Tensor raw_view(const Tensor& x, const Dims& shape, const Dims& strides, int64_t offset);
// The same view as x without its autograd history.
Tensor raw_alias(const Tensor& x);
// A tensor over borrowed memory; see Storage. Strides in elements.
Tensor from_blob(void* data, const Dims& shape, const Dims& strides, DType dtype, Device device,
                 std::function<void()> release, bool writable = true);
// A 0-d CPU tensor. The first three are weak in type promotion, as Python numbers are.
Tensor wrapped_number(double v);
Tensor wrapped_number(int64_t v);
Tensor wrapped_number(bool v);
// One element of a CPU tensor of any dtype at an element offset, as a C++ number (and back).
double load_double(const void* p, DType t);
int64_t load_int(const void* p, DType t);
void store_double(void* p, DType t, double v);
void store_int(void* p, DType t, int64_t v);

// True when some element of the view is reached by more than one index (expand): not writable in place.
bool has_overlap(const Tensor& x);
bool is_dense(const Tensor& x);  // contiguous in some order of its dimensions

// "float32[2, 3]" for messages; "None" when undefined. Written out only where a message is: checks on
// every call may name what they would say.
struct Description {
    const Tensor& of;
    operator std::string() const;
};
std::ostream& operator<<(std::ostream& out, const Description& d);
inline Description describe(const Tensor& x) { return {x}; }

}  // namespace deeplite
