// Winograd's algorithm.
#include "kernels/cpu/conv_winograd.h"
#include "kernels/cpu/conv_algorithm.h"
#include "kernels/cpu/conv_winograd_residues.h"
#include "kernels/cpu/conv_winograd_weight.h"

namespace deeplite::cpu::DL_ISA {
namespace {

// Tiles: of 2x2 ... 6x6 results, of 3 or 4 neighbours in a row or column.
typedef WinoSquare<2, 3> Square2;
typedef WinoSquare<3, 3> Square3;
typedef WinoSquare<4, 3> Square4;
typedef WinoSquare<4, 2> Pairs4;
typedef WinoSquare<5, 2> Square5;
typedef WinoSquare<6, 3> Square6;
typedef WinoShape<1, 1, 3, 4> Row3;
typedef WinoShape<1, 1, 4, 3> Row4;
typedef WinoShape<3, 4, 1, 1> Column3;
typedef WinoShape<4, 3, 1, 1> Column4;

constexpr Algorithm kForward[] = {
    {"winograd2", wino_applies<Square2>, wino_seconds<Square2, false>, wino_error<Square2>,
     forward<float, WinoProduct<Square2>::run>, nullptr, true},
    {"winograd3", wino_applies<Square3>, wino_seconds<Square3, false>, wino_error<Square3>,
     forward<float, WinoProduct<Square3>::run>, nullptr, true},
    {"winograd4", wino_applies<Square4>, wino_seconds<Square4, false>, wino_error<Square4>,
     forward<float, WinoProduct<Square4>::run>, nullptr, true},
    {"winograd_pairs", wino_applies<Pairs4>, wino_seconds<Pairs4, false>, wino_error<Pairs4>,
     forward<float, WinoProduct<Pairs4>::run>, nullptr, true},
    {"winograd5", wino_applies<Square5>, wino_seconds<Square5, false>, wino_error<Square5>,
     forward<float, WinoProduct<Square5>::run>, nullptr, true},
    {"winograd6", wino_applies<Square6>, wino_seconds<Square6, false>, wino_error<Square6>,
     forward<float, WinoProduct<Square6>::run>, nullptr, true},
    {"winograd_residues", wino_residues_applies<false>, wino_residues_seconds<false>,
     wino_error<Square5>, wino_residues<float, false>, nullptr, true},
    {"winograd_row3", wino_applies<Row3>, wino_seconds<Row3, false>, wino_error<Row3>,
     forward<float, WinoProduct<Row3>::run>, nullptr, true},
    {"winograd_row4", wino_applies<Row4>, wino_seconds<Row4, false>, wino_error<Row4>,
     forward<float, WinoProduct<Row4>::run>, nullptr, true},
    {"winograd_column3", wino_applies<Column3>, wino_seconds<Column3, false>, wino_error<Column3>,
     forward<float, WinoProduct<Column3>::run>, nullptr, true},
    {"winograd_column4", wino_applies<Column4>, wino_seconds<Column4, false>, wino_error<Column4>,
     forward<float, WinoProduct<Column4>::run>, nullptr, true},
};
constexpr Algorithm kBackwardInput[] = {
    {"winograd2", wino_applies<Square2>, wino_seconds<Square2, true>, wino_error<Square2>,
     backward_input<float, WinoProduct<Square2>::run>, nullptr},
    {"winograd3", wino_applies<Square3>, wino_seconds<Square3, true>, wino_error<Square3>,
     backward_input<float, WinoProduct<Square3>::run>, nullptr},
    {"winograd4", wino_applies<Square4>, wino_seconds<Square4, true>, wino_error<Square4>,
     backward_input<float, WinoProduct<Square4>::run>, nullptr},
    {"winograd_pairs", wino_applies<Pairs4>, wino_seconds<Pairs4, true>, wino_error<Pairs4>,
     backward_input<float, WinoProduct<Pairs4>::run>, nullptr},
    {"winograd5", wino_applies<Square5>, wino_seconds<Square5, true>, wino_error<Square5>,
     backward_input<float, WinoProduct<Square5>::run>, nullptr},
    {"winograd6", wino_applies<Square6>, wino_seconds<Square6, true>, wino_error<Square6>,
     backward_input<float, WinoProduct<Square6>::run>, nullptr},
    {"winograd_residues", wino_residues_applies<true>, wino_residues_seconds<true>,
     wino_error<Square5>, wino_residues<float, true>, nullptr},
    {"winograd_row3", wino_applies<Row3>, wino_seconds<Row3, true>, wino_error<Row3>,
     backward_input<float, WinoProduct<Row3>::run>, nullptr},
    {"winograd_row4", wino_applies<Row4>, wino_seconds<Row4, true>, wino_error<Row4>,
     backward_input<float, WinoProduct<Row4>::run>, nullptr},
    {"winograd_column3", wino_applies<Column3>, wino_seconds<Column3, true>, wino_error<Column3>,
     backward_input<float, WinoProduct<Column3>::run>, nullptr},
    {"winograd_column4", wino_applies<Column4>, wino_seconds<Column4, true>, wino_error<Column4>,
     backward_input<float, WinoProduct<Column4>::run>, nullptr},
};
constexpr Algorithm kBackwardWeight[] = {
    {"winograd2", wino_weight_applies, wino_backward_weight_seconds<Square2>, wino_error<Square2>,
     wino_backward_weight<float, Square2>, nullptr},
    {"winograd4", wino_weight_applies, wino_backward_weight_seconds<Square4>, wino_error<Square4>,
     wino_backward_weight<float, Square4>, nullptr},
    {"winograd6", wino_weight_applies, wino_backward_weight_seconds<Square6>, wino_error<Square6>,
     wino_backward_weight<float, Square6>, nullptr},
};

}  // namespace

Algorithms conv_winograd_algorithms(dl_conv_pass pass) {
    return of_pass(pass, kForward, kBackwardInput, kBackwardWeight);
}

}  // namespace deeplite::cpu::DL_ISA
