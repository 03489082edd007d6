// Convolution: for each pass a list of algorithms. Of those that apply and whose expected error is
// allowed, the one with the least predicted time runs; of equals, the first. The plain reference
// loops stand behind every list: they always apply.
//
// To add an algorithm, add a row to its family (conv_algorithm.h): when it can run, what it costs,
// how exact it is, and its code for both float types (null where there is none).
#include "kernels/conv.h"

#include "kernels/cpu/conv_algorithm.h"
#include "kernels/cpu/conv_atrous.h"
#include "kernels/cpu/conv_cost.h"
#include "kernels/cpu/conv_finish.h"
#include "kernels/cpu/conv_sliding_cost.h"

namespace deeplite::cpu::reference {
const dl_conv_table* conv_table();
}

namespace deeplite::cpu::DL_ISA {
namespace {

// ---- a kernel as large as the input: one output per image, a matrix product without patches -----

// y [N, K] = x [N, L] @ w [K, L]^T + bias
template <class T>
dl_status full_forward(const dl_conv& p) {
    const int64_t length = p.c * conv_volume(p.in);
    const PackStridedA<T> a{static_cast<const T*>(p.x), length, 1};
    const PackStridedB<T> b{static_cast<const T*>(p.w), length, 1};
    GemmOut<T> out{static_cast<T*>(p.y), p.k, 1};
    out.bias = static_cast<const T*>(p.bias), out.bias_cs = 1;
    const bool done = gemm_packed<T>(p.n, p.k, length, a, b, out, dl_num_threads());
    return done ? DL_OK : DL_OUT_OF_MEMORY;
}
// dx [N, L] = dy [N, K] @ w [K, L]
template <class T>
dl_status full_backward_input(const dl_conv& p) {
    const int64_t length = p.c * conv_volume(p.in);
    const PackStridedA<T> a{static_cast<const T*>(p.y), p.k, 1};
    const PackStridedB<T> b{static_cast<const T*>(p.w), 1, length};
    const GemmOut<T> out{static_cast<T*>(p.x), length, 1};
    const bool done = gemm_packed<T>(p.n, length, p.k, a, b, out, dl_num_threads());
    return done ? DL_OK : DL_OUT_OF_MEMORY;
}
// dw [K, L] = dy [N, K]^T @ x [N, L]
template <class T>
dl_status full_backward_weight(const dl_conv& p) {
    const int64_t length = p.c * conv_volume(p.in);
    const PackStridedA<T> a{static_cast<const T*>(p.y), 1, p.k};
    const PackStridedB<T> b{static_cast<const T*>(p.x), 1, length};
    const GemmOut<T> out{static_cast<T*>(p.w), length, 1};
    const bool done = gemm_packed<T>(p.k, length, p.n, a, b, out, dl_num_threads());
    return done ? DL_OK : DL_OUT_OF_MEMORY;
}

// ---- what applies when -------------------------------------------------------------------------

bool is_full(const dl_conv& p) {
    for (int d = 0; d < 3; ++d)
        if (p.out[d] != 1 || p.kernel[d] != p.in[d] || p.pad_lo[d] != 0 ||
            (p.dilation[d] != 1 && p.kernel[d] != 1))
            return false;
    return p.groups == 1 && p.n > 0 && p.k > 0 && p.c > 0 && conv_volume(p.in) > 0;
}
bool is_full_unbiased(const dl_conv& p) { return is_full(p) && !p.bias; }

// ---- what it costs -----------------------------------------------------------------------------

double seconds_full(const dl_conv& p) {
    return 0.25 * (conv_macs(p) / (0.8 * conv_peak(p)) + conv_traffic(p));
}

// Dilated windows run by the best algorithm for dense ones.
template <dl_conv_pass pass>
double atrous_seconds(const dl_conv& p);
double atrous_error(const dl_conv& p, dl_conv_pass pass);
template <dl_conv_pass pass>
dl_status atrous(const dl_conv& p);

// ---- the lists ---------------------------------------------------------------------------------

constexpr Algorithm kForward[] = {
    {"full", is_full, seconds_full, conv_sum_error, full_forward<float>, full_forward<double>},
    {"atrous", atrous_applies, atrous_seconds<DL_CONV_FORWARD>, atrous_error,
     atrous<DL_CONV_FORWARD>, nullptr},
};
constexpr Algorithm kBackwardInput[] = {
    {"full", is_full_unbiased, seconds_full, conv_sum_error, full_backward_input<float>,
     full_backward_input<double>},
    {"atrous", atrous_applies, atrous_seconds<DL_CONV_BACKWARD_INPUT>, atrous_error,
     atrous<DL_CONV_BACKWARD_INPUT>, nullptr},
};
constexpr Algorithm kBackwardWeight[] = {
    {"full", is_full, seconds_full, conv_sum_error, full_backward_weight<float>,
     full_backward_weight<double>},
    {"atrous", atrous_applies, atrous_seconds<DL_CONV_BACKWARD_WEIGHT>, atrous_error,
     atrous<DL_CONV_BACKWARD_WEIGHT>, nullptr},
};

constexpr Algorithms (*kFamilies[])(dl_conv_pass) = {
    conv_depthwise_algorithms, conv_direct_algorithms, conv_gemm_algorithms,
    conv_grouped_algorithms,   conv_masked_algorithms, conv_weight_algorithms,
    conv_winograd_algorithms,
};

struct AlgorithmList {
    Algorithms families[1 + sizeof(kFamilies) / sizeof(kFamilies[0])];
    dl_status (*dl_conv_table::*twin)(const dl_conv*);

