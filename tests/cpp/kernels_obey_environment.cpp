// PYWTS_KERNEL: unset or empty means the best; a name means that kernel; an error on every call, until one can be had.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "wts/error.hpp"
#include "wts/kernel.hpp"

namespace {

int failures = 0;

void expect(bool condition, const char* what) {
  if (condition) return;
  std::printf("FAILED %s\n", what);
  ++failures;
}

void expect_error(const char* name, pywts::Code code, const char* what) {
  setenv("PYWTS_KERNEL", name, 1);
  for (int call = 0; call < 2; ++call) {
    try {
      pywts::kernel();
      expect(false, what);
    } catch (const pywts::Error& error) {
      expect(error.code == code, what);
    }
  }
}

}  // namespace

int main() {
  const pywts::KernelList kernels = pywts::kernels();
  expect(kernels.size >= 1 && std::string(kernels.data[kernels.size - 1]->name) == "scalar", "scalar is last");
  expect(kernels.data[kernels.size - 1]->supported(), "scalar is supported");
  const pywts::Kernel* best = nullptr;
  for (const pywts::Kernel* kernel : kernels) {
    if (best == nullptr && kernel->supported()) best = kernel;
  }

  for (const char* name : {"no-such", "Scalar", "scalar ", " ", "avx"}) {
    expect_error(name, pywts::Code::unknown_kernel, "an unknown name is an error");
  }
  for (const pywts::Kernel* kernel : kernels) {
    if (!kernel->supported()) {
      expect_error(kernel->name, pywts::Code::missing_kernel, "a kernel that this processor lacks is an error");
    }
  }

  // What is chosen first stays, so this can be asked once a process: of the empty name, or of a name given here.
  const char* wanted = std::getenv("PYWTS_TEST_KERNEL");
  setenv("PYWTS_KERNEL", wanted == nullptr ? "" : wanted, 1);
  if (wanted == nullptr) {
    expect(&pywts::kernel() == best, "an empty name means the best");
  } else {
    expect(std::string(pywts::kernel().name) == wanted, "a name means that kernel");
  }
  const pywts::Kernel* chosen = &pywts::kernel();
  setenv("PYWTS_KERNEL", "no-such", 1);
  expect(&pywts::kernel() == chosen, "the choice is made once");
  std::printf("chosen: %s\n", chosen->name);
  return failures == 0 ? 0 : 1;
}
