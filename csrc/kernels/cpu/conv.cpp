// Convolution: for each pass a list of algorithms. Of those that apply and whose expected error is
// allowed, the one with the least predicted time runs; of equals, the first. The plain reference
// loops stand behind every list: they always apply.
//
// To add an algorithm, add a row: when it can run, what it costs, how exact it is, and its code for
// both float types (null where there is none).
#include "kernels/conv.h"

#include "kernels/cpu/conv_atrous.h"
#include "kernels/cpu/conv_broadcast.h"
#include "kernels/cpu/conv_channels_last.h"
#include "kernels/cpu/conv_channels_last_depthwise.h"
#include "kernels/cpu/conv_cost.h"
#include "kernels/cpu/conv_depthwise.h"
#include "kernels/cpu/conv_direct.h"
#include "kernels/cpu/conv_finish.h"
#include "kernels/cpu/conv_fold.h"
#include "kernels/cpu/conv_gemm.h"
#include "kernels/cpu/conv_masked.h"
#include "kernels/cpu/conv_masked_weight.h"
#include "kernels/cpu/conv_patches.h"
#include "kernels/cpu/conv_pointwise_weight.h"
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/conv_sliding_cost.h"
#include "kernels/cpu/conv_weight_gemm.h"
#include "kernels/cpu/conv_weight_patches.h"
#include "kernels/cpu/conv_weight_rows.h"
#include "kernels/cpu/conv_weight_windows.h"
#include "kernels/cpu/conv_winograd.h"
#include "kernels/cpu/conv_winograd_weight.h"

namespace deeplite::cpu::reference {
const dl_conv_table* conv_table();
}