    // f(algorithm) for each, until it answers true.
    template <class F>
    void each(const F& f) const {
        for (const Algorithms& family : families)
            for (const Algorithm& a : family)
                if (f(a)) return;
    }
};

AlgorithmList list_of(dl_conv_pass pass, const dl_conv& p) {
    AlgorithmList list = {};
    list.twin = pass == DL_CONV_FORWARD          ? &dl_conv_table::forward
                : pass == DL_CONV_BACKWARD_INPUT ? &dl_conv_table::backward_input
                                                 : &dl_conv_table::backward_weight;
    Algorithms* to = list.families;
    if (p.channels_last) {
        *to++ = conv_channels_last_algorithms(pass);
        *to = conv_winograd_algorithms(pass);
        return list;
    }
    *to++ = of_pass(pass, kForward, kBackwardInput, kBackwardWeight);
    for (auto family : kFamilies) *to++ = family(pass);
    return list;
}

// ---- choosing ----------------------------------------------------------------------------------

bool same(const char* a, const char* b) {
    while (*a && *a == *b) ++a, ++b;
    return *a == *b;
}

bool can_run(const Algorithm& a, const dl_conv& p) {
    return (p.dtype == DL_F32   ? a.run_f32 != nullptr
            : p.dtype == DL_F64 ? a.run_f64 != nullptr
                                : false) &&
           a.applicable(p);
}

// The algorithm to run; null: the reference.
const Algorithm* choose(const AlgorithmList& list, const dl_conv& p, dl_conv_pass pass) {
    const Algorithm* best = nullptr;
    double least = 0;
    list.each([&](const Algorithm& a) {
        if (p.algorithm) {
            if (same(a.name, p.algorithm) && can_run(a, p)) best = &a;
            return best != nullptr;
        }
        if (can_run(a, p) && a.rel_err(p, pass) <= p.max_rel_err) {
            const double seconds = a.seconds(p);
            if (!best || seconds < least) best = &a, least = seconds;
        }
        return false;
    });
    return best;
}

template <dl_conv_pass pass>
double atrous_seconds(const dl_conv& p) {
    const dl_conv q = atrous_inner(p);
    const Algorithm* a = choose(list_of(pass, q), q, pass);
    const double copies = (conv_x_size(q) + conv_y_size(q)) * 8 / kConvHertz;
    return copies + (a ? a->seconds(q) : 1e9);
}
double atrous_error(const dl_conv& p, dl_conv_pass pass) {
    const dl_conv q = atrous_inner(p);
    const Algorithm* a = choose(list_of(pass, q), q, pass);
    return a ? a->rel_err(q, pass) : 1;
}

// Forward with a finish, by the algorithm itself or in a pass of its own.
template <class T>
dl_status run_finished(const Algorithm& a, const dl_conv& p) {
    const ConvFolded<T> folded(p);
    if (!folded.ok) return DL_OUT_OF_MEMORY;
    const auto run = sizeof(T) == 4 ? a.run_f32 : a.run_f64;
    const bool dense = p.dilation[1] == 1 && p.dilation[2] == 1;  // else results may lie apart
    if (a.finishes && dense) return run(folded.conv);
    dl_conv bare = folded.conv;
    bare.finish = nullptr;
    const dl_status status = run(bare);
    if (status == DL_OK) conv_finish_all<T>(folded.conv);
    return status;
}

template <dl_conv_pass pass>
dl_status run(const dl_conv* p) {
    const AlgorithmList list = list_of(pass, *p);
    const Algorithm* a = choose(list, *p, pass);
    if (a && pass == DL_CONV_FORWARD && p->finish)
        return p->dtype == DL_F32 ? run_finished<float>(*a, *p) : run_finished<double>(*a, *p);
    if (a) return p->dtype == DL_F32 ? a->run_f32(*p) : a->run_f64(*p);
    return (reference::conv_table()->*list.twin)(p);
}

template <dl_conv_pass pass>
dl_status atrous(const dl_conv& p) {
    return atrous_run<float, pass>(p, [](const dl_conv& q) { return run<pass>(&q); });
}

constexpr int kMostAlgorithms = 32;  // a list's rows and the reference

int32_t explain(const dl_conv* p, dl_conv_pass pass, int32_t i, dl_conv_option* option) {
    const AlgorithmList list = list_of(pass, *p);
    dl_conv_option options[kMostAlgorithms];
    int32_t count = 0;
    auto insert = [&](const dl_conv_option& o) {  // allowed ones first, then by time
        int32_t at = count++;
        for (; at > 0; --at) {
            const dl_conv_option& before = options[at - 1];
            if (before.allowed != o.allowed ? before.allowed : before.seconds <= o.seconds) break;
            options[at] = before;
        }
        options[at] = o;
    };
    list.each([&](const Algorithm& a) {
        if (can_run(a, *p)) {
            const double error = a.rel_err(*p, pass);
            insert({a.name, a.seconds(*p), error, error <= p->max_rel_err});
        }
        return false;
    });
    dl_conv_option& plain = options[kMostAlgorithms - 1];
    if (reference::conv_table()->explain(p, pass, 0, &plain)) {
        const bool runs = count == 0 || !options[0].allowed;  // when no row may, the loops do
        if (runs)
            insert({plain.name, plain.seconds, plain.rel_err, 1});
        else
            options[count++] = plain;
    }
    if (i < 0 || i >= count) return 0;
    *option = options[i];
    return 1;
}

}  // namespace

const dl_conv_table* conv_table() {
    static const dl_conv_table table = {run<DL_CONV_FORWARD>, run<DL_CONV_BACKWARD_INPUT>,
                                        run<DL_CONV_BACKWARD_WEIGHT>, explain};
    return &table;
}

}  // namespace deeplite::cpu::DL_ISA
