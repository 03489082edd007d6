// Convolution of groups: the filters of a group are the lanes.
#include "kernels/cpu/conv_grouped.h"
#include "kernels/cpu/conv_algorithm.h"
#include "kernels/cpu/conv_grouped_cost.h"
#include "kernels/cpu/conv_grouped_weight.h"
#include "kernels/cpu/conv_grouped_winograd_weight.h"

namespace deeplite::cpu::DL_ISA {
namespace {

constexpr Algorithm kForward[] = {
    {"grouped", grouped_applies, grouped_forward_seconds, conv_sum_error, grouped_forward<float>,
     nullptr, true},
    {"winograd_groups", grouped_wino_applies, grouped_wino_forward_seconds,
     wino_error<GroupedSquare>, forward<float, grouped_winograd<float>>, nullptr, true},
};
constexpr Algorithm kBackwardInput[] = {
    {"grouped", grouped_input_applies, grouped_input_seconds, conv_sum_error,
     grouped_backward_input<float>, nullptr},
    {"winograd_groups", grouped_wino_applies, grouped_wino_input_seconds, wino_error<GroupedSquare>,
     backward_input<float, grouped_winograd<float>>, nullptr},
};

constexpr Algorithm kBackwardWeight[] = {
    {"grouped", grouped_weight_applies, grouped_weight_seconds, conv_sum_error,
     backward_weight<float, grouped_weight>, nullptr},
    {"winograd_groups", grouped_wino_applies, grouped_wino_weight_seconds,
     wino_error<GroupedSquare>, backward_weight<float, grouped_wino_weight>, nullptr},
};

}  // namespace

Algorithms conv_grouped_algorithms(dl_conv_pass pass) {
    return of_pass(pass, kForward, kBackwardInput, kBackwardWeight);
}

}  // namespace deeplite::cpu::DL_ISA
