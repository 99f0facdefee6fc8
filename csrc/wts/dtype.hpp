// Every dtype that a .wts can be written from. float4, complex, quantized and packed dtypes have no place here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pywts {

enum class Dtype : std::uint8_t {
  float32,
  float16,
  bfloat16,
  float64,
  float8_e4m3fn,
  float8_e4m3fnuz,
  float8_e5m2,
  float8_e5m2fnuz,
  float8_e8m0fnu,
  int8,
  int16,
  int32,
  int64,
  uint8,
  uint16,
  uint32,
  uint64,
  boolean,
};

struct DtypeInfo {
  std::string_view name;  // torch's name, without "torch."
  Dtype dtype;
  std::size_t size;  // bytes an element
};

inline constexpr DtypeInfo kDtypes[] = {
    {"float32", Dtype::float32, 4},
    {"float16", Dtype::float16, 2},
    {"bfloat16", Dtype::bfloat16, 2},
    {"float64", Dtype::float64, 8},
    {"float8_e4m3fn", Dtype::float8_e4m3fn, 1},
    {"float8_e4m3fnuz", Dtype::float8_e4m3fnuz, 1},
    {"float8_e5m2", Dtype::float8_e5m2, 1},
    {"float8_e5m2fnuz", Dtype::float8_e5m2fnuz, 1},
    {"float8_e8m0fnu", Dtype::float8_e8m0fnu, 1},
    {"int8", Dtype::int8, 1},
    {"int16", Dtype::int16, 2},
    {"int32", Dtype::int32, 4},
    {"int64", Dtype::int64, 8},
    {"uint8", Dtype::uint8, 1},
    {"uint16", Dtype::uint16, 2},
    {"uint32", Dtype::uint32, 4},
    {"uint64", Dtype::uint64, 8},
    {"bool", Dtype::boolean, 1},
};

inline const DtypeInfo& info(Dtype dtype) noexcept { return kDtypes[static_cast<std::size_t>(dtype)]; }

}  // namespace pywts
