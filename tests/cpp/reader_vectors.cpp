// Every vector in tests/vectors holds what its JSON says, or fails as it says: from a file, from memory and through a
// pipe, with every kernel, by every way to ask for values. So does a reader that is as plain as can be.
#include <atomic>
#include <thread>

#include "reader_support.hpp"
#if !defined(_WIN32)
#include <sys/stat.h>
#endif

namespace {

using reader_test::bits_of;
using reader_test::expect;
using reader_test::Json;
using reader_test::Vector;

const char* name_of(wts::dialect dialect) {
  constexpr const char* names[] = {"two_spaces", "one_space", "spaced", "prefixed", "typed", "typed_half"};
  return names[static_cast<std::size_t>(dialect)];
}

const char* name_of(wts::errc code) {
  constexpr const char* names[] = {"none",     "file",      "not_wts", "head",  "line",  "digit",   "values", "cut",
                                   "trailing", "duplicate", "missing", "count", "range", "changed", "kernel", "memory"};
  return names[static_cast<std::size_t>(code)];
}

bool same(wts::span<const float> values, const std::vector<Json>& bits) {
  if (values.size() != bits.size()) return false;
  for (std::size_t i = 0; i < bits.size(); ++i) {
    if (bits_of(values[i]) != std::stoul(bits[i].text, nullptr, 16)) return false;
  }
  return true;
}

void check_good(const wts::weights& weights, const std::vector<Json>& tensors, const std::string& what) {
  if (!expect(weights.size() == tensors.size(), what + ": the number of tensors")) return;
  std::vector<std::vector<float>> all;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const wts::tensor& found = weights[i];
    const Json& wanted = tensors[i];
    const std::string which = what + ", " + wanted["name"].text;
    expect(found.name == wanted["name"].text, which + ": the name is " + std::string(found.name));
    expect(weights.describe(found.name) == &found, which + ": describe()");
    expect(found.count == wanted["count"].number, which + ": the count");
    expect(found.line == wanted["line"].number, which + ": the line is " + std::to_string(found.line));
    expect(found.offset == wanted["offset"].number, which + ": the offset is " + std::to_string(found.offset));
    expect(name_of(found.dialect) == wanted["dialect"].text, which + ": the dialect is " + name_of(found.dialect));

    const std::vector<Json>& bits = wanted["bits"].items;
    const std::size_t count = bits.size();
    wts::error why;
    for (std::size_t begin = 0; begin <= count; begin += 1 + count / 7) {
      for (std::size_t end = begin; end <= count; end += 1 + count / 5) {
        std::vector<float> part(end - begin);
        const bool read = weights.try_read(found, begin, end, part.data(), &why);
        expect(read && same({part.data(), part.size()}, {bits.begin() + static_cast<std::ptrdiff_t>(begin),
                                                         bits.begin() + static_cast<std::ptrdiff_t>(end)}),
               which + ": try_read() " + why.text);
      }
    }
    std::vector<float> whole(count);
    weights.read(found.name, whole.data(), count);
    expect(same({whole.data(), count}, bits), which + ": read()");
    if (i % 2 == 0) {  // the others by load_all()
      const auto values = weights.find(found.name, &why);
      expect(values && same(*values, bits), which + ": find() " + why.text);
      expect(values && weights.at(found.name, count).data() == values->data(), which + ": at() decodes once");
    }
    all.emplace_back(count);
  }
  std::vector<float*> places;
  for (std::vector<float>& values : all) places.push_back(values.data());
  weights.read_all(places.data());
  weights.load_all();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::string which = what + ", " + tensors[i]["name"].text;
    expect(same({all[i].data(), all[i].size()}, tensors[i]["bits"].items), which + ": read_all()");
    expect(same(weights.at(weights[i].name), tensors[i]["bits"].items), which + ": load_all()");
  }
}

