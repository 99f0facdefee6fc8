// The reader gives the numbers that the loop over a std::ifstream gives which programs copy from each other, over
// random files: small and large ones, so that the work is spread over threads and over several reads of a tensor.
#include <random>

#include "reader_support.hpp"

namespace {

using reader_test::bits_of;
using reader_test::expect;

struct Model {
  std::string text;
  std::size_t values = 0;
};

Model write(std::size_t tensors, std::size_t most, std::mt19937& random) {
  Model model;
  const bool blank = random() % 4 == 0, crlf = random() % 4 == 0, final_newline = random() % 4 != 0;
  const std::string end = crlf ? "\r\n" : "\n";
  model.text = (blank ? end : "") + std::to_string(tensors) + end;
  for (std::size_t i = 0; i < tensors; ++i) {
    std::size_t count = random() % 3 == 0 ? random() % most : random() % 40;
    if (i + 1 == tensors && model.values == 0) count = 1;
    model.text += "model." + std::to_string(i) + ".weight " + std::to_string(count) + " ";
    if (random() % 2 == 0) model.text += ' ';
    model.text.pop_back();
    std::string values;
    for (std::size_t j = 0; j < count; ++j) {
      char value[10];
      std::snprintf(value, sizeof value, " %08x", static_cast<unsigned>(random()));
      values += value;
    }
    model.text += (random() % 2 == 0 ? " " : "") + values;
    if (i + 1 < tensors || final_newline) model.text += end;
    model.values += count;
  }
  return model;
}

std::map<std::string, std::vector<std::uint32_t>> stream_read(const std::string& path) {
  std::map<std::string, std::vector<std::uint32_t>> weights;
  std::ifstream input(path);
  std::int32_t count = 0;
  input >> count;
  while (count-- > 0) {
    std::string name;
    std::uint32_t size = 0;
    input >> name >> std::dec >> size;
    std::vector<std::uint32_t>& values = weights[name];
    values.resize(size);
    for (std::uint32_t i = 0; i < size; ++i) input >> std::hex >> values[i];
  }
  if (!input) weights.clear();
  return weights;
}

void check(const Model& model, unsigned threads, const char* kernel) {
  const reader_test::TemporaryFile file(model.text);
  const auto wanted = stream_read(file.path());
  wts::options options;
  options.threads = threads;
  options.kernel = kernel;
  const wts::weights weights = wts::open(file.path(), options);
  if (!expect(weights.size() == wanted.size(), "the number of tensors")) return;
  std::vector<std::vector<float>> all;
  std::vector<float*> places;
  for (const wts::tensor& tensor : weights) places.push_back(all.emplace_back(tensor.count + 1).data());
  weights.read_all(places.data());
  if (threads != 1) weights.load_all();
  std::size_t i = 0;
  for (const wts::tensor& tensor : weights) {
    const std::vector<std::uint32_t>& bits = wanted.at(std::string(tensor.name));
    const wts::span<const float> values = weights.at(tensor.name);
    bool same = values.size() == bits.size();
    for (std::size_t j = 0; same && j < bits.size(); ++j) {
      same = bits_of(values[j]) == bits[j] && bits_of(all[i][j]) == bits[j];
    }
    expect(same, std::string(tensor.name) + " with " + std::to_string(threads) + " threads, " + weights.kernel().name);
    ++i;
  }
}

}  // namespace

int main() {
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 60; ++round) {
    const Model model = write(1 + random() % 30, 1 + random() % 3000, random);
    for (const wts::kernel& kernel : wts::kernels()) {
      if (kernel.supported()) check(model, 1 + random() % 2, kernel.name);
    }
  }
  const Model large = write(30, 600000, random);
  std::printf("%zu values in the large file\n", large.values);
  for (const unsigned threads : {0u, 1u, 2u, 5u}) check(large, threads, nullptr);
  return reader_test::failures == 0 ? 0 : 1;
}
