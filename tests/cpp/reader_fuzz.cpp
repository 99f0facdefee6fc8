// Any bytes: with every kernel the reader takes what a reader takes that is as plain as can be, gives the same numbers,
// and else an error with a place. Two programs in one:
//  - with -fsanitize=fuzzer and WTS_LIBFUZZER, libFuzzer's target; give it tests/vectors as a corpus;
//  - else a test that mutates the vectors: WTS_TEST_MUTATIONS says how often (20000), WTS_TEST_SEED from which number.
#include <random>

#include "reader_support.hpp"

namespace {

using reader_test::PlainTensor;

[[noreturn]] void stop(const std::string& what, std::string_view text) {
  std::printf("FAILED %s\n", what.c_str());
  if (std::FILE* file = std::fopen("reader_fuzz_found.wts", "wb")) {
    std::fwrite(text.data(), 1, text.size(), file);
    std::fclose(file);
  }
  std::fflush(stdout);
  std::abort();
}

void demand(bool condition, const std::string& what, std::string_view text) {
  if (!condition) stop(what, text);
}

bool same(wts::span<const float> values, const std::vector<std::uint32_t>& bits, std::size_t from) {
  return values.empty() || std::memcmp(values.data(), bits.data() + from, values.size() * sizeof(float)) == 0;
}

void check_error(const wts::error& why, std::string_view text) {
  demand(why.code != wts::errc::none && !why.text.empty(), "an error without a word", text);
  demand(why.offset <= text.size(), "an error beyond the end: " + why.text, text);
  demand(why.code != wts::errc::changed && why.code != wts::errc::memory && why.code != wts::errc::file,
         "an error that cannot be: " + why.text, text);
}

void check(const wts::kernel& kernel, std::string_view text, const std::optional<std::vector<PlainTensor>>& wanted) {
  wts::options options;
  options.kernel = kernel.name;
  options.threads = 1;
  wts::error why;
  const auto weights = wts::try_parse(text, &why, "fuzz", options);
  if (!weights) {
    check_error(why, text);
    demand(!wanted, "not taken: " + why.text, text);
    return;
  }
  if (!weights->try_load_all(&why)) {
    check_error(why, text);
    demand(!wanted, "not decoded: " + why.text, text);
    for (const wts::tensor& tensor : *weights) {
      wts::error other;
      if (!weights->find(tensor.name, &other)) check_error(other, text);
    }
    return;
  }
  demand(wanted.has_value(), "taken, and should not be", text);
  demand(weights->size() == wanted->size(), "another number of tensors", text);
  for (std::size_t i = 0; i < wanted->size(); ++i) {
    const PlainTensor& tensor = (*wanted)[i];
    const std::size_t count = tensor.bits.size();
    demand((*weights)[i].name == tensor.name && (*weights)[i].count == count, "another tensor", text);
    demand(same(weights->at(tensor.name, count), tensor.bits, 0), "other values", text);
    const std::size_t begin = count / 3, end = count - count / 5;
    std::vector<float> part(end - begin);
    demand(weights->try_read((*weights)[i], begin, end, part.data(), &why) &&
               same({part.data(), part.size()}, tensor.bits, begin),
           "other values in a part", text);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<char> exact(data, data + size);  // nothing beyond it can be read unseen
  const std::string_view text(exact.data(), size);
  const auto wanted = reader_test::plain_read(text);
  for (const wts::kernel& kernel : wts::kernels()) {
    if (kernel.supported()) check(kernel, text, wanted);
  }
  return 0;
}

#if !defined(WTS_LIBFUZZER)

namespace {

std::string mutate(std::string text, const std::vector<reader_test::Vector>& vectors, std::mt19937& random) {
  static constexpr std::string_view kTelling = " \n\r\t0123456789abcdefABCDEFgGxX-+.\0\x7f\x80\xff";
  const auto place = [&] { return text.empty() ? 0 : random() % text.size(); };
  for (std::size_t rounds = 1 + random() % 4; rounds > 0; --rounds) {
    const std::size_t at = place();
    switch (random() % 9) {
      case 0:
        if (!text.empty()) text[at] = static_cast<char>(text[at] ^ (1 << random() % 8));
        break;
      case 1:
        if (!text.empty()) text[at] = kTelling[random() % kTelling.size()];
        break;
      case 2:
        text.insert(at, 1, kTelling[random() % kTelling.size()]);
        break;
      case 3:
        text.erase(at, 1 + random() % (random() % 4 == 0 ? 40 : 3));
        break;
      case 4:
        text.resize(at);
        break;
      case 5:
        text.insert(place(), std::string(text, at, 1 + random() % 40));
        break;
      case 6: {
        const std::string& other = vectors[random() % vectors.size()].text;
        if (!other.empty()) text.insert(at, other, random() % other.size(), 1 + random() % 60);
        break;
      }
      case 7:
        text.insert(at, random() % 2 == 0 ? "\n" : random() % 2 == 0 ? "\r\n" : "  ");
        break;
      default:
        if (const std::size_t digit = text.find_first_of("0123456789", at); digit != text.npos) {
          text[digit] = static_cast<char>('0' + random() % 10);
        }
    }
  }
  return text;
}

unsigned long number(const char* variable, unsigned long otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr && *text != '\0' ? std::strtoul(text, nullptr, 10) : otherwise;
}

}  // namespace

int main() {
  const auto vectors = reader_test::read_vectors(WTS_VECTORS);
  const unsigned long rounds = number("WTS_TEST_MUTATIONS", 20000);
  const auto seed = static_cast<unsigned>(number("WTS_TEST_SEED", std::random_device{}()));
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  const auto run = [](const std::string& text) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  };
  for (const reader_test::Vector& vector : vectors) run(vector.text);
  for (unsigned long i = 0; i < rounds; ++i) {
    const std::string& text = vectors[random() % vectors.size()].text;
    if (text.size() < 30000 || random() % 50 == 0) run(mutate(text, vectors, random));
  }
  std::printf("%lu mutated files\n", rounds);
  return 0;
}

#endif
