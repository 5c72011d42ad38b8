// Stages that move elements: copies for several readers, joined channels, boxes of an image, any other order.
#ifndef EDGE_MOVE_H
#define EDGE_MOVE_H

#include "edge_word.h"

namespace edge {

template <int WORDS, typename T, int LANES>
void copy(hls::stream<word<T, LANES> >& in, hls::stream<word<T, LANES> >& first, hls::stream<word<T, LANES> >& second) {
    for (int position = 0; position < WORDS; ++position) {
#pragma HLS PIPELINE II = 1
        const word<T, LANES> x = in.read();
        first.write(x);
        second.write(x);
    }
}

// The channels of `second` after those of `first`.
template <int WORDS, typename T, typename A, int FIRST, typename B, int SECOND>
void join(hls::stream<word<A, FIRST> >& first, hls::stream<word<B, SECOND> >& second,
          hls::stream<word<T, FIRST + SECOND> >& out) {
    for (int position = 0; position < WORDS; ++position) {
#pragma HLS PIPELINE II = 1
        const word<A, FIRST> a = first.read();
        const word<B, SECOND> b = second.read();
        word<T, FIRST + SECOND> result;
        for (int lane = 0; lane < FIRST; ++lane) {
#pragma HLS UNROLL
            result.lane[lane] = T(a.lane[lane]);
        }
        for (int lane = 0; lane < SECOND; ++lane) {
#pragma HLS UNROLL
            result.lane[FIRST + lane] = T(b.lane[lane]);
        }
        out.write(result);
    }
}

// All of the words of `second` after those of `first`.
template <typename T, int FIRST, int SECOND, typename A, typename B, int LANES>
void chain(hls::stream<word<A, LANES> >& first, hls::stream<word<B, LANES> >& second,
           hls::stream<word<T, LANES> >& out) {
    for (int position = 0; position < FIRST + SECOND; ++position) {
#pragma HLS PIPELINE II = 1
        word<T, LANES> result;
        if (position < FIRST) {
            const word<A, LANES> a = first.read();
            for (int lane = 0; lane < LANES; ++lane) result.lane[lane] = T(a.lane[lane]);
        } else {
            const word<B, LANES> b = second.read();
            for (int lane = 0; lane < LANES; ++lane) result.lane[lane] = T(b.lane[lane]);
        }
        out.write(result);
    }
}

// Element `Order::of(i)` of `first` followed by `second`, counted as they arrive, is element i of the output.
template <int FIRST, int SECOND, int OUT_WORDS, typename Order, typename T, typename A, int A_LANES, typename B,
          int B_LANES, int OUT_LANES>
void merge(hls::stream<word<A, A_LANES> >& first, hls::stream<word<B, B_LANES> >& second,
           hls::stream<word<T, OUT_LANES> >& out) {
    T elements[FIRST * A_LANES + SECOND * B_LANES];
    for (int position = 0; position < FIRST; ++position) {
        const word<A, A_LANES> a = first.read();
        for (int lane = 0; lane < A_LANES; ++lane) elements[position * A_LANES + lane] = T(a.lane[lane]);
    }
    for (int position = 0; position < SECOND; ++position) {
        const word<B, B_LANES> b = second.read();
        for (int lane = 0; lane < B_LANES; ++lane) {
            elements[FIRST * A_LANES + position * B_LANES + lane] = T(b.lane[lane]);
        }
    }
    for (int position = 0; position < OUT_WORDS; ++position) {
        word<T, OUT_LANES> result;
        for (int lane = 0; lane < OUT_LANES; ++lane) {
#pragma HLS PIPELINE II = 1
            result.lane[lane] = elements[Order::of(position * OUT_LANES + lane)];
        }
        out.write(result);
    }
}

// A tensor that never changes, once for each sample.
template <int WORDS, typename T, int LANES, typename C>
void constant(hls::stream<word<T, LANES> >& out, const C (&elements)[WORDS][LANES]) {
    for (int position = 0; position < WORDS; ++position) {
#pragma HLS PIPELINE II = 1
        word<T, LANES> result;
        for (int lane = 0; lane < LANES; ++lane) {
#pragma HLS UNROLL
            result.lane[lane] = T(elements[position][lane]);
        }
        out.write(result);
    }
}

// Of an image, along each axis the positions that `Sources` names, in its order; -1 stands for the constant FILL.
template <typename Sources, typename T, typename X, int CHANNELS>
void box(hls::stream<word<X, CHANNELS> >& in, hls::stream<word<T, Sources::OUT_CHANNELS> >& out) {
    word<X, CHANNELS> image[Sources::HEIGHT][Sources::WIDTH];
    for (int y = 0; y < Sources::HEIGHT; ++y) {
        for (int x = 0; x < Sources::WIDTH; ++x) {
#pragma HLS PIPELINE II = 1
            image[y][x] = in.read();
        }
    }
    for (int y = 0; y < Sources::OUT_HEIGHT; ++y) {
        for (int x = 0; x < Sources::OUT_WIDTH; ++x) {
#pragma HLS PIPELINE II = 1
            word<T, Sources::OUT_CHANNELS> result;
            for (int lane = 0; lane < Sources::OUT_CHANNELS; ++lane) {
#pragma HLS UNROLL
                const int sy = Sources::row(y), sx = Sources::column(x), channel = Sources::channel(lane);
                const bool inside = sy >= 0 && sx >= 0 && channel >= 0;
                result.lane[lane] = inside ? T(image[sy][sx].lane[channel]) : T(Sources::FILL);
            }
            out.write(result);
        }
    }
}

// Linear resampling: along each axis two neighbours with integer coefficients.
template <typename Sources, typename Finish, typename X, int CHANNELS>
void resample(hls::stream<word<X, CHANNELS> >& in, hls::stream<word<typename Finish::type, CHANNELS> >& out) {
    word<X, CHANNELS> image[Sources::HEIGHT][Sources::WIDTH];
    for (int y = 0; y < Sources::HEIGHT; ++y) {
        for (int x = 0; x < Sources::WIDTH; ++x) {
#pragma HLS PIPELINE II = 1
            image[y][x] = in.read();
        }
    }
    for (int y = 0; y < Sources::OUT_HEIGHT; ++y) {
        for (int x = 0; x < Sources::OUT_WIDTH; ++x) {
#pragma HLS PIPELINE II = 4
            word<typename Finish::type, CHANNELS> result;
            for (int lane = 0; lane < CHANNELS; ++lane) {
#pragma HLS UNROLL
                typename Sources::accumulator sum = 0;
                for (int corner = 0; corner < 4; ++corner) {
                    const int below = corner / 2, right = corner % 2;
                    const int weight = Sources::row_weight(y, below) * Sources::column_weight(x, right);
                    if (weight != 0) {
                        const word<X, CHANNELS>& source = image[Sources::row(y) + below][Sources::column(x) + right];
                        sum = sum + weight * (source.lane[lane] - Sources::ZERO_POINT);
                    }
                }
                result.lane[lane] = Finish::apply(lane, sum);
            }
            out.write(result);
        }
    }
}

// Element `Order::of(i)` of the input, counted as it arrives, is element i of the output.
template <int IN_WORDS, int OUT_WORDS, int OUT_LANES, typename Order, typename X, int IN_LANES>
void reorder(hls::stream<word<X, IN_LANES> >& in, hls::stream<word<X, OUT_LANES> >& out) {
    X elements[IN_WORDS * IN_LANES];
    for (int position = 0; position < IN_WORDS; ++position) {
        const word<X, IN_LANES> x = in.read();
        for (int lane = 0; lane < IN_LANES; ++lane) elements[position * IN_LANES + lane] = x.lane[lane];
    }
    for (int position = 0; position < OUT_WORDS; ++position) {
        word<X, OUT_LANES> result;
        for (int lane = 0; lane < OUT_LANES; ++lane) {
#pragma HLS PIPELINE II = 1
            result.lane[lane] = elements[Order::of(position * OUT_LANES + lane)];
        }
        out.write(result);
    }
}

}  // namespace edge

#endif
