// How a TensorRT program reads a .wts, in three ways. Build and run it without TensorRT:
//
//   g++ -std=c++17 -O2 -I csrc/include -I examples/nvinfer_stub examples/load_weights.cpp -o load_weights -pthread
//   ./load_weights model.wts
#include <NvInfer.h>  // before wts.hpp: then there is wts::loadWeights

#include <cstdlib>
#include <iostream>
#include <map>
#include <string>

#include "wts.hpp"

// 1. In place of the function that programs copy from each other: delete it, and say this.
using wts::loadWeights;

static void drop_in(const std::string& path) {
  std::map<std::string, nvinfer1::Weights> weight_map = loadWeights(path);
  std::cout << weight_map.size() << " tensors by loadWeights()\n";
  for (auto& [name, weights] : weight_map) std::free(const_cast<void*>(weights.values));  // once the engine is built
}

// 2. With names and counts checked where a layer is built. `weights` owns the values: it must outlive the engine's
// build.
static nvinfer1::Weights checked(const wts::weights& weights, const std::string& name, std::uint64_t count) {
  const wts::span<const float> values = weights.at(name, count);
  return {nvinfer1::DataType::kFLOAT, values.data(), static_cast<std::int64_t>(values.size())};
}

static void by_name(const std::string& path) {
  const wts::weights weights = wts::open(path);
  const wts::tensor& first = weights[0];
  const nvinfer1::Weights filled = checked(weights, std::string(first.name), first.count);
  std::cout << first.name << " has " << filled.count << " values\n";
  checked(weights, std::string(first.name) + "s", 432);  // throws, and says which names are near
}

// 3. Without exceptions.
static bool without_exceptions(const std::string& path) {
  wts::error why;
  const auto weights = wts::try_open(path, &why);
  if (!weights) {
    std::cerr << why.text << '\n';
    return false;
  }
  if (const auto values = weights->find(weights->names().back(), &why)) {
    std::cout << "the last tensor has " << values->size() << " values\n";
    return true;
  }
  std::cerr << why.text << '\n';
  return false;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: load_weights MODEL.wts\n";
    return 2;
  }
  if (!without_exceptions(argv[1])) return 1;
  try {
    drop_in(argv[1]);
    by_name(argv[1]);
  } catch (const wts::error& error) {
    std::cerr << "as it should: " << error.what() << '\n';
  }
  return 0;
}
