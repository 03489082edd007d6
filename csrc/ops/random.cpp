#include "ops/random.h"

#include <cmath>

#include "kernels/random.h"
#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/factory.h"
#include "ops/index.h"
#include "ops/iter.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace deeplite {
namespace {

const char* kind_name(int kind) {
    constexpr const char* names[DL_RANDOM_KIND_COUNT] = {
        "uniform_",   "normal_",    "log_normal_", "cauchy_", "exponential_",
        "geometric_", "bernoulli_", "random_",     "poisson"};
    return names[kind];
}

// A draw: the distribution, its parameters and the counters. The counters are an attribute, so a
// replayed graph draws the same numbers again.
struct Draw {
    int64_t kind;
    double a = 0, b = 1;
    int64_t low = 0, range = 0;  // range as unsigned; 0 means 2^64
    int64_t seed = 0, offset = 0;

    void attributes(auto& v) const {
        v("kind", std::string(kind_name(int(kind))));
        v("a", a);
        v("b", b);
        v("low", low);
        v("range", range);
        v("seed", seed);
        v("offset", offset);
    }
    // Fills `out`; `source` has its shape (bernoulli, poisson) or is undefined.
    void run(const Tensor& out, const Tensor& source = {}) const {
        if (out.numel() == 0) return;
        bool direct = out.is_contiguous() && !is_half(out.dtype());
        Tensor to = direct ? out : empty(out.shape(), compute_dtype(out.dtype()), out.device());
        Tensor from =
            source.defined()
                ? cast_contiguous_raw(
                      source, source.dtype() == DType::Float64 ? DType::Float64 : DType::Float32)
                : Tensor{};
        dl_random_args args{};
        args.dtype = int(to.dtype());
        args.source_dtype = from.defined() ? int(from.dtype()) : 0;
        args.seed = uint64_t(seed);
        args.offset = uint64_t(offset);
        args.n = to.numel();
        args.a = a;
        args.b = b;
        args.low = low;
        args.range = uint64_t(range);
        args.source = from.defined() ? from.raw() : nullptr;
        args.out = to.raw();
        const dl_random_table* table = backend_of(out.device()).random;
        dl_random_fn fn = table ? table->fill[kind] : nullptr;
        check_status(fn ? fn(&args) : DL_UNSUPPORTED, out.device(), kind_name(int(kind)),
                     name(to.dtype()));
        if (!direct) copy_raw(out, to);
    }
};

Draw drawn(Draw d, const Gen& gen, int64_t n) {
    Generator::State s =
        (gen ? gen : default_generator())->reserve(uint64_t(std::max<int64_t>(n, 1)));
    d.seed = int64_t(s.seed);
    d.offset = int64_t(s.offset);
    return d;
}

struct RandomTensor {
    static constexpr OpInfo info{.name = "random"};
    Draw draw;
    Dims shape;
    DType dtype;
    Device device;
    void attributes(auto& v) const {
        v("shape", shape);
        v("dtype", dtype);
        v("device", device);
        draw.attributes(v);
    }
    Tensor forward() const {
        Tensor out = empty(shape, dtype, device);
        draw.run(out);
        return out;
    }
};

struct RandomFill {
    static constexpr OpInfo info{.name = "random_fill"};
    Draw draw;
    void attributes(auto& v) const { draw.attributes(v); }
    void forward_into(const Tensor& self) const { draw.run(self); }
    Grads backward(const Ctx&, const Tensor&) const { return {Tensor{}}; }
};

// Bernoulli and Poisson of a tensor of parameters; nothing flows back.
struct RandomFrom {
    static constexpr OpInfo info{.name = "random_from"};
    Draw draw;
    void attributes(auto& v) const { draw.attributes(v); }
    Tensor forward(const Tensor& source) const {
        Tensor out = empty(source.shape(), source.dtype(), source.device());
        draw.run(out, source);
        return out;
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        return {zeros(c.shape(0), dy.dtype(), dy.device())};
    }
};

struct RandomFillFrom {
    static constexpr OpInfo info{.name = "random_fill_from"};
    Draw draw;
    void attributes(auto& v) const { draw.attributes(v); }
    void forward_into(const Tensor& self, const Tensor& source) const { draw.run(self, source); }
    Grads backward(const Ctx&, const Tensor&) const { return {Tensor{}, Tensor{}}; }
};

struct Randperm {
    static constexpr OpInfo info{.name = "randperm"};
    int64_t n, seed, offset;
    Device device;
    void attributes(auto& v) const {
        v("n", n);
        v("seed", seed);
        v("offset", offset);
    }
    Tensor forward() const {
        Tensor out = empty({n}, DType::Int64, device);
        if (n)
            check_status(
                kernel(info.name, device, backend_of(device).random, &dl_random_table::permutation)(
                    uint64_t(seed), uint64_t(offset), n, out.data<int64_t>()),
                device, info.name);
        return out;
    }
};

struct Multinomial {
    static constexpr OpInfo info{.name = "multinomial"};
    int64_t num_samples;
    bool replacement;
    int64_t seed, offset;
    void attributes(auto& v) const {
        v("num_samples", num_samples);
        v("replacement", replacement);
        v("seed", seed);
        v("offset", offset);
    }
    Tensor forward(const Tensor& weights) const {
        Tensor w = cast_contiguous_raw(
            weights, weights.dtype() == DType::Float64 ? DType::Float64 : DType::Float32);
        Dims shape = w.shape();
        shape.back() = num_samples;
        Tensor out = empty(shape, DType::Int64, w.device());
        dl_multinomial_args a{};
        a.dtype = int(w.dtype());
        a.replacement = replacement;
        a.seed = uint64_t(seed);
        a.offset = uint64_t(offset);
        a.n = w.shape().back();
        a.rows = w.numel() / a.n;
        a.k = num_samples;
        a.weights = w.raw();
        a.out = out.data<int64_t>();
        Device d = w.device();
        dl_status s = kernel(info.name, d, backend_of(d).random, &dl_random_table::multinomial)(&a);
        check<Error>(
            s != DL_BAD_INDEX,
            "multinomial: weights must be finite and not negative, with a positive sum",
            replacement ? "" : cat(" and at least ", num_samples, " positive ones per row"));
        check_status(s, d, info.name);
        return out;
    }
};

void check_floating(const char* op, DType dtype) {
    check<TypeError>(is_floating(dtype), op, ": expected a floating-point dtype, got ", dtype);
}

Tensor random_tensor(const Draw& d, const Dims& shape, DType dtype, Device device, const Gen& gen,
                     const char* op) {
    return apply(RandomTensor{drawn(d, gen, checked_numel(shape, op)), shape, dtype, device});
}

const Tensor& fill(const Draw& d, const Tensor& self, const Gen& gen) {
    return apply_inplace(RandomFill{drawn(d, gen, self.numel())}, self);
}

// The span of integers that random_() draws for a dtype: those it represents exactly, none
// negative.
uint64_t exact_range(DType t) {
    switch (t) {
        case DType::Float32:
            return (uint64_t(1) << 24) + 1;
        case DType::Float64:
            return (uint64_t(1) << 53) + 1;
        case DType::BFloat16:
            return (uint64_t(1) << 8) + 1;
        case DType::Float16:
            return (uint64_t(1) << 11) + 1;
        case DType::Int64:
            return uint64_t(1) << 63;
        case DType::Int32:
            return uint64_t(1) << 31;
        case DType::Int16:
            return uint64_t(1) << 15;
        case DType::Int8:
            return uint64_t(1) << 7;
        case DType::UInt8:
            return uint64_t(1) << 8;
        default:
            return 2;
    }
}

void check_span(const char* op, int64_t low, int64_t high, DType dtype) {
    check<Error>(low < high, op, ": expected low < high, got ", low, " and ", high);
    if (is_floating(dtype) || dtype == DType::Int64) return;
    int64_t bound = dtype == DType::Bool ? 2 : int64_t(exact_range(dtype));
    int64_t least = is_signed(dtype) ? -bound : 0;
    check<Error>(low >= least && high <= bound, op, ": the range [", low, ", ", high,
                 ") does not fit ", dtype);
}

}  // namespace