namespace deeplite::cpu::DL_ISA {
namespace {

struct Algorithm {
    const char* name;
    bool (*applicable)(const dl_conv& p);                    // can it run? Not: is it fast?
    double (*seconds)(const dl_conv& p);                     // predicted, on one thread
    double (*rel_err)(const dl_conv& p, dl_conv_pass pass);  // expected, of the largest result
    dl_status (*run_f32)(const dl_conv& p);
    dl_status (*run_f64)(const dl_conv& p);
    bool finishes = false;  // whether it sees to p.finish (conv_finish.h)
};

// Runs `product` on the forward product, or on that of each residue of the gradient of the input.
template <class T, dl_status (*product)(const Sliding<T>&)>
dl_status forward(const dl_conv& p) {
    ConvTap* taps = taps_for(p);
    return taps ? product(sliding_forward<T>(p, taps)) : DL_OUT_OF_MEMORY;
}

template <class T, dl_status (*product)(const Sliding<T>&)>
dl_status backward_input(const dl_conv& p) {
    return each_residue<T>(p, product);
}

// The matrix product claims every slot of scratch memory, so here the taps live elsewhere.
template <class T, dl_status (*product)(const dl_conv&, const Sliding<T>&)>
dl_status backward_weight(const dl_conv& p) {
    const int64_t count = gemm_max(1, conv_volume(p.kernel));
    constexpr int64_t kOnStack = 128;
    ConvTap few[kOnStack];
    if (count <= kOnStack) return product(p, sliding_forward<T>(p, few));
    auto* many = static_cast<ConvTap*>(__builtin_malloc(size_t(count) * sizeof(ConvTap)));
    if (!many) return DL_OUT_OF_MEMORY;
    const dl_status status = product(p, sliding_forward<T>(p, many));
    __builtin_free(many);
    return status;
}

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

bool always(const dl_conv&) { return true; }

bool is_full(const dl_conv& p) {
    for (int d = 0; d < 3; ++d)
        if (p.out[d] != 1 || p.kernel[d] != p.in[d] || p.pad_lo[d] != 0 ||
            (p.dilation[d] != 1 && p.kernel[d] != 1))
            return false;
    return p.groups == 1 && p.n > 0 && p.k > 0 && p.c > 0 && conv_volume(p.in) > 0;
}
bool is_full_unbiased(const dl_conv& p) { return is_full(p) && !p.bias; }

bool is_depthwise(const dl_conv& p) {
    return p.groups == p.c && p.groups > 1 && p.stride[2] <= kMaxPhases && conv_volume(p.in) > 0;
}

// Rows are split by stride, unless the kernel is one column wide.
bool is_direct(const dl_conv& p) {
    return (p.stride[2] <= kMaxPhases || p.kernel[2] == 1) && conv_volume(p.in) > 0;
}

// ---- what it costs -----------------------------------------------------------------------------

double seconds_depthwise(const dl_conv& p) {
    return conv_macs(p) / (0.6 * conv_peak(p)) + conv_traffic(p) / 8;
}
double seconds_full(const dl_conv& p) {
    return 0.25 * (conv_macs(p) / (0.8 * conv_peak(p)) + conv_traffic(p));
}

// Dilated windows run by the best algorithm for dense ones.
template <dl_conv_pass pass>
double atrous_seconds(const dl_conv& p);
double atrous_error(const dl_conv& p, dl_conv_pass pass);
template <dl_conv_pass pass>
dl_status atrous(const dl_conv& p);

// Tiles of Winograd's algorithm: of 2x2 ... 6x6 results, of 3 or 4 neighbours in a row or column.
typedef WinoSquare<2, 3> Square2;
typedef WinoSquare<4, 3> Square4;
typedef WinoSquare<5, 2> Square5;
typedef WinoSquare<6, 3> Square6;
typedef WinoShape<1, 1, 3, 4> Row3;
typedef WinoShape<1, 1, 4, 3> Row4;
typedef WinoShape<3, 4, 1, 1> Column3;
typedef WinoShape<4, 3, 1, 1> Column4;

// ---- the lists ---------------------------------------------------------------------------------

constexpr Algorithm kForward[] = {
    {"full", is_full, seconds_full, conv_sum_error, full_forward<float>, full_forward<double>},
    {"depthwise", is_depthwise_window, seconds_depthwise, conv_sum_error,
     depthwise_planes<float, DepthwisePass::kForward>,
     depthwise_planes<double, DepthwisePass::kForward>, true},
    {"direct", is_direct, sliding_seconds<direct_seconds, false>, conv_sum_error,
     forward<float, sliding_direct>, forward<double, sliding_direct>, true},
    {"pointwise", pointwise_applies, sliding_seconds<pointwise_seconds, false>, conv_sum_error,
     pointwise_forward<float>, pointwise_forward<double>, true},
    {"broadcast", is_direct, sliding_seconds<broadcast_seconds, false>, conv_sum_error,
     broadcast_forward<float>, broadcast_forward<double>, true},
    {"patches", is_direct, patches_seconds, conv_sum_error, forward<float, sliding_patches>,
     forward<double, sliding_patches>, true},
    {"masked", masked_applies, sliding_seconds<masked_seconds, false>, conv_sum_error,
     masked_forward<float>, masked_forward<double>},
    {"atrous", atrous_applies, atrous_seconds<DL_CONV_FORWARD>, atrous_error,
     atrous<DL_CONV_FORWARD>, nullptr},
    {"winograd2", wino_applies<Square2>, wino_seconds<Square2, false>, wino_error<Square2>,
     forward<float, WinoProduct<Square2>::run>, nullptr, true},
    {"winograd4", wino_applies<Square4>, wino_seconds<Square4, false>, wino_error<Square4>,
     forward<float, WinoProduct<Square4>::run>, nullptr, true},
    {"winograd5", wino_applies<Square5>, wino_seconds<Square5, false>, wino_error<Square5>,
     forward<float, WinoProduct<Square5>::run>, nullptr, true},
    {"winograd6", wino_applies<Square6>, wino_seconds<Square6, false>, wino_error<Square6>,
     forward<float, WinoProduct<Square6>::run>, nullptr, true},
    {"winograd_row3", wino_applies<Row3>, wino_seconds<Row3, false>, wino_error<Row3>,
     forward<float, WinoProduct<Row3>::run>, nullptr, true},
    {"winograd_row4", wino_applies<Row4>, wino_seconds<Row4, false>, wino_error<Row4>,
     forward<float, WinoProduct<Row4>::run>, nullptr, true},
    {"winograd_column3", wino_applies<Column3>, wino_seconds<Column3, false>, wino_error<Column3>,
     forward<float, WinoProduct<Column3>::run>, nullptr, true},
    {"winograd_column4", wino_applies<Column4>, wino_seconds<Column4, false>, wino_error<Column4>,
     forward<float, WinoProduct<Column4>::run>, nullptr, true},
    {"implicit_gemm", always, sliding_seconds<sliding_gemm_seconds, false>, conv_sum_error,
     forward<float, sliding_gemm>, forward<double, sliding_gemm>, true},
};
constexpr Algorithm kBackwardInput[] = {
    {"full", is_full_unbiased, seconds_full, conv_sum_error, full_backward_input<float>,
     full_backward_input<double>},
    {"depthwise", is_depthwise_window_input, seconds_depthwise, conv_sum_error,
     depthwise_planes<float, DepthwisePass::kBackwardInput>,
     depthwise_planes<double, DepthwisePass::kBackwardInput>},
    {"direct", is_direct, sliding_seconds<direct_seconds, true>, conv_sum_error,
     backward_input<float, sliding_direct>, backward_input<double, sliding_direct>},
    {"pointwise", pointwise_applies, sliding_seconds<pointwise_seconds, true>, conv_sum_error,
     pointwise_backward_input<float>, pointwise_backward_input<double>},
    {"broadcast", is_direct, sliding_seconds<broadcast_seconds, true>, conv_sum_error,
     broadcast_backward_input<float>, broadcast_backward_input<double>},
    {"masked", masked_applies, sliding_seconds<masked_seconds, true>, conv_sum_error,
     masked_backward_input<float>, masked_backward_input<double>},
    {"fold", fold_applies, fold_seconds, conv_sum_error, fold_backward_input<float>,
     fold_backward_input<double>},
    {"atrous", atrous_applies, atrous_seconds<DL_CONV_BACKWARD_INPUT>, atrous_error,
     atrous<DL_CONV_BACKWARD_INPUT>, nullptr},
    {"winograd2", wino_applies<Square2>, wino_seconds<Square2, true>, wino_error<Square2>,
     backward_input<float, WinoProduct<Square2>::run>, nullptr},
    {"winograd4", wino_applies<Square4>, wino_seconds<Square4, true>, wino_error<Square4>,
     backward_input<float, WinoProduct<Square4>::run>, nullptr},
    {"winograd5", wino_applies<Square5>, wino_seconds<Square5, true>, wino_error<Square5>,
     backward_input<float, WinoProduct<Square5>::run>, nullptr},
    {"winograd6", wino_applies<Square6>, wino_seconds<Square6, true>, wino_error<Square6>,
     backward_input<float, WinoProduct<Square6>::run>, nullptr},
    {"winograd_row3", wino_applies<Row3>, wino_seconds<Row3, true>, wino_error<Row3>,
     backward_input<float, WinoProduct<Row3>::run>, nullptr},
    {"winograd_row4", wino_applies<Row4>, wino_seconds<Row4, true>, wino_error<Row4>,
     backward_input<float, WinoProduct<Row4>::run>, nullptr},
    {"winograd_column3", wino_applies<Column3>, wino_seconds<Column3, true>, wino_error<Column3>,
     backward_input<float, WinoProduct<Column3>::run>, nullptr},
    {"winograd_column4", wino_applies<Column4>, wino_seconds<Column4, true>, wino_error<Column4>,
     backward_input<float, WinoProduct<Column4>::run>, nullptr},
    {"implicit_gemm", always, sliding_seconds<sliding_gemm_seconds, true>, conv_sum_error,
     backward_input<float, sliding_gemm>, backward_input<double, sliding_gemm>},
};
constexpr Algorithm kBackwardWeight[] = {
    {"full", is_full, seconds_full, conv_sum_error, full_backward_weight<float>,
     full_backward_weight<double>},
    {"depthwise", is_depthwise_window, seconds_depthwise, conv_sum_error, depthwise_weight<float>,
     depthwise_weight<double>},
    {"direct", is_depthwise, weight_depthwise_seconds, conv_sum_error,
     backward_weight<float, weight_depthwise>, backward_weight<double, weight_depthwise>},
    {"patches", is_direct, weight_patches_seconds, conv_sum_error,
     backward_weight<float, weight_patches>, backward_weight<double, weight_patches>},
    {"windows", windows_applies, weight_windows_seconds, conv_sum_error,
     backward_weight<float, weight_windows>, backward_weight<double, weight_windows>},
    {"pointwise", pointwise_applies, weight_pointwise_seconds, conv_sum_error,
     pointwise_backward_weight<float>, pointwise_backward_weight<double>},
    {"atrous", atrous_applies, atrous_seconds<DL_CONV_BACKWARD_WEIGHT>, atrous_error,
     atrous<DL_CONV_BACKWARD_WEIGHT>, nullptr},
    {"winograd2", wino_weight_applies, wino_backward_weight_seconds<Square2>, wino_error<Square2>,
     wino_backward_weight<float, Square2>, nullptr},
    {"winograd4", wino_weight_applies, wino_backward_weight_seconds<Square4>, wino_error<Square4>,
     wino_backward_weight<float, Square4>, nullptr},
    {"winograd6", wino_weight_applies, wino_backward_weight_seconds<Square6>, wino_error<Square6>,
     wino_backward_weight<float, Square6>, nullptr},
    {"masked", masked_weight_applies, masked_weight_seconds, conv_sum_error,
     backward_weight<float, masked_weight>, backward_weight<double, masked_weight>},
    {"rows", always, weight_rows_seconds, conv_sum_error, backward_weight<float, weight_rows>,
     backward_weight<double, weight_rows>},
    {"rows_turned", pointwise_applies, weight_rows_turned_seconds, conv_sum_error,
     backward_weight<float, weight_rows_turned>, backward_weight<double, weight_rows_turned>},
    {"implicit_gemm", always, weight_gemm_seconds, conv_sum_error,
     backward_weight<float, weight_gemm>, backward_weight<double, weight_gemm>},
};

// With channels last.
constexpr Algorithm kForwardLast[] = {
    {"depthwise", last_depthwise_applies, last_depthwise_seconds<DL_CONV_FORWARD>, conv_sum_error,
     last_depthwise_forward<float>, last_depthwise_forward<double>},
    {"implicit_gemm", always, last_gemm_seconds<DL_CONV_FORWARD>, conv_sum_error,
     last_forward<float>, last_forward<double>},
};
constexpr Algorithm kBackwardInputLast[] = {
    {"depthwise", last_depthwise_applies, last_depthwise_seconds<DL_CONV_BACKWARD_INPUT>,
     conv_sum_error, last_depthwise_backward_input<float>, last_depthwise_backward_input<double>},
    {"implicit_gemm", always, last_gemm_seconds<DL_CONV_BACKWARD_INPUT>, conv_sum_error,
     last_backward_input<float>, last_backward_input<double>},
};
constexpr Algorithm kBackwardWeightLast[] = {
    {"depthwise", last_depthwise_applies, last_depthwise_seconds<DL_CONV_BACKWARD_WEIGHT>,
     conv_sum_error, last_depthwise_weight<float>, last_depthwise_weight<double>},
    {"implicit_gemm", always, last_gemm_seconds<DL_CONV_BACKWARD_WEIGHT>, conv_sum_error,
     last_weight<float>, last_weight<double>},
};

struct AlgorithmList {
    const Algorithm* first;
    int count;
    dl_status (*dl_conv_table::*twin)(const dl_conv*);

