// Not a byte outside: texts and values lie against pages that nobody may touch, so that a single byte read or written
// beyond an end stops the program, by whatever instruction. Files end with a page, to the byte.
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>

#include "reader_support.hpp"

namespace {

using reader_test::bits_of;
using reader_test::expect;

// Memory between two pages that nobody may touch; it ends (or begins) at one of them.
class Guarded {
 public:
  Guarded(std::size_t size, bool at_end) : size_(size) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    room_ = (size + page - 1) / page * page;
    whole_ = room_ + 2 * page;
    void* const mapped = mmap(nullptr, whole_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) std::printf("FAILED no memory\n"), std::exit(1);
    memory_ = static_cast<char*>(mapped);
    if (room_ != 0 && mprotect(memory_ + page, room_, PROT_READ | PROT_WRITE) != 0) std::exit(1);
    begin_ = memory_ + page + (at_end ? room_ - size_ : 0);
  }
  Guarded(std::string_view text, bool at_end) : Guarded(text.size(), at_end) {
    if (!text.empty()) std::memcpy(begin_, text.data(), text.size());
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { munmap(memory_, whole_); }
  char* data() const { return begin_; }
  std::string_view text() const { return {begin_, size_}; }
  float* values() const { return reinterpret_cast<float*>(begin_); }

 private:
  std::size_t size_, room_ = 0, whole_ = 0;
  char* memory_ = nullptr;
  char* begin_ = nullptr;
};

std::vector<std::uint32_t> random_bits(std::size_t count, std::mt19937& random) {
  std::vector<std::uint32_t> bits(count);
  for (std::uint32_t& value : bits) value = static_cast<std::uint32_t>(random());
  return bits;
}

std::string text_of(const std::vector<std::uint32_t>& bits) {
  std::string text(9 * bits.size(), ' ');
  for (std::size_t i = 0; i < bits.size(); ++i) {
    for (std::size_t d = 0; d < 8; ++d) text[9 * i + 1 + d] = "0123456789abcdef"[bits[i] >> (28 - 4 * d) & 15];
  }
  return text;
}

bool same(const float* values, const std::vector<std::uint32_t>& bits) {
  return bits.empty() || std::memcmp(values, bits.data(), bits.size() * sizeof(float)) == 0;
}

// Every number of values, and so every tail, at both ends of both memories.
void check_kernel(const wts::kernel& kernel, std::mt19937& random) {
  for (std::size_t count = 0; count <= 700; ++count) {
    const std::vector<std::uint32_t> bits = random_bits(count, random);
    std::string text = text_of(bits);
    for (const bool at_end : {false, true}) {
      const Guarded from(text, at_end), to(4 * count, at_end);
      expect(kernel.decode(from.data(), count, to.values()) && same(to.values(), bits),
             std::string(kernel.name) + ": " + std::to_string(count) + " values beside a guard");
      if (count == 0) continue;
      from.data()[text.size() - 1] = 'g';
      expect(!kernel.decode(from.data(), count, to.values()), std::string(kernel.name) + ": a wrong last digit");
      expect(wts::first_wrong(from.text()) == text.size() - 1, "first_wrong() beside a guard");
    }
  }
}

// All that the reader does with a text in memory: every dialect, and every error.
void check_vector(const wts::kernel& kernel, const reader_test::Vector& vector) {
  wts::options options;
  options.kernel = kernel.name;
  wts::error expected;
  const auto plain = wts::try_parse(vector.text, &expected, "text", options);
  const bool sound = plain && plain->try_load_all(&expected);
  for (const bool at_end : {false, true}) {
    const Guarded text(vector.text, at_end);
    wts::error why;
    const auto weights = wts::try_parse(text.text(), &why, "text", options);
    bool same_values = true;
    const bool loaded = weights && weights->try_load_all(&why);
    if (weights) {
      for (const wts::tensor& tensor : *weights) {
        const Guarded into(4 * static_cast<std::size_t>(tensor.count), at_end);
        wts::error other;
        const bool read = weights->try_read(tensor, 0, tensor.count, into.values(), &other);
        const auto values = sound ? plain->find(tensor.name, nullptr) : std::nullopt;
        if (values && !values->empty()) {
          same_values = same_values && read && std::memcmp(values->data(), into.values(), 4 * values->size()) == 0;
        }
      }
    }
    expect(loaded == sound && same_values && why.text == expected.text,
           vector.name + " by " + kernel.name + " beside a guard: " + why.text + " / " + expected.text);
  }
}

// A file of exactly this size, and the values of its two lines; the first name fills what they leave.
struct Sized {
  std::string text;
  std::vector<std::uint32_t> first, second;
};

Sized sized(std::size_t size, std::mt19937& random) {
  Sized made{"2\n", {}, random_bits(3, random)};
  const std::string last = "\nb 3 " + text_of(made.second) + "\n";
  made.first = random_bits((size - last.size() - 64) / 9, random);
  const std::string count = std::to_string(made.first.size());
  const std::size_t others = made.text.size() + 1 + count.size() + 1 + 9 * made.first.size() + last.size();
  made.text += std::string(size - others, 'a') + ' ' + count + ' ' + text_of(made.first) + last;
  return made;
}

// Files whose size is a multiple of a page, of the reader's window, or of what a thread reads at a time, and one byte
// off; two threads read at once, each into memory that ends at a guard.
void check_files(std::mt19937& random) {
  constexpr std::size_t kPart = wts::detail::chunk * 9;
  for (const std::size_t whole : {std::size_t{4096}, std::size_t{8192}, std::size_t{65536}, std::size_t{131072}, kPart,
                                  kPart + 4096, 9 * kPart, std::size_t{17} << 20}) {
    for (const std::size_t size : {whole - 1, whole, whole + 1}) {
      const Sized made = sized(size, random);
      expect(made.text.size() == size, "the size of a file");
      const reader_test::TemporaryFile file(made.text);
      for (const wts::kernel& kernel : wts::kernels()) {
        if (!kernel.supported()) continue;
        wts::options options;
        options.kernel = kernel.name;
        options.threads = 2;
        const wts::weights weights = wts::open(file.path(), options);
        std::atomic<int> good{0};
        const auto work = [&] {
          const Guarded first(4 * made.first.size(), true), second(12, true);
          float* const places[] = {first.values(), second.values()};
          weights.read_all(places);
          const wts::span<const float> owned = weights.at(weights[0].name);
          good += same(first.values(), made.first) && same(second.values(), made.second) &&
                  same(owned.data(), made.first) && same(weights.at("b", 3).data(), made.second);
        };
        std::thread other(work);
        work();
        other.join();
        expect(good == 2, std::to_string(made.text.size()) + " bytes by " + kernel.name);
      }
    }
  }
}

}  // namespace

int main() {
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  const auto vectors = reader_test::read_vectors(WTS_VECTORS);
  for (const wts::kernel& kernel : wts::kernels()) {
    if (!kernel.supported()) {
      std::printf("SKIPPED kernel %s: this processor lacks it\n", kernel.name);
      continue;
    }
    check_kernel(kernel, random);
    for (const reader_test::Vector& vector : vectors) check_vector(kernel, vector);
  }
  check_files(random);
  return reader_test::failures == 0 ? 0 : 1;
}
