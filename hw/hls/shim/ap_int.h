// Integers of any width up to 64 bits with the interface of the vendor's <ap_int.h>, as far as edgeconv's stages use it.
//
// It stands in for the vendor's file under other compilers. There a value that does not fit is cut off; here it ends the
// program, so that a simulation shows that every width suffices.
#ifndef EDGE_SHIM_AP_INT_H
#define EDGE_SHIM_AP_INT_H

#include <cstdio>
#include <cstdlib>

namespace edge_shim {

[[noreturn]] inline void too_wide(long long value, int bits, bool is_signed) {
    std::fprintf(stderr, "%lld does not fit in ap_%sint<%d>\n", value, is_signed ? "" : "u", bits);
    std::abort();
}

template <int BITS, bool SIGNED>
class integer {
    static_assert(BITS >= 1 && BITS <= (SIGNED ? 64 : 63), "this stand-in has at most 64 bits");

  public:
    constexpr integer() : value_(0) {}
    constexpr integer(long long value) : value_(fits(value) ? value : (too_wide(value, BITS, SIGNED), 0)) {}
    constexpr operator long long() const { return value_; }

  private:
    // Everything fits in 64 bits, whose limits no shift below could express.
    static constexpr int MAGNITUDE = BITS == 64 ? 0 : SIGNED ? BITS - 1 : BITS;
    static constexpr bool fits(long long value) {
        return BITS == 64 || (value >= (SIGNED ? -(1LL << MAGNITUDE) : 0) && value <= (1LL << MAGNITUDE) - 1);
    }
    long long value_;
};

}  // namespace edge_shim

template <int BITS>
using ap_int = edge_shim::integer<BITS, true>;
template <int BITS>
using ap_uint = edge_shim::integer<BITS, false>;

#endif