    template <int N>
    constexpr AlgorithmList(const Algorithm (&rows)[N],
                            dl_status (*dl_conv_table::*reference)(const dl_conv*))
        : first(rows), count(N), twin(reference) {}
};

AlgorithmList list_of(dl_conv_pass pass, const dl_conv& p) {
    if (p.channels_last) {
        if (pass == DL_CONV_FORWARD) return {kForwardLast, &dl_conv_table::forward};
        if (pass == DL_CONV_BACKWARD_INPUT)
            return {kBackwardInputLast, &dl_conv_table::backward_input};
        return {kBackwardWeightLast, &dl_conv_table::backward_weight};
    }
    if (pass == DL_CONV_FORWARD) return {kForward, &dl_conv_table::forward};
    if (pass == DL_CONV_BACKWARD_INPUT) return {kBackwardInput, &dl_conv_table::backward_input};
    return {kBackwardWeight, &dl_conv_table::backward_weight};
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
    for (const Algorithm* a = list.first; a != list.first + list.count; ++a) {
        if (p.algorithm) {
            if (same(a->name, p.algorithm) && can_run(*a, p)) return a;
        } else if (can_run(*a, p) && a->rel_err(p, pass) <= p.max_rel_err) {
            const double seconds = a->seconds(p);
            if (!best || seconds < least) best = a, least = seconds;
        }
    }
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

constexpr int kMostAlgorithms = 24;  // a list's rows and the reference

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
    for (const Algorithm* a = list.first; a != list.first + list.count; ++a)
        if (can_run(*a, *p)) {
            const double error = a->rel_err(*p, pass);
            insert({a->name, a->seconds(*p), error, error <= p->max_rel_err});
        }
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
