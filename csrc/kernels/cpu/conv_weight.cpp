// Gradients of dense weights: dot products of planes, of rows, or a matrix product over patches.
#include "kernels/cpu/conv_algorithm.h"
#include "kernels/cpu/conv_pointwise_weight.h"
#include "kernels/cpu/conv_weight_gemm.h"
#include "kernels/cpu/conv_weight_panels.h"
#include "kernels/cpu/conv_weight_patches.h"
#include "kernels/cpu/conv_weight_rows.h"
#include "kernels/cpu/conv_weight_windows.h"

namespace deeplite::cpu::DL_ISA {
namespace {

constexpr Algorithm kBackwardWeight[] = {
    {"patches", is_direct, weight_patches_seconds, conv_sum_error,
     backward_weight<float, weight_patches>, backward_weight<double, weight_patches>},
    {"windows", windows_applies, weight_windows_seconds, conv_sum_error,
     backward_weight<float, weight_windows>, backward_weight<double, weight_windows>},
    {"pointwise", pointwise_applies, weight_pointwise_seconds, conv_sum_error,
     pointwise_backward_weight<float>, pointwise_backward_weight<double>},
    {"panels", panels_of_dy_apply, weight_panels_seconds, conv_sum_error,
     weight_panels<float, false>, weight_panels<double, false>},
    {"panels_turned", panels_apply, weight_panels_turned_seconds, conv_sum_error,
     weight_panels<float, true>, weight_panels<double, true>},
    {"rows", always, weight_rows_seconds, conv_sum_error, backward_weight<float, weight_rows>,
     backward_weight<double, weight_rows>},
    {"rows_turned", pointwise_applies, weight_rows_turned_seconds, conv_sum_error,
     backward_weight<float, weight_rows_turned>, backward_weight<double, weight_rows_turned>},
    {"implicit_gemm", always, weight_gemm_seconds, conv_sum_error,
     backward_weight<float, weight_gemm>, backward_weight<double, weight_gemm>},
};

}  // namespace

Algorithms conv_weight_algorithms(dl_conv_pass pass) {
    return of_pass(pass, {}, {}, kBackwardWeight);
}

}  // namespace deeplite::cpu::DL_ISA
