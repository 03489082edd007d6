// Convolution of tensors whose channels lie side by side.
#include "kernels/cpu/conv_channels_last.h"
#include "kernels/cpu/conv_algorithm.h"
#include "kernels/cpu/conv_channels_last_depthwise.h"
#include "kernels/cpu/conv_channels_last_direct.h"

namespace deeplite::cpu::DL_ISA {
namespace {

constexpr Algorithm kForward[] = {
    {"depthwise", last_depthwise_applies, last_depthwise_seconds<DL_CONV_FORWARD>, conv_sum_error,
     last_depthwise_forward<float>, last_depthwise_forward<double>},
    {"direct", last_direct_applies, last_direct_seconds<DL_CONV_FORWARD>, conv_sum_error,
     last_direct_forward<float>, last_direct_forward<double>, true},
    {"implicit_gemm", always, last_gemm_seconds<DL_CONV_FORWARD>, conv_sum_error,
     last_forward<float>, last_forward<double>, true},
};
constexpr Algorithm kBackwardInput[] = {
    {"depthwise", last_depthwise_applies, last_depthwise_seconds<DL_CONV_BACKWARD_INPUT>,
     conv_sum_error, last_depthwise_backward_input<float>, last_depthwise_backward_input<double>},
    {"direct", last_direct_applies, last_direct_seconds<DL_CONV_BACKWARD_INPUT>, conv_sum_error,
     last_direct_backward_input<float>, last_direct_backward_input<double>},
    {"implicit_gemm", always, last_gemm_seconds<DL_CONV_BACKWARD_INPUT>, conv_sum_error,
     last_backward_input<float>, last_backward_input<double>},
};
constexpr Algorithm kBackwardWeight[] = {
    {"depthwise", last_depthwise_applies, last_depthwise_seconds<DL_CONV_BACKWARD_WEIGHT>,
     conv_sum_error, last_depthwise_weight<float>, last_depthwise_weight<double>},
    {"outer", last_outer_applies, last_outer_seconds, conv_sum_error, last_outer_weight<float>,
     last_outer_weight<double>},
    {"implicit_gemm", always, last_gemm_seconds<DL_CONV_BACKWARD_WEIGHT>, conv_sum_error,
     last_weight<float>, last_weight<double>},
};

}  // namespace

Algorithms conv_channels_last_algorithms(dl_conv_pass pass) {
    return of_pass(pass, kForward, kBackwardInput, kBackwardWeight);
}

}  // namespace deeplite::cpu::DL_ISA
