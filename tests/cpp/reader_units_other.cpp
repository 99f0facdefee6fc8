// Includes the header before NvInfer.h, and again after it: loadWeights is there then.
#include "reader_units.hpp"
#include "wts.hpp"
// NvInfer.h must come after the first and before the second.
#include <NvInfer.h>

#include "wts.hpp"

std::size_t values_by_other_unit(const std::string& path) {
  std::size_t count = 0;
  for (auto& [name, weights] : wts::loadWeights(path)) {
    count += static_cast<std::size_t>(weights.count);
    std::free(const_cast<void*>(weights.values));
  }
  return count;
}

const void* kernels_of_other_unit() { return wts::kernels().data(); }
