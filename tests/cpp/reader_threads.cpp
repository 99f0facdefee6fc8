// Many threads ask one wts::weights for the same and for different tensors: each is decoded once, and all get the same
// memory with the right values. Run it under a thread sanitizer too.
#include <atomic>
#include <thread>

#include "reader_support.hpp"

namespace {

using reader_test::expect;

constexpr std::size_t kTensors = 40;
constexpr std::size_t kThreads = 8;

std::string write_model() {
  std::string text = std::to_string(kTensors) + "\n";
  for (std::size_t i = 0; i < kTensors; ++i) {
    const std::size_t count = i % 10 == 9 ? 1200000 : 50 * i;  // some are worth threads of their own
    text += "t" + std::to_string(i) + " " + std::to_string(count) + " ";
    char value[10];
    std::snprintf(value, sizeof value, " %08zx", i + 1);
    for (std::size_t j = 0; j < count; ++j) text += value;
    text += '\n';
  }
  return text;
}

bool right(std::size_t i, wts::span<const float> values) {
  for (const float value : values) {
    if (reader_test::bits_of(value) != i + 1) return false;
  }
  return true;
}

void check(const std::string& path, bool by_all) {
  const wts::weights weights = wts::open(path);
  const float* seen[kThreads][kTensors] = {};
  std::atomic<std::size_t> ready{0};
  std::atomic<bool> wrong{false};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      ++ready;
      while (ready < kThreads) std::this_thread::yield();
      if (by_all && t % 2 == 0) weights.load_all();
      std::vector<float> own(1200000);
      for (std::size_t n = 0; n < kTensors; ++n) {
        const std::size_t i = (n * (t % 2 == 0 ? 1 : 7) + t) % kTensors;
        const std::string name = "t" + std::to_string(i);
        const wts::span<const float> values = weights.at(name);
        seen[t][i] = values.data();
        if (!right(i, values)) wrong = true;
        const wts::tensor* tensor = weights.describe(name);
        const auto found = weights.find(name, tensor->count);
        if (!found || found->data() != values.data()) wrong = true;
        if (n % 8 == t &&
            (!weights.try_read(*tensor, 0, tensor->count, own.data()) || !right(i, {own.data(), tensor->count}))) {
          wrong = true;
        }
        if (weights.find("no such tensor")) wrong = true;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  expect(!wrong, "a wrong value");
  for (std::size_t t = 1; t < kThreads; ++t) {
    for (std::size_t i = 0; i < kTensors; ++i) expect(seen[t][i] == seen[0][i], "decoded more than once");
  }
}

}  // namespace

int main() {
  const reader_test::TemporaryFile file(write_model());
  for (int round = 0; round < 3; ++round) {
    check(file.path(), false);
    check(file.path(), true);
  }
  if (reader_test::failures == 0) std::printf("%zu threads agree\n", kThreads);
  return reader_test::failures == 0 ? 0 : 1;
}
