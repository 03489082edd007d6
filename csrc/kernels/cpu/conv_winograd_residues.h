// 3x3 windows of stride 2, residue by residue of the input's rows and columns (of the results' in the
// gradient of the input). Of the even rows two taps are met, of the odd ones one, so the residues are
// windows of 2x2, 2x1, 1x2 and 1x1: each is computed by the tiles that suit it, F(5, 2) along what has
// two taps and plain products along what has one. That takes 4.84 products a result instead of 9, where
// one shape for all takes 5.76.
//
// Forward, the residues are one sum: each adds its results to those before, as to a residual.
#pragma once
#include "kernels/cpu/conv_gemm.h"
#include "kernels/cpu/conv_winograd.h"

namespace {

typedef WinoSquare<5, 2> ResidueSquare;
typedef WinoShape<5, 2, 1, 1> ResidueColumn;
typedef WinoShape<1, 1, 5, 2> ResidueRow;

bool wino_residues_applies(const dl_conv& p) {
    if (p.channels_last) return false;  // the plain product of a residue reads planes
    for (int d = 1; d < 3; ++d)
        if (p.kernel[d] != 3 || p.stride[d] != 2 || p.dilation[d] != 1 || p.in[d] < 2) return false;
    return p.kernel[0] <= kWinoParts && conv_volume(p.out) > 0 && p.in[0] > 0 && p.n > 0 &&
           p.c > 0 && p.k > 0;
}

template <class T>
dl_status wino_residue(const Sliding<T>& s) {
    bool down = false, across = false;
    for (int64_t t = 1; t < s.ntaps; ++t) {
        down = down || s.taps[t].off[1] != s.taps[0].off[1];
        across = across || s.taps[t].off[2] != s.taps[0].off[2];
    }
    return down && across ? WinoProduct<ResidueSquare>::run(s)
           : down         ? WinoProduct<ResidueColumn>::run(s)
           : across       ? WinoProduct<ResidueRow>::run(s)
                          : sliding_gemm(s);
}

template <class T>
dl_status wino_residues_forward(const dl_conv& p) {
    const int64_t volume = conv_volume(p.kernel);
    auto* taps = static_cast<ConvTap*>(dl_scratch(size_t(2 * volume) * sizeof(ConvTap), kTapsSlot));
    if (!taps) return DL_OUT_OF_MEMORY;
    Sliding<T> s = sliding_forward<T>(p, taps);
    s.taps = taps + volume;
    for (int residue = 3; residue >= 0; --residue) {  // of few taps first
        s.ntaps = 0;
        for (int64_t t = 0; t < volume; ++t)
            if (t / 3 % 3 % 2 == residue / 2 && t % 3 % 2 == residue % 2)
                taps[volume + s.ntaps++] = taps[t];
        const dl_status status = wino_residue(s);
        if (status != DL_OK) return status;
        s.bias = nullptr;
        s.finish.on = true, s.finish.residual = s.finish.y = s.dst;
        s.finish.low = -__builtin_inff(), s.finish.high = __builtin_inff();
    }
    return DL_OK;
}

template <bool backward>
double wino_residues_seconds(const dl_conv& p) {
    const int64_t k = p.k / p.groups, c = p.c / p.groups;
    WinoSize size{p.n * p.out[0],       p.groups, backward ? c : k, backward ? k : c, p.kernel[0],
                  {p.out[1], p.out[2]}, {1, 1}};
    if (backward) {
        size.planes = p.n * gemm_div_up(p.in[0], p.stride[0]);
        for (int d = 0; d < 2; ++d) size.out[d] = gemm_div_up(p.in[d + 1], 2);
    }
    const double weights = conv_w_size(p) / double(p.groups),
                 positions = double(size.planes) * double(size.out[0] * size.out[1]);
    const double input = backward ? 15 : 25, output = backward ? 10 : 6;
    const double plain = double(p.kernel[0]) * double(k * c) * positions / (0.85 * conv_peak(p)) +
                         weights / 9 * 2.5 * kConvCycle;
    const double seconds = wino_product_seconds<ResidueSquare>(size, 1, weights, input, output) +
                           wino_product_seconds<ResidueColumn>(size, 1, weights, input, output) +
                           wino_product_seconds<ResidueRow>(size, 1, weights, input, output) +
                           double(p.groups) * plain + 40e-6 + conv_traffic(p) / 2.5;
    return seconds * (backward ? 1 : 1.1);  // forward goes through its results four times
}

}  // namespace
