// SPDX-License-Identifier: MIT
// The conversions of the CUDA headers, run on the host, as the judge of the formats that they know.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp4.h>
#include <cuda_fp6.h>
#include <cuda_fp8.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include <ristretto/formats.hpp>
#include <ristretto/trimmer.hpp>

#include "catch.hpp"
#include "checks.hpp"

namespace rt = ristretto;

namespace {

constexpr std::uint32_t stride = 1021;  // a prime: 2^22 inputs

template <class Compare>
void for_many_floats(Compare compare) {
  for (const float x : checks::special_floats()) compare(x);
  for (std::uint64_t u = 0; u < 0x1'0000'0000; u += stride) compare(checks::from_bits(static_cast<std::uint32_t>(u)));
}

/// The number of a code; infinities and NaN are up to the caller.
float decode(unsigned code, int exponent_bits, int mantissa_bits) {
  const unsigned mantissa = code & ((1u << mantissa_bits) - 1);
  const int exponent = static_cast<int>(code >> mantissa_bits & ((1u << exponent_bits) - 1));
  const bool negative = (code >> (exponent_bits + mantissa_bits) & 1) != 0;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const auto m = static_cast<float>(exponent == 0 ? mantissa : mantissa + (1u << mantissa_bits));
  const float magnitude = std::ldexp(m, (exponent == 0 ? 1 : exponent) - bias - mantissa_bits);
  return negative ? -magnitude : magnitude;
}

float decode_e4m3(unsigned code) { return (code & 0x7F) == 0x7F ? checks::quiet_nan : decode(code, 4, 3); }
float decode_e5m2(unsigned code) {
  if ((code & 0x7F) > 0x7C) return checks::quiet_nan;
  if ((code & 0x7F) == 0x7C) return code == 0x7C ? checks::inf : -checks::inf;
  return decode(code, 5, 2);
}

}  // namespace

// __NV_SATFINITE takes infinities, too, to the largest finite number, as Overflow::saturate does; NaN stays NaN.
TEST_CASE("saturating FP8 conversions of CUDA agree") {
  checks::Disagreements found;
  for_many_floats([&found](float x) {
    found.compare("E4M3", x, rt::Trimmer{rt::Float8E4M3FN{}}(x),
                  decode_e4m3(__nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3)));
    found.compare("E5M2", x, rt::Trimmer{rt::Float8E5M2{}}(x),
                  decode_e5m2(__nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E5M2)));
  });
  CHECK(found.report() == "");
}

// __NV_NOSAT: in E5M2 what rounds beyond the largest number, and infinities, become infinite, as Overflow::to_infinity
// says. In E4M3, which has no infinity, they become NaN; the numbers below that agree.
TEST_CASE("FP8 conversions of CUDA that do not saturate agree") {
  checks::Disagreements found;
  const rt::Trimmer e5m2{rt::Minifloat<2, 5, rt::Encoding::ieee, rt::Overflow::to_infinity>{}};
  for_many_floats([&](float x) {
    found.compare("E5M2", x, e5m2(x), decode_e5m2(__nv_cvt_float_to_fp8(x, __NV_NOSAT, __NV_E5M2)));
    const float e4m3 = decode_e4m3(__nv_cvt_float_to_fp8(x, __NV_NOSAT, __NV_E4M3));
    const bool rounds_beyond = std::abs(x) > 464;  // the tie between 448 and 480 goes to 448, which is even
    found.compare("E4M3", x, e4m3, rounds_beyond ? checks::quiet_nan : rt::Trimmer{rt::Float8E4M3FN{}}(x));
  });
  CHECK(found.report() == "");
}

// FP6 and FP4 have neither infinities nor NaN: infinities become the largest numbers; NaN, which becomes the largest
// number, is left out.
TEST_CASE("FP6 and FP4 conversions of CUDA agree") {
  checks::Disagreements found;
  for_many_floats([&found](float x) {
    if (x != x) return;
    found.compare("E3M2", x, rt::Trimmer{rt::Float6E3M2FN{}}(x),
                  decode(__nv_cvt_float_to_fp6(x, __NV_E3M2, cudaRoundNearest), 3, 2));
    found.compare("E2M3", x, rt::Trimmer{rt::Float6E2M3FN{}}(x),
                  decode(__nv_cvt_float_to_fp6(x, __NV_E2M3, cudaRoundNearest), 2, 3));
    found.compare("E2M1", x, rt::Trimmer{rt::Float4E2M1FN{}}(x),
                  decode(__nv_cvt_float_to_fp4(x, __NV_E2M1, cudaRoundNearest), 2, 1));
  });
  CHECK(found.report() == "");
}

// __float2half and __float2bfloat16 do what IEEE 754 does: infinities stay, and come from what rounds beyond the end.
TEST_CASE("half and bfloat16 conversions of CUDA agree") {
  checks::Disagreements found;
  using rt::Encoding;
  using rt::Overflow;
  const rt::Minifloat<10, 5, Encoding::ieee, Overflow::to_infinity> to_half{};
  const rt::Minifloat<7, 8, Encoding::ieee, Overflow::to_infinity> to_bfloat16{};
  for_many_floats([&](float x) {
    found.compare("half", x, rt::Trimmer{to_half}(x), __half2float(__float2half_rn(x)));
    if (std::abs(x) < 65504) {  // beyond, directed roundings of IEEE 754 may stay at the largest number
      found.compare("half toward zero", x, rt::Trimmer{to_half, rt::RoundTowardZero{}}(x),
                    __half2float(__float2half_rz(x)));
      found.compare("half down", x, rt::Trimmer{to_half, rt::RoundDown{}}(x), __half2float(__float2half_rd(x)));
      found.compare("half up", x, rt::Trimmer{to_half, rt::RoundUp{}}(x), __half2float(__float2half_ru(x)));
    }
    found.compare("bfloat16", x, rt::Trimmer{to_bfloat16}(x), __bfloat162float(__float2bfloat16_rn(x)));
    if (std::abs(x) < 0x1.fep127f) {
      found.compare("bfloat16 down", x, rt::Trimmer{to_bfloat16, rt::RoundDown{}}(x),
                    __bfloat162float(__float2bfloat16_rd(x)));
      found.compare("bfloat16 up", x, rt::Trimmer{to_bfloat16, rt::RoundUp{}}(x),
                    __bfloat162float(__float2bfloat16_ru(x)));
    }
  });
  CHECK(found.report() == "");
}