Tensor rand(const Dims& size, DType dtype, Device device, const Gen& gen) {
    check_floating("rand", dtype);
    return random_tensor({.kind = DL_RANDOM_UNIFORM}, size, dtype, device, gen, "rand");
}
Tensor randn(const Dims& size, DType dtype, Device device, const Gen& gen) {
    check_floating("randn", dtype);
    return random_tensor({.kind = DL_RANDOM_NORMAL}, size, dtype, device, gen, "randn");
}
Tensor randint(int64_t low, int64_t high, const Dims& size, DType dtype, Device device,
               const Gen& gen) {
    check_span("randint", low, high, dtype);
    Draw d{.kind = DL_RANDOM_INTEGER, .low = low, .range = int64_t(uint64_t(high) - uint64_t(low))};
    return random_tensor(d, size, dtype, device, gen, "randint");
}
Tensor randperm(int64_t n, DType dtype, Device device, const Gen& gen) {
    check<Error>(n >= 0, "randperm: n must not be negative, got ", n);
    Draw d = drawn({}, gen, n);
    return cast(apply(Randperm{n, d.seed, d.offset, device}), dtype);
}

Tensor normal(const Tensor& mean, const Tensor& std, const Gen& gen) {
    check_floating("normal", promote(mean.dtype(), std.dtype()));
    check_same_device("normal", {&mean, &std});
    GradMode no_grad(false);
    Dims shape = broadcast_shapes(mean.shape(), std.shape(), "normal");
    DType dtype = std.impl()->wrapped_number    ? mean.dtype()
                  : mean.impl()->wrapped_number ? std.dtype()
                                                : promote(mean.dtype(), std.dtype());
    return cast(add(mul(randn(shape, dtype, mean.device(), gen), std), mean), dtype);
}

