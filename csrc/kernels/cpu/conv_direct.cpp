// Convolution with the rows of x read in place, or copied apart by stride once.
#include "kernels/cpu/conv_direct.h"
#include "kernels/cpu/conv_algorithm.h"
#include "kernels/cpu/conv_broadcast.h"
#include "kernels/cpu/conv_fold.h"
#include "kernels/cpu/conv_sliding_cost.h"

namespace deeplite::cpu::DL_ISA {
namespace {

constexpr Algorithm kForward[] = {
    {"direct", is_direct, sliding_seconds<direct_seconds, false>, conv_sum_error,
     forward<float, sliding_direct>, forward<double, sliding_direct>, true},
    {"broadcast", is_direct, sliding_seconds<broadcast_seconds, false>, conv_sum_error,
     broadcast_forward<float>, broadcast_forward<double>, true},
};
constexpr Algorithm kBackwardInput[] = {
    {"direct", is_direct, sliding_seconds<direct_seconds, true>, conv_sum_error,
     backward_input<float, sliding_direct>, backward_input<double, sliding_direct>},
    {"broadcast", is_direct, sliding_seconds<broadcast_seconds, true>, conv_sum_error,
     broadcast_backward_input<float>, broadcast_backward_input<double>},
    {"fold", fold_applies, fold_seconds, conv_sum_error, fold_backward_input<float>,
     fold_backward_input<double>},
};
constexpr Algorithm kBackwardWeight[] = {
    {"direct", weight_depthwise_applies, weight_depthwise_seconds, conv_sum_error,
     backward_weight<float, weight_depthwise>, backward_weight<double, weight_depthwise>},
};

}  // namespace

Algorithms conv_direct_algorithms(dl_conv_pass pass) {
    return of_pass(pass, kForward, kBackwardInput, kBackwardWeight);
}

}  // namespace deeplite::cpu::DL_ISA
