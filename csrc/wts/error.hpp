// The one error of the core: a code, a place, and figures. Words are added once, at the edge (csrc/bindings.cpp and
// pywts/errors.py).
#pragma once

#include <cstdint>
#include <exception>

namespace pywts {

enum class Code : std::uint8_t {
  overflow,        // a finite float64 that float32 cannot hold; index: the value's C-order index in its tensor
  source_read,     // the system refused a read of the source; system_error holds errno
  source_short,    // the source ended before the bytes that were announced; index: the byte offset in the source
  checksum,        // the source's bytes do not have the CRC32 that was kept; index: the one that they have
  sink_write,      // the system refused a write; system_error holds errno
  out_of_bounds,   // a view that reaches outside its storage (callers check first; this is the last line of defence)
  unknown_kernel,  // PYWTS_KERNEL names no kernel of this build
  missing_kernel,  // PYWTS_KERNEL names a kernel that this processor cannot run
  cancelled,       // the caller's tick asked to stop
};

class Error : public std::exception {
 public:
  explicit Error(Code code, std::int64_t index = -1, int system_error = 0) noexcept
      : code(code), index(index), system_error(system_error) {}
  const char* what() const noexcept override { return "pywts core error"; }

  Code code;
  std::int64_t index;
  int system_error;
};

}  // namespace pywts
