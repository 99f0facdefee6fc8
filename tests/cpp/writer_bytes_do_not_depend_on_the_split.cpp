// The text is the same however it is split into calls, whatever the sink takes at a time, on one thread or two; and a
// sink is offered whole blocks at multiples of 1 MiB. Every byte of a storage whose CRC32 was kept is counted once.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "wts/checksum.hpp"
#include "wts/kernel.hpp"
#include "wts/writer.hpp"

namespace {

constexpr std::size_t kBlock = std::size_t{1} << 20;

// A part of the text: raw bytes, or values.
struct Part {
  std::string text;
  std::vector<std::uint32_t> values;
  bool flush = false;
};

std::string expected(const std::vector<Part>& parts) {
  std::string result;
  for (const Part& part : parts) {
    result += part.text;
    std::vector<std::uint32_t> values = part.values;
    if (values.size() % 6 == 0) {
      for (std::size_t i = 0; i < values.size(); i += 6) {
        for (std::size_t j = 0; j < 6; ++j) values[i + j] = part.values[i + j % 2 * 3 + j / 2];
      }
    }
    const std::size_t at = result.size();
    result.resize(at + values.size() * pywts::kTextPerValue);
    pywts::kernel().encode(values.data(), values.size(), result.data() + at);
  }
  return result;
}

// All values of all parts, one after another.
class ValuesFile {
 public:
  explicit ValuesFile(const std::vector<Part>& parts) : file_(std::tmpfile()) {
    if (file_ == nullptr) std::exit(2);
    for (const Part& part : parts) {
      if (!part.values.empty()) std::fwrite(part.values.data(), 4, part.values.size(), file_);
    }
    std::fflush(file_);
  }
  ~ValuesFile() { std::fclose(file_); }
  ValuesFile(const ValuesFile&) = delete;
  ValuesFile& operator=(const ValuesFile&) = delete;
  int descriptor() const { return fileno(file_); }

 private:
  std::FILE* file_;
};

enum class Way { calls, pairs, all };

void write(pywts::Writer& writer, const std::vector<Part>& parts, Way way, int file) {
  std::vector<pywts::Line> lines;
  std::uint64_t offset = 0;
  for (const Part& part : parts) {
    pywts::Line line;
    line.before = part.text;
    line.storage.size = part.values.size() * sizeof(std::uint32_t);
    if (part.values.size() % 2 == 0) {
      line.storage.file = file;
      line.storage.file_offset = offset;
      line.storage.checked = {offset, line.storage.size, pywts::crc32(0, part.values.data(), line.storage.size)};
    } else {
      line.storage.memory = reinterpret_cast<const std::byte*>(part.values.data());
    }
    offset += line.storage.size;
    line.view.shape = {static_cast<std::int64_t>(part.values.size())};
    line.view.strides = {1};
    if (part.values.size() % 6 == 0) {  // to be gathered
      line.view.shape = {static_cast<std::int64_t>(part.values.size() / 6), 3, 2};
      line.view.strides = {6, 1, 3};
    }
    if (way == Way::calls) {
      writer.text(line.before);
      writer.values(line.storage, line.view);
    } else {
      lines.push_back(line);
    }
    if (way == Way::pairs && (lines.size() == 2 || part.flush)) {
      writer.lines(lines.data(), lines.size());
      lines.clear();
    }
    if (way != Way::all && part.flush) writer.flush();
  }
  writer.lines(lines.data(), lines.size());
  writer.flush();
}

std::vector<Part> random_parts(std::mt19937& random, std::size_t size) {
  std::vector<Part> parts;
  std::size_t so_far = 0;
  const auto below = [&](std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
  };
  while (so_far < size) {
    Part part;
    const std::size_t to_block = kBlock - so_far % kBlock;
    // Often to within a few bytes of a block's end, on either side.
    std::size_t text = below(4) == 0 ? to_block - std::min(to_block, below(12)) + below(12) : below(60);
    if (below(20) == 0) text = 0;
    part.text.resize(text);
    for (char& c : part.text) c = static_cast<char>('a' + below(26));
    part.values.resize(below(3) == 0 ? below(20) : below(3) == 0 ? below(300000) : below(5000));
    for (std::uint32_t& bits : part.values) bits = static_cast<std::uint32_t>(random());
    part.flush = below(25) == 0;
    so_far += text + part.values.size() * pywts::kTextPerValue;
    parts.push_back(std::move(part));
  }
  return parts;
}

int failures = 0;

void expect(bool holds, const char* what, bool overlapped) {
  if (holds) return;
  ++failures;
  std::printf("failed: %s (overlapped: %d)\n", what, overlapped);
}

void check(const std::vector<Part>& parts, bool overlapped, Way way, unsigned seed) {
  const std::string whole = expected(parts);
  const ValuesFile values(parts);

  std::string got;
  bool aligned = true;
  {
    pywts::Writer writer(
        [&](const char* text, std::size_t size) {
          aligned = aligned && got.size() % kBlock + size <= kBlock;
          got.append(text, size);
        },
        overlapped, {});
    write(writer, parts, way, values.descriptor());
    expect(writer.bytes() == whole.size(), "bytes() is the size of the text", overlapped);
  }
  expect(got == whole, "a sink that takes all", overlapped);
  expect(aligned, "no block crosses a multiple of 1 MiB", overlapped);

  got.clear();
  std::mt19937 random(seed);
  {
    pywts::Writer writer(
        [&](const char* text, std::size_t size) {
          const std::size_t taken = random() % 3 == 0 ? 0 : std::min<std::size_t>(size, random() % 300000);
          got.append(text, taken);
          return taken;
        },
        overlapped, [](std::uint64_t) { return true; });
    write(writer, parts, way, values.descriptor());
  }
  expect(got == whole, "a sink that takes a little", overlapped);
}

}  // namespace

int main() {
  std::mt19937 random(7);
  for (unsigned round = 0; round < 12; ++round) {
    const std::vector<Part> parts = random_parts(random, round * kBlock * 2 / 3 + 1);
    for (const Way way : {Way::calls, Way::pairs, Way::all}) {
      check(parts, false, way, round);
      check(parts, true, way, round);
    }
  }
  check({}, true, Way::all, 0);

  // Many writers at once.
  std::vector<std::thread> threads;
  const std::vector<Part> parts = random_parts(random, 3 * kBlock);
  const std::string whole = expected(parts);
  const ValuesFile values(parts);
  std::vector<char> same(64, 0);
  for (char& result : same) {
    threads.emplace_back([&] {
      std::string got;
      pywts::Writer writer([&](const char* text, std::size_t size) { got.append(text, size); }, true, {});
      write(writer, parts, Way::all, values.descriptor());
      result = got == whole;
    });
  }
  for (std::thread& thread : threads) thread.join();
  expect(std::count(same.begin(), same.end(), 1) == 64, "64 writers at once", true);
  return failures == 0 ? 0 : 1;
}