void check_bad(const wts::error& why, const Json& wanted, const std::string& what) {
  const std::string got = std::string(name_of(why.code)) + ", line " + std::to_string(why.line) + ", tensor " +
                          why.tensor + ", offset " + std::to_string(why.offset) + ": " + why.text;
  expect(name_of(why.code) == wanted["code"].text && why.line == wanted["line"].number &&
             why.tensor == wanted["tensor"].text && why.offset == wanted["offset"].number,
         what + ": the error is " + got);
  expect(why.text.find(what.substr(0, what.find(' '))) != std::string::npos, what + ": the text names no file: " + got);
}

void check(const Vector& vector, std::optional<wts::weights> weights, wts::error why, const std::string& what) {
  const auto tensors = vector.holds.members.find("tensors");
  if (tensors != vector.holds.members.end()) {
    if (expect(weights.has_value(), what + ": " + why.text)) check_good(*weights, tensors->second.items, what);
    return;
  }
  if (weights) {  // what is wrong shows when the values are read
    const bool loaded = weights->try_load_all(&why);
    if (!expect(!loaded, what + ": no error")) return;
    for (const wts::tensor& tensor : *weights) {  // tensor by tensor, the first error is the same
      wts::error other;
      if (!weights->find(tensor.name, &other)) {
        expect(other.code == why.code && other.offset == why.offset, what + ": find() says " + other.text);
        break;
      }
    }
  }
  check_bad(why, vector.holds["error"], what);
}

void check(const Vector& vector, const wts::kernel& kernel) {
  wts::options options;
  options.kernel = kernel.name;
  const std::string end = std::string(" with ") + kernel.name;
  wts::error why;
  {
    // Memory of exactly this size, so that a sanitizer sees what reads beyond it.
    const std::vector<char> exact(vector.text.begin(), vector.text.end());
    auto weights = wts::try_parse({exact.data(), exact.size()}, &why, vector.name, options);
    check(vector, std::move(weights), why, vector.name + " in memory" + end);
  }
  const reader_test::TemporaryFile file(vector.text);
  why = {};
  auto weights = wts::try_open(file.path(), &why, options);
  check(vector, std::move(weights), why, file.path() + " of " + vector.name + end);
#if !defined(_WIN32)
  const std::string pipe = file.path() + ".pipe";
  if (expect(mkfifo(pipe.c_str(), 0600) == 0, "mkfifo")) {
    std::thread writer([&] { std::ofstream(pipe, std::ios::binary) << vector.text; });
    why = {};
    auto piped = wts::try_open(pipe, &why, options);
    writer.join();
    check(vector, std::move(piped), why, pipe + " of " + vector.name + end);
    std::filesystem::remove(pipe);
  }
#endif
}

}  // namespace

int main() {
  const std::vector<Vector> vectors = reader_test::read_vectors(WTS_VECTORS);
  for (const wts::kernel& kernel : wts::kernels()) {
    if (!kernel.supported()) {
      std::printf("SKIPPED kernel %s: this processor lacks it\n", kernel.name);
      continue;
    }
    for (const Vector& vector : vectors) check(vector, kernel);
    std::printf("kernel %s checked\n", kernel.name);
  }
  for (const Vector& vector : vectors) {
    const auto tensors = reader_test::plain_read(vector.text);
    const auto wanted = vector.holds.members.find("tensors");
    if (!expect(tensors.has_value() == (wanted != vector.holds.members.end()), vector.name + " read plainly") ||
        !tensors)
      continue;
    for (std::size_t i = 0; i < tensors->size(); ++i) {
      const std::vector<Json>& bits = wanted->second.items.at(i)["bits"].items;
      bool same_bits = (*tensors)[i].bits.size() == bits.size();
      for (std::size_t j = 0; same_bits && j < bits.size(); ++j) {
        same_bits = (*tensors)[i].bits[j] == std::stoul(bits[j].text, nullptr, 16);
      }
      expect(same_bits, vector.name + " read plainly, " + (*tensors)[i].name);
    }
  }
  std::printf("%zu vectors\n", vectors.size());
  return reader_test::failures == 0 ? 0 : 1;
}
