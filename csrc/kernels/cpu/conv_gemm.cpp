// Convolution as a matrix product whose patches are packed into the panels, or read in place.
#include "kernels/cpu/conv_gemm.h"
#include "kernels/cpu/conv_algorithm.h"
#include "kernels/cpu/conv_patches.h"
#include "kernels/cpu/conv_pointwise.h"
#include "kernels/cpu/conv_sliding_cost.h"
#include "kernels/cpu/conv_strassen.h"
#include "kernels/cpu/conv_turned.h"

namespace deeplite::cpu::DL_ISA {
namespace {

constexpr Algorithm kForward[] = {
    {"pointwise", pointwise_applies, sliding_seconds<pointwise_seconds, false>, conv_sum_error,
     pointwise_forward<float>, pointwise_forward<double>, true},
    {"patches", is_direct, patches_seconds, conv_sum_error, forward<float, sliding_patches>,
     forward<double, sliding_patches>, true},
    {"implicit_gemm", always, sliding_seconds<sliding_gemm_seconds, false>, conv_sum_error,
     forward<float, sliding_gemm>, forward<double, sliding_gemm>, true},
    {"turned", turned_applies, sliding_seconds<turned_seconds, false>, conv_sum_error,
     forward<float, turned_gemm>, forward<double, turned_gemm>, true},
    {"strassen", turned_applies, sliding_seconds<strassen_seconds, false>, strassen_error,
     forward<float, strassen_gemm>, nullptr, true},
};
constexpr Algorithm kBackwardInput[] = {
    {"pointwise", pointwise_applies, sliding_seconds<pointwise_seconds, true>, conv_sum_error,
     pointwise_backward_input<float>, pointwise_backward_input<double>},
    {"implicit_gemm", always, sliding_seconds<sliding_gemm_seconds, true>, conv_sum_error,
     backward_input<float, sliding_gemm>, backward_input<double, sliding_gemm>},
    {"turned", turned_applies, sliding_seconds<turned_seconds, true>, conv_sum_error,
     backward_input<float, turned_gemm>, backward_input<double, turned_gemm>},
    {"strassen", turned_applies, sliding_seconds<strassen_seconds, true>, strassen_error,
     backward_input<float, strassen_gemm>, nullptr},
};

}  // namespace

Algorithms conv_gemm_algorithms(dl_conv_pass pass) {
    return of_pass(pass, kForward, kBackwardInput, {});
}

}  // namespace deeplite::cpu::DL_ISA
