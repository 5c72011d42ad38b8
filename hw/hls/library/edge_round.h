// The forms of a requantization (docs/arithmetic.md, "Forms"), on numbers as wide as the generator found necessary.
#ifndef EDGE_ROUND_H
#define EDGE_ROUND_H

#include "edge_word.h"

namespace edge {

// value / 2^shift to the nearest integer, ties to even; |value| + 2^(shift - 1) fits in P.
template <typename P>
P round_half_even(P value, int shift) {
    const P below = value >> shift;
    const P rest = value - P(below << shift);
    const P half = P(1) << (shift - 1);
    return rest > half || (rest == half && (below & 1) != 0) ? P(below + 1) : below;
}

// value / 2^shift to the nearest integer, ties upwards.
template <typename P>
P round_half_up(P value, int shift) {
    return (value + (P(1) << (shift - 1))) >> shift;
}

// value / denominator to the nearest integer: ties to even, or away from zero.
template <typename P>
P round_ratio(P value, P denominator, bool half_even) {
    P below = value / denominator;
    P rest = value - P(below * denominator);
    if (rest < 0) {  // division in C++ rounds to zero
        below = below - 1;
        rest = rest + denominator;
    }
    const P twice = rest << 1;
    const bool tie_up = half_even ? (below & 1) != 0 : value > 0;
    return twice > denominator || (twice == denominator && tie_up) ? P(below + 1) : below;
}

// base + the number of thresholds that value has reached; decreasing: base - the number that it has passed.
template <typename V, typename T, int LEVELS>
int count_steps(V value, const T (&thresholds)[LEVELS], int base, bool increasing) {
    int count = 0;
    for (int level = 0; level < LEVELS; ++level) {
#pragma HLS UNROLL factor = 16
        count += increasing ? value >= thresholds[level] : value > thresholds[level];
    }
    return increasing ? base + count : base - count;
}

}  // namespace edge

#endif
