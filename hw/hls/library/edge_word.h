// Words of streams, and small things that all stages use.
#ifndef EDGE_WORD_H
#define EDGE_WORD_H

#include <ap_int.h>
#include <hls_stream.h>

namespace edge {

// What moves in one cycle: the channels of one position of an image, or a run of a vector's elements.
template <typename T, int LANES>
struct word {
    T lane[LANES];
};

template <typename T, typename V>
T clip(V value, int lo, int hi) {
    return value < lo ? T(lo) : value > hi ? T(hi) : T(value);
}

}  // namespace edge

#endif
