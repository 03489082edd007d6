// Depthwise convolution: every window sees one channel.
#include "kernels/cpu/conv_depthwise.h"
#include "kernels/cpu/conv_algorithm.h"
#include "kernels/cpu/conv_cost.h"

namespace deeplite::cpu::DL_ISA {
namespace {

// Vectors of results, about two products a cycle; planes, begun one by one; rows split by stride.
double depthwise_cost(const dl_conv& p, double product) {
    const double lanes = DL_VEC_BYTES / conv_element(p), planes = double(p.n * p.k);
    const double rows = double(p.out[0] * p.out[1]), width = double(p.out[2]);
    // Short rows share vectors.
    const double vectors = width > lanes / 2 ? rows * __builtin_ceil(width / lanes)
                                             : __builtin_ceil(rows * width / lanes) * 1.2;
    const double split = p.stride[2] > 1 ? 1.3 * double(conv_volume(p.in)) / lanes : 0;
    const double products = vectors * double(conv_volume(p.kernel)) * (DL_VEC_BYTES > 16 ? 1 : 2);
    const double cycles = products * product + split + 12;
    return planes * cycles / kConvHertz + 12e-6 + conv_traffic(p) / 8;
}
constexpr double kSlide = DL_VEC_BYTES == 64 ? 0.43 : 0.52;
double seconds_depthwise(const dl_conv& p) { return depthwise_cost(p, kSlide); }
double seconds_depthwise_input(const dl_conv& p) {
    return depthwise_cost(p, p.stride[1] == 1 ? kSlide : 0.52);
}
double seconds_depthwise_weight(const dl_conv& p) { return depthwise_cost(p, 0.9); }

constexpr Algorithm kForward[] = {
    {"depthwise", is_depthwise_window, seconds_depthwise, conv_sum_error,
     depthwise_planes<float, DepthwisePass::kForward>,
     depthwise_planes<double, DepthwisePass::kForward>, true},
};
constexpr Algorithm kBackwardInput[] = {
    {"depthwise", is_depthwise_window_input, seconds_depthwise_input, conv_sum_error,
     depthwise_planes<float, DepthwisePass::kBackwardInput>,
     depthwise_planes<double, DepthwisePass::kBackwardInput>},
};
constexpr Algorithm kBackwardWeight[] = {
    {"depthwise", is_depthwise_window, seconds_depthwise_weight, conv_sum_error,
     depthwise_weight<float>, depthwise_weight<double>},
};

}  // namespace

Algorithms conv_depthwise_algorithms(dl_conv_pass pass) {
    return of_pass(pass, kForward, kBackwardInput, kBackwardWeight);
}

}  // namespace deeplite::cpu::DL_ISA
