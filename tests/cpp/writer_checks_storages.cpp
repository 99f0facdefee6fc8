// A byte that changed is found wherever it is in a storage whose CRC32 was kept: in one that a tensor is, in one that
// tensors are parts of, in what no tensor shows; on one thread and on two, and the tensor is named. Nothing is found
// where none was kept.
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <vector>

#include "wts/checksum.hpp"
#include "wts/error.hpp"
#include "wts/writer.hpp"

namespace {

constexpr std::uint64_t kStart = 24;  // of the first storage in the file

struct Span {
  std::uint64_t offset;
  std::uint64_t size;
};

int failures = 0;

// Writes the lines: the line to blame, if there is one.
std::optional<std::size_t> blamed(const std::vector<pywts::Line>& lines, bool overlapped, bool one_by_one) {
  pywts::Writer writer([](const char*, std::size_t) {}, overlapped, {});
  std::size_t before = 0;
  try {
    for (const pywts::Line& line : lines) {
      if (!one_by_one) break;
      writer.lines(&line, 1);
      ++before;
    }
    if (!one_by_one) writer.lines(lines.data(), lines.size());
    writer.flush();
  } catch (const pywts::Error& error) {
    if (error.code != pywts::Code::checksum) std::printf("failed: another error\n"), ++failures;
    return before + writer.failed_line();
  }
  return std::nullopt;
}

void expect(std::optional<std::size_t> found, std::optional<std::size_t> expected, const char* what, std::uint64_t at) {
  if (found == expected) return;
  ++failures;
  std::printf("failed: %s, byte %llu: line %d, not %d\n", what, static_cast<unsigned long long>(at),
              found ? static_cast<int>(*found) : -1, expected ? static_cast<int>(*expected) : -1);
}

}  // namespace

int main() {
  std::mt19937 random(5);
  // A storage that is one tensor, of several blocks of text; a small one; one of which tensors show parts; one that is
  // shown across; one that several tensors show whole.
  const std::vector<Span> spans = {
      {kStart, 600'000}, {600'100, 40}, {601'000, 50'000}, {652'000, 6'000}, {660'000, 400}};
  std::vector<std::byte> content(662'000);
  for (std::byte& byte : content) byte = static_cast<std::byte>(random() % 64);  // no NaN, no overflow
  std::FILE* const file = std::tmpfile();
  if (file == nullptr) return 2;
  const int descriptor = ::fileno(file);
  const auto put = [&](std::uint64_t at) {
    std::fseek(file, static_cast<long>(at), SEEK_SET);
    std::fwrite(content.data() + at, 1, content.size() - at, file);
    std::fflush(file);
  };
  put(0);

  std::vector<pywts::Line> lines;
  const auto line = [&](std::size_t span, std::int64_t offset, std::vector<std::int64_t> shape,
                        std::vector<std::int64_t> strides, pywts::Dtype dtype) {
    pywts::Line made;
    made.before = "tensor 1 ";
    made.after = "\n";
    made.storage.file = descriptor;
    made.storage.file_offset = spans[span].offset;
    made.storage.size = spans[span].size;
    const std::uint32_t sum = pywts::crc32(0, content.data() + spans[span].offset, spans[span].size);
    made.storage.checked = {spans[span].offset, spans[span].size, sum};
    made.view.dtype = dtype;
    made.view.offset = offset;
    made.view.shape = std::move(shape);
    made.view.strides = std::move(strides);
    lines.push_back(std::move(made));
  };
  line(0, 0, {300, 1000}, {1000, 1}, pywts::Dtype::float16);
  line(1, 0, {10}, {1}, pywts::Dtype::float32);
  line(2, 0, {100}, {1}, pywts::Dtype::float32);
  line(2, 200, {100, 2}, {3, 1}, pywts::Dtype::float32);
  line(3, 0, {30, 50}, {1, 30}, pywts::Dtype::float32);
  line(4, 0, {50}, {1}, pywts::Dtype::float64);
  line(4, 0, {5, 10}, {10, 1}, pywts::Dtype::float64);
  const std::vector<std::size_t> first_of = {0, 1, 2, 4, 5};
  std::vector<pywts::Line> unchecked = lines;
  for (pywts::Line& each : unchecked) each.storage.checked.crc32 = 0;

  for (const bool overlapped : {false, true}) {
    for (const bool one_by_one : {false, true}) {
      expect(blamed(lines, overlapped, one_by_one), std::nullopt, "nothing changed", 0);
    }
  }
  for (std::size_t span = 0; span < spans.size(); ++span) {
    const auto [offset, size] = spans[span];
    for (const std::uint64_t at : {offset, offset + size / 2, offset + size - 1, offset + random() % size}) {
      content[at] ^= std::byte{1};
      put(at);
      for (const bool overlapped : {false, true}) {
        for (const bool one_by_one : {false, true}) {
          expect(blamed(lines, overlapped, one_by_one), first_of[span], "a byte changed", at);
        }
      }
      expect(blamed(unchecked, true, false), std::nullopt, "no checksum was kept", at);
      content[at] ^= std::byte{1};
      put(at);
    }
  }
  std::fclose(file);
  return failures == 0 ? 0 : 1;
}
