// What a convolution algorithm is to the choice in conv.cpp, and which families there are. Each
// family is compiled on its own, in conv_<family>.cpp, and hands over its rows for a pass.
#pragma once
#include "kernels/cpu/conv_sliding.h"

namespace deeplite::cpu::DL_ISA {

struct Algorithm {
    const char* name;
    bool (*applicable)(const dl_conv& p);                    // can it run? Not: is it fast?
    double (*seconds)(const dl_conv& p);                     // predicted, on one thread
    double (*rel_err)(const dl_conv& p, dl_conv_pass pass);  // expected, of the largest result
    dl_status (*run_f32)(const dl_conv& p);
    dl_status (*run_f64)(const dl_conv& p);
    bool finishes = false;  // whether it sees to p.finish (conv_finish.h)
};

struct Algorithms {
    const Algorithm* rows = nullptr;
    int count = 0;

    Algorithms() = default;
    template <int N>
    constexpr Algorithms(const Algorithm (&list)[N]) : rows(list), count(N) {}
    const Algorithm* begin() const { return rows; }
    const Algorithm* end() const { return rows + count; }
};

Algorithms conv_depthwise_algorithms(dl_conv_pass pass);  // windows of a single channel
Algorithms conv_direct_algorithms(dl_conv_pass pass);     // rows read in place
Algorithms conv_gemm_algorithms(dl_conv_pass pass);       // packed as for a matrix product
Algorithms conv_grouped_algorithms(dl_conv_pass pass);    // filters of a group as lanes
Algorithms conv_masked_algorithms(dl_conv_pass pass);     // whole planes, edges masked out
Algorithms conv_weight_algorithms(dl_conv_pass pass);     // gradients of dense weights
Algorithms conv_winograd_algorithms(dl_conv_pass pass);   // fewer products
// The only ones for that order, beside Winograd's.
Algorithms conv_channels_last_algorithms(dl_conv_pass pass);

// The one of three lists that belongs to a pass.
inline Algorithms of_pass(dl_conv_pass pass, Algorithms forward, Algorithms backward_input,
                          Algorithms backward_weight) {
    return pass == DL_CONV_FORWARD          ? forward
           : pass == DL_CONV_BACKWARD_INPUT ? backward_input
                                            : backward_weight;
}

}  // namespace deeplite::cpu::DL_ISA

namespace {

inline bool always(const dl_conv&) { return true; }

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

}  // namespace
