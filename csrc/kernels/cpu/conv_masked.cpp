// Convolution by whole planes: positions that a tap does not reach are masked out.
#include "kernels/cpu/conv_masked.h"
#include "kernels/cpu/conv_algorithm.h"
#include "kernels/cpu/conv_masked_weight.h"
#include "kernels/cpu/conv_sliding_cost.h"

namespace deeplite::cpu::DL_ISA {
namespace {

constexpr Algorithm kForward[] = {
    {"masked", masked_applies, sliding_seconds<masked_seconds, false>, conv_sum_error,
     masked_forward<float>, masked_forward<double>},
};
constexpr Algorithm kBackwardInput[] = {
    {"masked", masked_applies, sliding_seconds<masked_seconds, true>, conv_sum_error,
     masked_backward_input<float>, masked_backward_input<double>},
};
constexpr Algorithm kBackwardWeight[] = {
    {"masked", masked_weight_applies, masked_weight_seconds, conv_sum_error,
     backward_weight<float, masked_weight>, backward_weight<double, masked_weight>},
};

}  // namespace

Algorithms conv_masked_algorithms(dl_conv_pass pass) {
    return of_pass(pass, kForward, kBackwardInput, kBackwardWeight);
}

}  // namespace deeplite::cpu::DL_ISA