// Every element of p must be a probability; a NaN is none.
void check_probabilities(const char* op, const Tensor& p) {
    if (p.numel() == 0) return;
    detail::Unrecorded scope;
    Tensor fits = logical_and(ge(p, wrapped_number(0.0)), le(p, wrapped_number(1.0)));
    Tensor host = to_device_raw(all(fits), Device{});
    check<Error>(load_int(host.raw(), host.dtype()) != 0, op, ": p must lie in [0, 1]");
}

Tensor bernoulli(const Tensor& p, const Gen& gen) {
    check_floating("bernoulli", p.dtype());
    check_probabilities("bernoulli", p);
    return apply(RandomFrom{drawn({.kind = DL_RANDOM_BERNOULLI}, gen, p.numel())}, p);
}

Tensor poisson(const Tensor& rate, const Gen& gen) {
    check_floating("poisson", rate.dtype());
    return apply(RandomFrom{drawn({.kind = DL_RANDOM_POISSON}, gen, rate.numel())}, rate);
}

Tensor multinomial(const Tensor& weights, int64_t num_samples, bool replacement, const Gen& gen) {
    check_floating("multinomial", weights.dtype());
    check<ShapeError>(weights.dim() == 1 || weights.dim() == 2,
                      "multinomial: expected 1 or 2 dimensions, got shape ", weights.shape());
    int64_t n = weights.shape().back();
    check<Error>(num_samples > 0, "multinomial: num_samples must be positive, got ", num_samples);
    check<Error>(n > 0, "multinomial: no categories in shape ", weights.shape());
    check<Error>(replacement || num_samples <= n, "multinomial: cannot draw ", num_samples,
                 " samples from ", n, " categories without replacement");
    Draw d = drawn({}, gen, weights.numel() / n * std::max(n, num_samples));
    return apply(Multinomial{num_samples, replacement, d.seed, d.offset}, weights);
}

const Tensor& uniform_(const Tensor& self, double from, double to, const Gen& gen) {
    check_floating("uniform_", self.dtype());
    check<Error>(from <= to, "uniform_: expected from <= to, got ", from, " and ", to);
    check<Error>(std::isfinite(to - from), "uniform_: the range [", from, ", ", to,
                 ") is not finite");
    return fill({.kind = DL_RANDOM_UNIFORM, .a = from, .b = to}, self, gen);
}
const Tensor& normal_(const Tensor& self, double mean, double std, const Gen& gen) {
    check_floating("normal_", self.dtype());
    check<Error>(std >= 0, "normal_: std must not be negative, got ", std);
    return fill({.kind = DL_RANDOM_NORMAL, .a = mean, .b = std}, self, gen);
}
const Tensor& log_normal_(const Tensor& self, double mean, double std, const Gen& gen) {
    check_floating("log_normal_", self.dtype());
    check<Error>(std > 0, "log_normal_: std must be positive, got ", std);
    return fill({.kind = DL_RANDOM_LOG_NORMAL, .a = mean, .b = std}, self, gen);
}
const Tensor& cauchy_(const Tensor& self, double median, double sigma, const Gen& gen) {
    check_floating("cauchy_", self.dtype());
    check<Error>(sigma > 0, "cauchy_: sigma must be positive, got ", sigma);
    return fill({.kind = DL_RANDOM_CAUCHY, .a = median, .b = sigma}, self, gen);
}
const Tensor& exponential_(const Tensor& self, double lambd, const Gen& gen) {
    check_floating("exponential_", self.dtype());
    check<Error>(lambd > 0, "exponential_: lambd must be positive, got ", lambd);
    return fill({.kind = DL_RANDOM_EXPONENTIAL, .a = lambd}, self, gen);
}
const Tensor& geometric_(const Tensor& self, double p, const Gen& gen) {
    check<Error>(p > 0 && p < 1, "geometric_: p must lie in (0, 1), got ", p);
    check<TypeError>(self.dtype() != DType::Bool, "geometric_: not defined for bool");
    return fill({.kind = DL_RANDOM_GEOMETRIC, .a = p}, self, gen);
}
const Tensor& bernoulli_(const Tensor& self, double p, const Gen& gen) {
    check<Error>(p >= 0 && p <= 1, "bernoulli_: p must lie in [0, 1], got ", p);
    return fill({.kind = DL_RANDOM_BERNOULLI, .a = p}, self, gen);
}
const Tensor& bernoulli_(const Tensor& self, const Tensor& p, const Gen& gen) {
    check_floating("bernoulli_", p.dtype());
    check_same_device("bernoulli_", {&self, &p});
    Draw d = drawn({.kind = DL_RANDOM_BERNOULLI}, gen, self.numel());
    return apply_inplace(RandomFillFrom{d}, self, expand(p, self.shape()));
}

const Tensor& random_(const Tensor& self, int64_t from, std::optional<int64_t> to, const Gen& gen) {
    uint64_t range = exact_range(self.dtype()) - uint64_t(from);
    if (to) {
        check_span("random_", from, *to, self.dtype());
        range = uint64_t(*to) - uint64_t(from);
    }
    return fill({.kind = DL_RANDOM_INTEGER, .low = from, .range = int64_t(range)}, self, gen);
}

}  // namespace deeplite
