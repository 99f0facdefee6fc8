// Times every kernel that this processor runs, on one thread: values to text, text to values, and other dtypes to
// float32, with everything in L1, in L2 and in DRAM, beside memcpy of the same text. A rate is in bytes of text, nine a
// value, whatever a job reads and writes: so jobs compare, and the slowest bounds an export.
//
// Names are JOB/KERNEL/PLACE; `--benchmark_filter=encode/.*/L2` runs some. The context "cycle" says what
// bytes_per_cycle counts (see cycles.hpp). Rates are of the time that the thread ran, which others on the machine
// disturb less; there, add --benchmark_enable_random_interleaving=true --benchmark_repetitions=9 and take medians, too.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <new>
#include <string>
#include <vector>

#include "cycles.hpp"
#include "wts.hpp"
#include "wts/dtype.hpp"
#include "wts/kernel.hpp"
#include "wts/memory.hpp"
#include "wts/widen.hpp"

namespace {

using pywts::Dtype;
using pywts::kTextPerValue;

constexpr Dtype kWidened[] = {Dtype::float16, Dtype::bfloat16, Dtype::float64, Dtype::int64};

struct Place {
  const char* name;
  std::size_t values;
};

// So many values that memcpy, which touches most, fills half of a cache.
std::size_t values_in(int level, std::size_t size_if_unknown) {
  std::size_t size = size_if_unknown;
  for (const auto& cache : benchmark::CPUInfo::Get().caches) {
    if (cache.level == level && cache.type != "Instruction") size = static_cast<std::size_t>(cache.size);
  }
  return size / 2 / (2 * kTextPerValue) / 64 * 64;
}

// Memory that has been written to, in huge pages where the system has them. The program's end gives it back.
template <class T>
T* memory(std::size_t count) {
  constexpr std::align_val_t kHugePage{2 << 20};
  void* const found = ::operator new(count * sizeof(T), kHugePage);
  pywts::prepare_fresh(found, count * sizeof(T));
  std::memset(found, 0, count * sizeof(T));
  return static_cast<T*>(found);
}

std::uint32_t random_bits() {
  static std::uint32_t state = 2463534242u;
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

template <class T>
void put(std::byte* elements, std::size_t index, T element) {
  std::memcpy(elements + index * sizeof element, &element, sizeof element);
}

// The float32 with these bits as an element of another dtype, roughly; an int64 of any size.
void put_as(Dtype dtype, std::byte* elements, std::size_t index, std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  switch (dtype) {
    case Dtype::float16: {
      const std::uint32_t magnitude = (bits & 0x7fffffff) - (112u << 23);  // half counts exponents from 112 on
      return put(elements, index, static_cast<std::uint16_t>((bits >> 16 & 0x8000) | magnitude >> 13));
    }
    case Dtype::bfloat16:
      return put(elements, index, static_cast<std::uint16_t>(bits >> 16));
    case Dtype::float64:
      return put(elements, index, static_cast<double>(value));
    default:
      return put(elements, index, std::uint64_t{bits} << 32 | random_bits());
  }
}

// What the jobs of a place read and write.
struct Data {
  explicit Data(std::size_t number)
      : count(number),
        text_size(count * kTextPerValue),
        bits(memory<std::uint32_t>(count)),
        text(memory<char>(text_size)),
        text_out(memory<char>(text_size)),
        bits_out(memory<std::uint32_t>(count)),
        values_out(memory<float>(count)) {
    for (std::size_t i = 0; i < count; ++i) {
      bits[i] = (random_bits() & 0x83ffffff) | 0x3c000000;  // as weights are: from 2^-7 to 2, no NaN
    }
    pywts::kScalar.encode(bits, count, text);
    for (const Dtype dtype : kWidened) {
      std::byte* const elements = memory<std::byte>(count * pywts::info(dtype).size);
      for (std::size_t i = 0; i < count; ++i) put_as(dtype, elements, i, bits[i]);
      elements_of[dtype] = elements;
    }
  }

  std::size_t count;
  std::size_t text_size;
  std::uint32_t* bits;
  char* text;  // of the bits
  char* text_out;
  std::uint32_t* bits_out;
  float* values_out;
  std::map<Dtype, const std::byte*> elements_of;
};

Data& data_in(const Place& place) {
  static std::map<std::string, Data> made;
  return made.try_emplace(place.name, place.values).first->second;
}

const CycleCounter& counter() {
  static const CycleCounter only;
  return only;
}

template <class Work>
void measure(benchmark::State& state, std::size_t count, const Work& work) {
  work();  // brings everything to its place
  const double start = counter().now();
  for (auto _ : state) {
    work();
    benchmark::ClobberMemory();
  }
  const double cycles = counter().now() - start;
  const auto text = static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(count * kTextPerValue);
  state.SetBytesProcessed(text);
  state.counters["values"] = static_cast<double>(count);
  if (cycles > 0) state.counters["bytes_per_cycle"] = static_cast<double>(text) / cycles;
}

void encode(benchmark::State& state, const Place& place, const pywts::Kernel* kernel) {
  const Data& data = data_in(place);
  std::memset(data.text_out, 0, data.text_size);
  measure(state, data.count, [&] { kernel->encode(data.bits, data.count, data.text_out); });
  if (std::memcmp(data.text_out, data.text, data.text_size) != 0) state.SkipWithError("the text is wrong");
}

void decode(benchmark::State& state, const Place& place, const wts::kernel* kernel) {
  const Data& data = data_in(place);
  const std::size_t size = data.count * sizeof(float);
  std::memset(data.values_out, 0, size);
  measure(state, data.count, [&] { kernel->decode(data.text, data.count, data.values_out); });
  if (std::memcmp(data.values_out, data.bits, size) != 0) state.SkipWithError("the values are wrong");
}

void widen(benchmark::State& state, const Place& place, const pywts::Kernel* kernel, Dtype dtype) {
  const Data& data = data_in(place);
  const pywts::Widen run = pywts::widen(dtype, *kernel);
  const std::byte* const elements = data.elements_of.at(dtype);
  std::size_t done = 0;
  measure(state, data.count, [&] { done = run(elements, data.count, data.bits_out); });
  if (done != data.count) state.SkipWithError("a value does not fit");
}

void copy(benchmark::State& state, const Place& place) {
  const Data& data = data_in(place);
  measure(state, data.count, [&] { std::memcpy(data.text_out, data.text, data.text_size); });
}

template <class... Arguments>
void add(const std::string& job, const char* kernel, const Place& place, Arguments... arguments) {
  const std::string name = job + "/" + kernel + "/" + place.name;
  benchmark::RegisterBenchmark(name.c_str(), arguments...)->MinTime(0.03);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("cycle", counter().unit());
  const Place places[] = {
      {"L1", values_in(1, 32 << 10)}, {"L2", values_in(2, 512 << 10)}, {"DRAM", 32 << 20},  // 288 MiB of text
  };
  std::vector<const pywts::Kernel*> kernels;
  for (const pywts::Kernel* kernel : pywts::kernels()) {
    if (kernel->supported()) {
      kernels.push_back(kernel);
    } else {
      std::fprintf(stderr, "SKIPPED kernel %s: not on this processor\n", kernel->name);
    }
  }
  for (const Place& place : places) {
    for (const pywts::Kernel* kernel : kernels) add("encode", kernel->name, place, encode, place, kernel);
  }
  for (const Place& place : places) {
    for (const wts::kernel& kernel : wts::kernels()) {
      if (kernel.supported()) add("decode", kernel.name, place, decode, place, &kernel);
    }
  }
  for (const Dtype dtype : kWidened) {
    const std::string job = "widen " + std::string(pywts::info(dtype).name);
    for (const Place& place : places) {
      for (const pywts::Kernel* kernel : kernels) add(job, kernel->name, place, widen, place, kernel, dtype);
    }
  }
  for (const Place& place : places) add("copy", "memcpy", place, copy, place);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
