#include "ops/random.h"

#include "autograd/meta.h"
#include "bindings/bindings.h"
#include "ops/copy.h"

namespace deeplite {
namespace {

using OptDType = std::optional<DType>;
using OptDevice = std::optional<Device>;
using OptGen = std::optional<Gen>;

Gen gen(const OptGen& g) { return g.value_or(Gen{}); }
Tensor finish(Tensor t, bool requires_grad) {
    if (requires_grad) set_requires_grad(t, true);
    return t;
}
Device on(const OptDevice& d) { return d.value_or(Device{}); }

void bind_factories(Api& api) {
    api.fn("rand(*size, generator=None, dtype=None, device=None, requires_grad=False)",
           [](const Dims& size, OptGen g, OptDType t, OptDevice d, bool grad) {
               return finish(rand(size, t.value_or(default_dtype()), on(d), gen(g)), grad);
           });
    api.fn("randn(*size, generator=None, dtype=None, device=None, requires_grad=False)",
           [](const Dims& size, OptGen g, OptDType t, OptDevice d, bool grad) {
               return finish(randn(size, t.value_or(default_dtype()), on(d), gen(g)), grad);
           });
    api.fn("randint(high, size, *, generator=None, dtype=None, device=None, requires_grad=False)",
           [](int64_t high, const Dims& size, OptGen g, OptDType t, OptDevice d, bool grad) {
               return finish(randint(0, high, size, t.value_or(DType::Int64), on(d), gen(g)), grad);
           });
    api.fn(
        "randint(low, high, size, *, generator=None, dtype=None, device=None, requires_grad=False)",
        [](int64_t low, int64_t high, const Dims& size, OptGen g, OptDType t, OptDevice d,
           bool grad) {
            return finish(randint(low, high, size, t.value_or(DType::Int64), on(d), gen(g)), grad);
        });
    api.fn("randperm(n, *, generator=None, dtype=None, device=None, requires_grad=False)",
           [](int64_t n, OptGen g, OptDType t, OptDevice d, bool grad) {
               return finish(randperm(n, t.value_or(DType::Int64), on(d), gen(g)), grad);
           });
    api.fn("rand_like(input, *, generator=None, dtype=None, device=None, requires_grad=False)",
           [](const Tensor& x, OptGen g, OptDType t, OptDevice d, bool grad) {
               return finish(rand(x.shape(), t.value_or(x.dtype()), d.value_or(x.device()), gen(g)),
                             grad);
           });
    api.fn("randn_like(input, *, generator=None, dtype=None, device=None, requires_grad=False)",
           [](const Tensor& x, OptGen g, OptDType t, OptDevice d, bool grad) {
               return finish(
                   randn(x.shape(), t.value_or(x.dtype()), d.value_or(x.device()), gen(g)), grad);
           });
    api.fn(
        "randint_like(input, high, *, generator=None, dtype=None, device=None, "
        "requires_grad=False)",
        [](const Tensor& x, int64_t high, OptGen g, OptDType t, OptDevice d, bool grad) {
            return finish(
                randint(0, high, x.shape(), t.value_or(x.dtype()), d.value_or(x.device()), gen(g)),
                grad);
        });
    api.fn(
        "randint_like(input, low, high, *, generator=None, dtype=None, device=None, "
        "requires_grad=False)",
        [](const Tensor& x, int64_t low, int64_t high, OptGen g, OptDType t, OptDevice d,
           bool grad) {
            return finish(randint(low, high, x.shape(), t.value_or(x.dtype()),
                                  d.value_or(x.device()), gen(g)),
                          grad);
        });
}

void bind_distributions(Api& api) {
    api.fn("normal(mean, std=1.0, *, generator=None)",
           [](const Tensor& mean, double std, OptGen g) {
               return normal(mean, wrapped_number(std), gen(g));
           });
    api.fn(
        "normal(mean, std, *, generator=None)",
        [](const Operand& mean, const Tensor& std, OptGen g) { return normal(mean, std, gen(g)); });
    api.fn(
        "normal(mean, std, size, *, generator=None, dtype=None, device=None, requires_grad=False)",
        [](double mean, double std, const Dims& size, OptGen g, OptDType t, OptDevice d,
           bool grad) {
            Tensor out = empty(size, t.value_or(default_dtype()), on(d), "normal");
            return finish(normal_(out, mean, std, gen(g)), grad);
        });
    api.both("bernoulli(input, *, generator=None)",
             [](const Tensor& p, OptGen g) { return bernoulli(p, gen(g)); });
    api.both("bernoulli(input, p, *, generator=None)", [](const Tensor& x, double p, OptGen g) {
        return bernoulli_(empty(x.shape(), x.dtype(), x.device()), p, gen(g));
    });
    api.both("multinomial(input, num_samples, replacement=False, *, generator=None)",
             [](const Tensor& w, int64_t n, bool replacement, OptGen g) {
                 return multinomial(w, n, replacement, gen(g));
             });
    api.fn("poisson(input, generator=None)",
           [](const Tensor& rate, OptGen g) { return poisson(rate, gen(g)); });

    api.method("uniform_(self, from_=0, to=1, *, generator=None)",
               [](const Tensor& x, double from, double to, OptGen g) {
                   return uniform_(x, from, to, gen(g));
               });
    api.method("normal_(self, mean=0, std=1, *, generator=None)",
               [](const Tensor& x, double mean, double std, OptGen g) {
                   return normal_(x, mean, std, gen(g));
               });
    api.method("log_normal_(self, mean=1, std=2, *, generator=None)",
               [](const Tensor& x, double mean, double std, OptGen g) {
                   return log_normal_(x, mean, std, gen(g));
               });
    api.method("cauchy_(self, median=0, sigma=1, *, generator=None)",
               [](const Tensor& x, double median, double sigma, OptGen g) {
                   return cauchy_(x, median, sigma, gen(g));
               });
    api.method(
        "exponential_(self, lambd=1, *, generator=None)",
        [](const Tensor& x, double lambd, OptGen g) { return exponential_(x, lambd, gen(g)); });
    api.method("geometric_(self, p, *, generator=None)",
               [](const Tensor& x, double p, OptGen g) { return geometric_(x, p, gen(g)); });
    api.method("bernoulli_(self, p=0.5, *, generator=None)",
               [](const Tensor& x, double p, OptGen g) { return bernoulli_(x, p, gen(g)); });
    api.method("bernoulli_(self, p, *, generator=None)",
               [](const Tensor& x, const Tensor& p, OptGen g) { return bernoulli_(x, p, gen(g)); });
    api.method("random_(self, *, generator=None)",
               [](const Tensor& x, OptGen g) { return random_(x, 0, {}, gen(g)); });
    api.method("random_(self, to, *, generator=None)",
               [](const Tensor& x, int64_t to, OptGen g) { return random_(x, 0, to, gen(g)); });
    api.method("random_(self, from_, to, *, generator=None)",
               [](const Tensor& x, int64_t from, std::optional<int64_t> to, OptGen g) {
                   return random_(x, from, to, gen(g));
               });
}

// Written into x when asked for, as torch's `inplace` flag does.
Tensor placed(const Tensor& x, const Tensor& y, bool inplace) {
    return inplace && !y.is_same(x) ? copy_(x, y) : y;
}

template <int ndim>
Tensor dropout_nd(const Tensor& x, double p, bool training, bool inplace) {
    constexpr const char* names[] = {"feature_dropout", "dropout1d", "dropout2d", "dropout3d"};
    return placed(x, feature_dropout(names[ndim], x, p, training, ndim), inplace);
}

void bind_dropout(Api& api) {
    api.fn("dropout(input, p, train)", &dropout);
    api.method("dropout_(self, p, train)", &dropout_);
    api.fn("dropout_(input, p, train)", &dropout_);
    api.nn("dropout(input, p=0.5, training=True, inplace=False)",
           [](const Tensor& x, double p, bool training, bool inplace) -> Tensor {
               return inplace ? dropout_(x, p, training) : dropout(x, p, training);
           });
    api.nn("dropout1d(input, p=0.5, training=True, inplace=False)", &dropout_nd<1>);
    api.nn("dropout2d(input, p=0.5, training=True, inplace=False)", &dropout_nd<2>);
    api.nn("dropout3d(input, p=0.5, training=True, inplace=False)", &dropout_nd<3>);
    api.fn("feature_dropout(input, p, train)", [](const Tensor& x, double p, bool training) {
        return feature_dropout("feature_dropout", x, p, training, 0);
    });
    api.nn("alpha_dropout(input, p=0.5, training=False, inplace=False)",
           [](const Tensor& x, double p, bool training, bool inplace) {
               return placed(x, alpha_dropout(x, p, training), inplace);
           });
    api.fn("alpha_dropout(input, p, train)", &alpha_dropout);
    api.nn("feature_alpha_dropout(input, p=0.5, training=False, inplace=False)",
           [](const Tensor& x, double p, bool training, bool inplace) {
               return placed(x, feature_alpha_dropout(x, p, training), inplace);
           });
    api.fn("feature_alpha_dropout(input, p, train)", &feature_alpha_dropout);
    auto leaky = [](const Tensor& x, double lower, double upper, bool training, bool inplace) {
        return placed(x, rrelu(x, lower, upper, training), inplace);
    };
    api.nn("rrelu(input, lower=1/8, upper=1/3, training=False, inplace=False)", leaky);
    api.fn("rrelu(input, lower=1/8, upper=1/3, training=False)", &rrelu);
    api.nn("gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1)",
           [](const Tensor& logits, double tau, bool hard, double, int64_t dim) {
               return gumbel_softmax(logits, tau, hard, dim);
           });
}

}  // namespace

void bind_random(Api& api) {
    bind_factories(api);
    bind_distributions(api);
    bind_dropout(api);
}

}  // namespace deeplite
