// Depthwise convolution: every window sees one channel.
#include "kernels/cpu/conv_depthwise.h"
#include "kernels/cpu/conv_algorithm.h"
#include "kernels/cpu/conv_cost.h"

namespace deeplite::cpu::DL_ISA {
namespace {

double seconds_depthwise(const dl_conv& p) {
    return conv_macs(p) / (0.6 * conv_peak(p)) + conv_traffic(p) / 8;
}
constexpr Algorithm kForward[] = {
    {"depthwise", is_depthwise_window, seconds_depthwise, conv_sum_error,
     depthwise_planes<float, DepthwisePass::kForward>,
     depthwise_planes<double, DepthwisePass::kForward>, true},
};
constexpr Algorithm kBackwardInput[] = {
    {"depthwise", is_depthwise_window_input, seconds_depthwise, conv_sum_error,
     depthwise_planes<float, DepthwisePass::kBackwardInput>,
     depthwise_planes<double, DepthwisePass::kBackwardInput>},
};
constexpr Algorithm kBackwardWeight[] = {
    {"depthwise", is_depthwise_window, seconds_depthwise, conv_sum_error, depthwise_weight<float>,
     depthwise_weight<double>},
};

}  // namespace

Algorithms conv_depthwise_algorithms(dl_conv_pass pass) {
    return of_pass(pass, kForward, kBackwardInput, kBackwardWeight);
}

}  // namespace deeplite::cpu::DL_ISA
