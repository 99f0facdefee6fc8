// Every kernel of the reader against a digit-by-digit oracle: all lengths, any alignment, every byte at every place of
// a block, and not a byte read or written outside.
#include <random>

#include "reader_support.hpp"

namespace {

using reader_test::bits_of;
using reader_test::expect;

std::string text_of(const std::vector<std::uint32_t>& bits, std::mt19937& random) {
  std::string text;
  for (const std::uint32_t value : bits) {
    text += ' ';
    const char* digits = random() % 4 == 0 ? "0123456789ABCDEF" : "0123456789abcdef";
    for (int shift = 28; shift >= 0; shift -= 4) text += digits[value >> shift & 15];
  }
  return text;
}

std::vector<std::uint32_t> random_bits(std::size_t count, std::mt19937& random) {
  std::vector<std::uint32_t> bits(count);
  for (std::uint32_t& value : bits) value = static_cast<std::uint32_t>(random());
  return bits;
}

// Decodes from a text and to memory of exactly the right size (a sanitizer watches), `shift` bytes off alignment.
void check_good(const wts::kernel& kernel, const std::vector<std::uint32_t>& bits, std::size_t shift,
                std::mt19937& random) {
  const std::string text = text_of(bits, random);
  std::vector<char> exact(shift + text.size());
  std::copy(text.begin(), text.end(), exact.begin() + static_cast<std::ptrdiff_t>(shift));
  std::vector<float> values(bits.size() + 2, -1.5f);  // the margin tells without a sanitizer too
  const bool good = kernel.decode(exact.data() + shift, bits.size(), values.data() + 1);
  bool same = values.front() == -1.5f && values.back() == -1.5f;
  for (std::size_t i = 0; same && i < bits.size(); ++i) same = bits_of(values[i + 1]) == bits[i];
  expect(good && same, std::string(kernel.name) + ": " + std::to_string(bits.size()) + " values, shift " +
                           std::to_string(shift) + (good ? ": wrong values" : ": no text of values"));
}

// Every byte at this place of the text: the kernel takes just those that belong there.
void check_place(const wts::kernel& kernel, std::string text, std::size_t place) {
  std::vector<float> values(text.size() / 9);
  const char original = text[place];
  for (int byte = 0; byte < 256; ++byte) {
    text[place] = static_cast<char>(byte);
    const bool is_digit = std::string_view("0123456789abcdefABCDEF").find(text[place]) != std::string_view::npos;
    const bool belongs = place % 9 == 0 ? byte == ' ' : is_digit;
    const bool good = kernel.decode(text.data(), values.size(), values.data());
    expect(good == belongs, std::string(kernel.name) + ": byte " + std::to_string(byte) + " at " +
                                std::to_string(place) + " of " + std::to_string(values.size()) + " values");
    expect(wts::first_wrong(text) == (belongs ? text.size() : place), "first_wrong() at " + std::to_string(place));
    if (good && place % 9 != 0) {
      const std::size_t i = place / 9;
      const auto wanted = reader_test::hexadecimal(std::string_view(text).substr(9 * i + 1, 8), 8, 8);
      expect(wanted && bits_of(values[i]) == *wanted, std::string(kernel.name) + ": digit " + text[place]);
    }
  }
  text[place] = original;
}

void check_all(const wts::kernel& kernel, unsigned seed) {
  std::mt19937 random(seed);
  for (std::size_t count = 0; count <= 200; ++count) {
    for (std::size_t shift = 0; shift < 64; shift += 1 + random() % 7) {
      check_good(kernel, random_bits(count, random), shift, random);
    }
  }
  for (int round = 0; round < 4; ++round)
    check_good(kernel, random_bits(100000 + random() % 1000, random), random() % 64, random);
  // All values of each half.
  for (std::uint32_t half = 0; half < 0x10000; half += 0x2000) {
    std::vector<std::uint32_t> bits;
    for (std::uint32_t i = half; i < half + 0x2000; ++i) bits.insert(bits.end(), {i, i << 16});
    check_good(kernel, bits, random() % 64, random);
  }
  for (const std::size_t count : std::initializer_list<std::size_t>{1, 7, 8, 15, 16, 17, 35, 64}) {
    const std::string text = text_of(random_bits(count, random), random);
    for (std::size_t place = 0; place < text.size(); ++place) check_place(kernel, text, place);
  }
  // One wrong byte far inside.
  std::string text = text_of(random_bits(10000, random), random);
  std::vector<float> values(10000);
  for (int round = 0; round < 500; ++round) {
    const std::size_t place = random() % text.size();
    const char original = std::exchange(text[place], place % 9 == 0 ? '0' : 'g');
    expect(!kernel.decode(text.data(), 10000, values.data()), std::string(kernel.name) + ": a wrong byte deep inside");
    text[place] = original;
  }
}

void set(const char* name, const char* value) {
#if defined(_WIN32)
  _putenv_s(name, value);
#else
  setenv(name, value, 1);
#endif
}

// The names, from the caller and from the environment.
void check_choice() {
  set("WTS_KERNEL", "");
  set("PYWTS_KERNEL", "");
  const wts::kernel* best = wts::choose_kernel();
  for (const wts::kernel& kernel : wts::kernels()) {
    if (!kernel.supported()) continue;
    expect(best == &kernel, "the first that is supported is the best");
    break;
  }
  const std::string text = "1\na 1  3f800000\n";
  for (const wts::kernel& kernel : wts::kernels()) {
    const wts::kernel* wanted = kernel.supported() ? &kernel : nullptr;
    expect(wts::choose_kernel(kernel.name) == wanted, "by its name");
    for (const char* variable : {"WTS_KERNEL", "PYWTS_KERNEL"}) {
      set(variable, kernel.name);
      expect(wts::choose_kernel() == wanted, std::string("by ") + variable);
      expect(wts::choose_kernel("scalar")->name == std::string("scalar"), "the caller's name goes first");
      wts::error why;
      const auto weights = wts::try_parse(text, &why);
      expect(weights.has_value() == (wanted != nullptr), std::string("open by ") + variable);
      if (weights) expect(&weights->kernel() == wanted, "kernel()");
      if (!weights) expect(why.code == wts::errc::kernel, "the error of a kernel that is missing");
      set(variable, "");
    }
  }
  set("PYWTS_KERNEL", "scalar");
  set("WTS_KERNEL", "no-such");
  wts::error why;
  expect(wts::choose_kernel() == nullptr && !wts::try_parse(text, &why), "no such kernel");
  expect(why.code == wts::errc::kernel && why.text.find("no-such") != std::string::npos, "its error: " + why.text);
  set("WTS_KERNEL", "");
  set("PYWTS_KERNEL", "");
}

}  // namespace

int main() {
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  for (const wts::kernel& kernel : wts::kernels()) {
    if (!kernel.supported()) {
      std::printf("SKIPPED kernel %s: this processor lacks it\n", kernel.name);
      continue;
    }
    check_all(kernel, seed);
    std::printf("kernel %s checked\n", kernel.name);
  }
  check_choice();
  return reader_test::failures == 0 ? 0 : 1;
}
