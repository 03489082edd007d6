#include "ops/copy.h"

#include "ops/apply.h"
#include "ops/iter.h"
#include "ops/reduce.h"

namespace deeplite {
namespace {

Tensor copy_in(const char* op, const Tensor& x, MemoryFormat format) {
    const Dims strides = like_strides(x, format, op);
    const Tensor y = empty_strided(x.shape(), strides, x.dtype(), x.device(), op);
    copy_raw(y, x);
    return y;
}

struct Contiguous {
    static constexpr OpInfo info{.name = "contiguous"};
    MemoryFormat format;
    void attributes(auto& v) const {
        if (format != MemoryFormat::Contiguous) v("memory_format", std::string(name(format)));
    }
    Tensor forward(const Tensor& x) const {  // a replay may find x in order already
        return is_contiguous(x, format) ? raw_alias(x) : copy_in(info.name, x, format);
    }
    Grads backward(const Ctx&, const Tensor& dy) const { return {dy}; }
};

struct Clone {
    static constexpr OpInfo info{.name = "clone"};
    MemoryFormat format;
    void attributes(auto& v) const {
        if (format != MemoryFormat::Preserve) v("memory_format", std::string(name(format)));
    }
    Tensor forward(const Tensor& x) const { return copy_in(info.name, x, format); }
    Grads backward(const Ctx&, const Tensor& dy) const { return {dy}; }
};

struct Cast {
    static constexpr OpInfo info{.name = "to"};
    DType dtype;
    void attributes(auto& v) const { v("dtype", dtype); }
    Tensor forward(const Tensor& x) const { return cast_raw(x, dtype); }
    Grads backward(const Ctx& c, const Tensor& dy) const { return {cast(dy, c.dtype(0))}; }
};

struct ToDevice {
    static constexpr OpInfo info{.name = "to_device"};
    Device device;
    void attributes(auto& v) const { v("device", device); }
    Tensor forward(const Tensor& x) const { return to_device_raw(x, device); }
    Grads backward(const Ctx& c, const Tensor& dy) const { return {to_device(dy, c.device(0))}; }
};

struct Copy {
    static constexpr OpInfo info{.name = "copy"};
    void forward_into(const Tensor& self, const Tensor& src) const {
        check<ShapeError>(broadcast_shapes(self.shape(), src.shape(), "copy_") == self.shape(),
                          "copy_: shape ", src.shape(), " does not broadcast to ", self.shape());
        bool aliases =
            src.impl()->storage == self.impl()->storage;  // a = a.flip(): read before writing
        copy_raw(self, aliases ? clone_raw(src) : src);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        return {Tensor{},
                c.needs(1) ? cast(sum_to_size(to_device(dy, c.device(1)), c.shape(1)), c.dtype(1))
                           : Tensor{}};
    }
};

struct Fill {
    static constexpr OpInfo info{.name = "fill"};
    double value;
    void attributes(auto& v) const { v("value", value); }
    void forward_into(const Tensor& self) const { fill_raw(self, value); }
    Grads backward(const Ctx&, const Tensor&) const { return {Tensor{}}; }
};

}  // namespace

Tensor contiguous(const Tensor& x, MemoryFormat format) {
    check<ValueError>(format != MemoryFormat::Preserve,
                      "contiguous: preserve_format names no order of elements");
    if (format != MemoryFormat::Contiguous) format_strides(x.shape(), format, "contiguous");
    return is_contiguous(x, format) ? x : apply(Contiguous{format}, x);
}
Tensor clone(const Tensor& x, MemoryFormat format) { return apply(Clone{format}, x); }
Tensor cast(const Tensor& x, DType dtype) { return x.dtype() == dtype ? x : apply(Cast{dtype}, x); }
Tensor to_device(const Tensor& x, Device d) { return x.device() == d ? x : apply(ToDevice{d}, x); }

const Tensor& copy_(const Tensor& self, const Tensor& src) {
    return apply_inplace(Copy{}, self, src);
}
const Tensor& fill_(const Tensor& self, double value) { return apply_inplace(Fill{value}, self); }
const Tensor& fill_(const Tensor& self, const Tensor& value) {
    check<ShapeError>(value.dim() == 0,
                      "fill_: the value must be a number or a 0-dim tensor, got shape ",
                      value.shape());
    return copy_(self, value);
}
const Tensor& zero_(const Tensor& self) { return fill_(self, 0.0); }

}  // namespace deeplite
