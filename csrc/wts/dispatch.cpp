// Which kernels this build has, and which one it uses.
#include <cstdlib>
#include <iterator>
#include <string_view>

#include "wts/error.hpp"
#include "wts/kernel.hpp"

namespace pywts {
namespace {

constexpr const Kernel* kKernels[] = {
#if PYWTS_X86
    &kAvx512,
    &kAvx2,
#elif PYWTS_NEON
    &kNeon,
#endif
    &kScalar,
};

const Kernel& choose() {
  const char* variable = std::getenv("PYWTS_KERNEL");
  const std::string_view wanted = variable == nullptr ? "" : variable;
  for (const Kernel* kernel : kKernels) {
    if (wanted.empty() ? kernel->supported() : kernel->name == wanted) {
      if (!kernel->supported()) throw Error(Code::missing_kernel);
      return *kernel;
    }
  }
  throw Error(Code::unknown_kernel);
}

}  // namespace

KernelList kernels() noexcept { return {kKernels, std::size(kKernels)}; }

const Kernel& kernel() {
  static const Kernel& chosen = choose();  // one that throws is tried again on the next call
  return chosen;
}

}  // namespace pywts
