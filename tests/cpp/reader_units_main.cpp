// Two units include the header and link into one program, and loadWeights() has the signature and the memory that
// programs expect.
#include <NvInfer.h>

#include <type_traits>

#include "reader_support.hpp"
#include "reader_units.hpp"

using wts::loadWeights;
static_assert(std::is_same_v<decltype(loadWeights(std::string())), std::map<std::string, nvinfer1::Weights>>);

namespace {

using reader_test::expect;

void check_load_weights() {
  const reader_test::TemporaryFile file("3\nb 2  3f800000 7f800001\na 0 \nc.weight 1 40490fdb\n");
  std::map<std::string, nvinfer1::Weights> weights = loadWeights(file.path());
  expect(weights.size() == 3 && weights["b"].count == 2 && weights["a"].count == 0 && weights["c.weight"].count == 1,
         "the counts");
  for (auto& [name, tensor] : weights) expect(tensor.type == nvinfer1::DataType::kFLOAT, "the type of " + name);
  const auto* bits = static_cast<const std::uint32_t*>(weights["b"].values);
  expect(bits[0] == 0x3f800000 && bits[1] == 0x7f800001, "the bits");
  expect(weights["a"].values == nullptr, "no values, no memory");
  for (auto& [name, tensor] : weights) std::free(const_cast<void*>(tensor.values));

  expect(values_by_other_unit(file.path()) == 3, "the other unit");
  expect(kernels_of_other_unit() == wts::kernels().data(), "one table of kernels");

  const reader_test::TemporaryFile damaged("2\nb 2  3f800000 40000000\na 1  4000000g\n");
  for (const std::string& path : {damaged.path(), std::string("no-such.wts")}) {
    try {
      loadWeights(path);
      expect(false, "no error");
    } catch (const wts::error& error) {  // a leak checker sees whether anything stays allocated
      expect(error.code == (path == damaged.path() ? wts::errc::digit : wts::errc::file), error.text);
    }
  }
}

}  // namespace

int main() {
  check_load_weights();
  if (reader_test::failures == 0) std::printf("two units agree\n");
  return reader_test::failures == 0 ? 0 : 1;
}
