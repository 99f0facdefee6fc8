// Times the reader (csrc/include/wts.hpp) against what it replaces: the loop over a std::ifstream that programs copy
// from each other. All in one run, over one file in the page cache; see --help for Google Benchmark's options, and add
// --benchmark_enable_random_interleaving=true --benchmark_repetitions=9 on a machine that others use too.
//
// WTS_BENCHMARK_FILE names a .wts to read; without it, one of 68 million values is written to the temporary folder.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "wts.hpp"

namespace {

constexpr std::uint64_t kValues = 68'229'648;  // a yolov8x

// The shape of a detector: many small tensors, and a few that hold nearly everything.
std::string write_model() {
  const std::string name = "read_weights_" + std::to_string(std::random_device{}()) + ".wts";
  const std::string path = (std::filesystem::temp_directory_path() / name).string();
  std::vector<std::uint64_t> counts;
  std::uint64_t left = kValues;
  constexpr std::uint64_t kCounts[] = {80, 80, 80, 80, 2160, 320, 320, 320, 320, 921600, 640, 230400, 640, 3686400};
  for (std::size_t i = 0; left > 0; ++i) {
    counts.push_back(std::min(left, kCounts[i % (sizeof kCounts / sizeof *kCounts)]));
    left -= counts.back();
  }
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) std::abort();
  std::fprintf(file, "%zu\n", counts.size());
  std::uint32_t bits = 2463534242u;
  std::string text;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    text = "model." + std::to_string(i) + ".weight " + std::to_string(counts[i]) + " ";
    for (std::uint64_t j = 0; j < counts[i]; ++j) {
      bits ^= bits << 13;
      bits ^= bits >> 17;
      bits ^= bits << 5;
      text += ' ';
      for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[bits >> shift & 15];
    }
    text += '\n';
    if (std::fwrite(text.data(), 1, text.size(), file) != text.size()) std::abort();
  }
  std::fclose(file);
  return path;
}

std::string model;  // the path of the file

std::uint64_t total(const wts::weights& weights) {
  std::uint64_t count = 0;
  for (const wts::tensor& tensor : weights) count += tensor.count;
  return count;
}

void set_figures(benchmark::State& state) {
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(model));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * size);
}

// What programs do now; with 4 bytes a value, where most take 8.
void stream(benchmark::State& state) {
  for (auto _ : state) {
    std::map<std::string, std::pair<std::uint32_t*, std::uint32_t>> weights;
    std::ifstream input(model);
    std::int32_t count = 0;
    input >> count;
    while (count-- > 0) {
      std::string name;
      std::uint32_t size = 0;
      input >> name >> std::dec >> size;
      auto* values = static_cast<std::uint32_t*>(std::malloc(sizeof(std::uint32_t) * size));
      for (std::uint32_t i = 0; i < size; ++i) input >> std::hex >> values[i];
      weights[name] = {values, size};
    }
    if (!input) state.SkipWithError("the stream failed");
    for (auto& [name, tensor] : weights) std::free(tensor.first);
  }
  set_figures(state);
}

wts::options with(const char* kernel, unsigned threads) {
  wts::options options;
  options.kernel = kernel;
  options.threads = threads;
  return options;
}

// The whole file into memory of the caller that was written to before.
void into_warm_buffer(benchmark::State& state, const char* kernel, unsigned threads) {
  std::vector<float> buffer(total(wts::open(model)), 1.0f);
  for (auto _ : state) {
    const auto weights = wts::open(model, with(kernel, threads));
    std::vector<float*> places;
    float* place = buffer.data();
    for (const wts::tensor& tensor : weights) {
      places.push_back(place);
      place += tensor.count;
    }
    weights.read_all(places.data());
  }
  set_figures(state);
}

// The whole file into memory that the system has yet to give, and gets back.
void into_fresh_memory(benchmark::State& state, const char* kernel, unsigned threads) {
  for (auto _ : state) {
    const auto weights = wts::open(model, with(kernel, threads));
    weights.load_all();
    benchmark::DoNotOptimize(weights.begin());
  }
  set_figures(state);
}

void open_only(benchmark::State& state) {
  for (auto _ : state) {
    const auto weights = wts::open(model);
    benchmark::DoNotOptimize(weights.begin());
  }
}

// Opens, and reads one small tensor from the middle.
void one_tensor(benchmark::State& state) {
  for (auto _ : state) {
    const auto weights = wts::open(model);
    const wts::tensor* chosen = weights.begin() + weights.size() / 2;
    while (chosen->count > 10000) ++chosen;
    benchmark::DoNotOptimize(weights.at(chosen->name));
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const char* given = std::getenv("WTS_BENCHMARK_FILE");
  model = given != nullptr ? std::string(given) : write_model();
  benchmark::RegisterBenchmark("stream", stream)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(1);
  for (const wts::kernel& kernel : wts::kernels()) {
    const std::string name = kernel.name;
    if (!kernel.supported()) {
      std::fprintf(stderr, "SKIPPED kernel %s: not on this processor\n", kernel.name);
      continue;
    }
    for (const unsigned threads : {0u, 1u}) {
      const std::string end = "/" + name + (threads == 0 ? "/all_threads" : "/one_thread");
      const auto add = [&](const char* title, void (*run)(benchmark::State&, const char*, unsigned)) {
        benchmark::RegisterBenchmark((title + end).c_str(), run, kernel.name, threads)
            ->Unit(benchmark::kMillisecond)
            ->UseRealTime()
            ->MinTime(0.1);
      };
      add("into_warm_buffer", into_warm_buffer);
      add("into_fresh_memory", into_fresh_memory);
    }
  }
  benchmark::RegisterBenchmark("open_only", open_only)->Unit(benchmark::kMicrosecond)->UseRealTime()->MinTime(0.1);
  benchmark::RegisterBenchmark("one_tensor", one_tensor)->Unit(benchmark::kMicrosecond)->UseRealTime()->MinTime(0.1);
  benchmark::RunSpecifiedBenchmarks();
  if (given == nullptr) std::filesystem::remove(model);
  return 0;
}
