// What the caller puts in order itself comes out right however many jobs it does in the midst of that, for tensors in
// files and in memory, widened or not; and a failure names its own tensor, not that of a job in between.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "wts/error.hpp"
#include "wts/kernel.hpp"
#include "wts/writer.hpp"

namespace {

constexpr std::int64_t kRows = 300;
constexpr std::int64_t kColumns = 1000;
constexpr std::int64_t kValues = kRows * kColumns;

// 0, 1, 2 ... as elements of a dtype that has them all.
template <class Element>
std::vector<Element> counted() {
  std::vector<Element> elements;
  for (std::int64_t i = 0; i < kValues; ++i) elements.push_back(static_cast<Element>(i));
  return elements;
}

pywts::View view(pywts::Dtype dtype, bool turned) {
  pywts::View result;
  result.dtype = dtype;
  result.shape = turned ? std::vector<std::int64_t>{kColumns, kRows} : std::vector<std::int64_t>{kRows, kColumns};
  result.strides = turned ? std::vector<std::int64_t>{1, kColumns} : std::vector<std::int64_t>{kColumns, 1};
  return result;
}

std::string text(bool turned) {
  std::vector<std::uint32_t> bits;
  for (std::int64_t i = 0; i < kValues; ++i) {
    const auto value = static_cast<float>(turned ? i % kRows * kColumns + i / kRows : i);
    std::uint32_t one = 0;
    std::memcpy(&one, &value, sizeof one);
    bits.push_back(one);
  }
  std::string result(bits.size() * pywts::kTextPerValue, '\0');
  pywts::kernel().encode(bits.data(), bits.size(), result.data());
  return "t " + result + "\n";
}

template <class Element>
pywts::Storage in_memory(const std::vector<Element>& elements) {
  pywts::Storage storage;
  storage.memory = reinterpret_cast<const std::byte*>(elements.data());
  storage.size = elements.size() * sizeof(Element);
  return storage;
}

template <class Element>
pywts::Storage in_file(const std::vector<Element>& elements, std::FILE* file) {
  if (std::fwrite(elements.data(), sizeof(Element), elements.size(), file) != elements.size()) std::exit(2);
  std::fflush(file);
  pywts::Storage storage;
  storage.file = ::fileno(file);
  storage.size = elements.size() * sizeof(Element);
  return storage;
}

// A sink that holds up whoever is not the caller, so that the caller does most of the jobs.
struct Written {
  std::string text;
  std::thread::id caller = std::this_thread::get_id();
  std::size_t by_caller = 0;

  void operator()(const char* data, std::size_t size) {
    if (std::this_thread::get_id() == caller) {
      ++by_caller;
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
    text.append(data, size);
  }
};

bool same_text(const std::vector<pywts::Line>& lines, const std::string& expected, const char* what) {
  Written written;
  {
    pywts::Writer writer([&](const char* data, std::size_t size) { written(data, size); }, true, nullptr);
    writer.lines(lines.data(), lines.size());
    writer.flush();
  }
  const bool helped = written.by_caller > 2 || std::thread::hardware_concurrency() < 2;
  if (written.text == expected && helped) return true;
  std::size_t at = 0;
  while (at < expected.size() && at < written.text.size() && written.text[at] == expected[at]) ++at;
  std::fprintf(stderr, "%s: %s, at byte %zu of %zu\n", what, helped ? "wrong" : "the caller did not help", at,
               expected.size());
  return false;
}

template <class Element>
bool same_of(pywts::Dtype dtype, const char* name) {
  const std::vector<Element> elements = counted<Element>();
  std::FILE* const file = std::tmpfile();
  if (file == nullptr) std::exit(2);
  bool fine = true;
  for (const pywts::Storage& storage : {in_memory(elements), in_file(elements, file)}) {
    std::vector<pywts::Line> lines;
    std::string expected;
    for (int i = 0; i < 12; ++i) {
      const bool turned = i % 3 == 2;
      lines.push_back({"t ", storage, view(dtype, turned), "\n"});
      expected += text(turned);
    }
    fine = same_text(lines, expected, name) && fine;
  }
  std::fclose(file);
  return fine;
}

// The last tensor cannot be had: its number is told, whatever jobs the caller did while it gathered.
bool names_what_failed() {
  const std::vector<double> good = counted<double>();
  std::vector<double> bad = good;
  bad.back() = 1e300;
  std::vector<pywts::Line> lines(6, {"t ", in_memory(good), view(pywts::Dtype::float64, false), "\n"});
  lines.push_back({"t ", in_memory(bad), view(pywts::Dtype::float64, true), "\n"});
  Written written;
  pywts::Writer writer([&](const char* data, std::size_t size) { written(data, size); }, true, nullptr);
  try {
    writer.lines(lines.data(), lines.size());
  } catch (const pywts::Error& error) {
    if (error.code == pywts::Code::overflow && error.index == kValues - 1 && writer.failed_line() == 6) return true;
    std::fprintf(stderr, "value %lld of tensor %zu\n", static_cast<long long>(error.index), writer.failed_line());
    return false;
  }
  std::fprintf(stderr, "no error\n");
  return false;
}

}  // namespace

int main() {
  bool fine = same_of<float>(pywts::Dtype::float32, "float32");
  fine = same_of<double>(pywts::Dtype::float64, "float64") && fine;
  fine = same_of<std::int32_t>(pywts::Dtype::int32, "int32") && fine;
  fine = names_what_failed() && fine;
  return fine ? 0 : 1;
}
