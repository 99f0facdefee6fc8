// What callers get wrong, and files that change or cannot be read. The vectors hold what can be wrong with a text.
#include "reader_support.hpp"
#if !defined(_WIN32)
#include <sys/resource.h>
#include <unistd.h>
#endif

namespace {

using reader_test::expect;

bool holds(const std::string& text, std::initializer_list<const char*> parts) {
  for (const char* part : parts) {
    if (text.find(part) == std::string::npos) return false;
  }
  return true;
}

template <class Work>
wts::error thrown_by(const Work& work) {
  try {
    work();
  } catch (const wts::error& error) {
    expect(std::string(error.what()) == error.text && error, "what() is the text");
    return error;
  }
  return {};
}

std::string many_values(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += " 3f800000";
  return text;
}

void missing_names() {
  const std::string text =
      "6\nmodel.0.conv.weight 2  3f800000 40000000\nmodel.0.bn.weight 1  3f800000\nmodel.10.conv.weight 1  3f800000\n"
      "backbone.stem.bias 0 \nx 1  3f800000\nmodel.0.conv.bias 1  3f800000\n";
  const wts::weights weights = wts::parse(text, "some.wts");
  const auto names = weights.names();
  expect(names.size() == 6 && names[3] == "backbone.stem.bias", "names()");
  expect(weights.contains("x") && !weights.contains("y") && !weights.contains(""), "contains()");

  wts::error why = thrown_by([&] { weights.at("model.0.conv.wieght", 432); });
  expect(why.code == wts::errc::missing && why.tensor == "model.0.conv.wieght", "a missing name");
  expect(holds(why.text, {"some.wts", "\"model.0.conv.wieght\"", "432 values expected", "6 of the file",
                          "nearest: \"model.0.conv.weight\" (2 values)", "model.10.conv.weight"}),
         why.text);
  expect(weights.nearest("model.0.conv.weigth").at(0) == "model.0.conv.weight", "the nearest");
  expect(weights.nearest("stem.bias") == std::vector<std::string_view>{"backbone.stem.bias"}, "a prefix too little");
  expect(weights.nearest("module.x") == std::vector<std::string_view>{"x"}, "a prefix too much");
  expect(weights.nearest("model.0.conv.weight", 1).size() == 1 && weights.nearest("model.0.conv.weight", 0).empty(),
         "most");
  expect(weights.nearest("something quite different").empty(), "nothing is near");
  expect(weights.nearest("").size() <= 3 && weights.nearest(std::string(100000, 'n')).empty(), "odd names");
  why = thrown_by([&] { weights.at("something quite different"); });
  expect(!holds(why.text, {"nearest"}), why.text);
  expect(!weights.find("y"), "find() of a missing name");
  expect(!weights.find("y", 3) && !weights.find("y", 3, &why) && holds(why.text, {"3 values expected"}), why.text);
  expect(!weights.find("y", &why) && why.code == wts::errc::missing && !holds(why.text, {"expected"}), why.text);

  why = thrown_by([&] { weights.at("model.0.conv.weight", 432); });
  expect(why.code == wts::errc::count && why.line == 2 && why.tensor == "model.0.conv.weight", "a wrong count");
  expect(holds(why.text, {"line 2", "it holds 2 values, not the 432 expected"}), why.text);
  expect(!weights.find("model.0.conv.weight", 432, &why) && why.code == wts::errc::count, "find() of a wrong count");
  expect(weights.find("model.0.conv.weight", 2) && weights.at("model.0.conv.weight", 2)[1] == 2.0f, "the right count");
  expect(weights.at("backbone.stem.bias", 0).empty() && weights.at("backbone.stem.bias").data() != nullptr,
         "no values");

  expect(weights.find("backbone.stem.bias", 0) && !weights.find("x", 0), "find() of a literal 0 is of no values");
  expect(!weights.find("x", 0, &why) && why.code == wts::errc::count && weights.find("x", 1u), "and tells why");
  expect(!weights.find("x", 0u) && !weights.find("x", 0L) && !weights.find("x", 0UL) && !weights.find("x", 0LL) &&
             !weights.find("x", 0ULL) && !weights.find("x", std::int64_t{0}) && !weights.find("x", std::size_t{0}),
         "a literal 0 of any type");
  enum wanted : unsigned char { one = 1 };
  expect(weights.find("x", one) && weights.find("x", nullptr), "an enumerator counts, a null pointer does not");

  float values[2];
  why = thrown_by([&] { weights.read("model.0.conv.weight", values, 1); });
  expect(why.code == wts::errc::count, "read() of a wrong count");
  why = thrown_by([&] { weights.read("y", values, 1); });
  expect(why.code == wts::errc::missing, "read() of a missing name");
  for (const auto& [begin, end] :
       {std::pair<std::uint64_t, std::uint64_t>{0, 3}, {2, 1}, {3, 3}, {0, ~std::uint64_t{0}}}) {
    why = {};
    expect(!weights.try_read(weights[0], begin, end, values, &why) && why.code == wts::errc::range, "a wrong range");
    expect(!weights.try_read(weights[0], begin, end, values), "a wrong range, and no one is told");
  }
}

void wrong_values() {
  // Two wrong digits far from each other, in a text that several threads share: the first is reported, always.
  std::string text = "2\na 3000000 " + many_values(3000000) + "\nb 5 " + many_values(5) + "\n";
  text[20000000] = 'x';
  text[26000000] = 'y';
  const auto place = static_cast<std::uint64_t>(20000000);
  const reader_test::TemporaryFile file(text);
  for (const unsigned threads : {0u, 1u, 2u, 4u}) {
    wts::options options;
    options.threads = threads;
    const wts::weights weights = wts::open(file.path(), options);
    wts::error why;
    expect(!weights.find("a", &why) && !weights.find("a"), "damage");
    expect(why.code == wts::errc::digit && why.offset == place && why.line == 2 && why.tensor == "a", why.text);
    expect(holds(why.text, {file.path().c_str(), "line 2", "\"a\"", "byte 20000000", "'x'"}), why.text);
    why = thrown_by([&] { weights.load_all(); });
    expect(why.offset == place, "load_all() " + why.text);
    expect(weights.at("b").size() == 5, "another tensor is sound");
    std::vector<float> values(3000000);
    expect(weights.try_read(weights[0], 0, 2000000, values.data(), &why), "the part before the damage is sound");
    expect(!weights.try_read(weights[0], 0, 3000000, values.data()), "the whole is not");
    float* const places[] = {nullptr, values.data()};
    expect(weights.try_read_all(places), "the damaged one is passed over");
    float* const both[] = {values.data(), values.data()};
    why = thrown_by([&] { weights.read_all(both); });
    expect(why.offset == place, "read_all() " + why.text);
  }
}

void files() {
  wts::error why;
  const std::string folder = std::filesystem::temp_directory_path().string();
  for (const std::string& path : {folder + "/no/such/file.wts", folder, std::string(), std::string("a\0b", 3)}) {
    why = {};
    expect(!wts::try_open(path, &why) && why.code == wts::errc::file && !why.text.empty(), "no file: " + why.text);
    why = thrown_by([&] { wts::open(path); });
    expect(why.code == wts::errc::file, "no file, thrown");
  }
  expect(!wts::try_open(folder + "/no/such/file.wts"), "no one is told");

  // A file that shrinks, grows, and is removed.
  const std::string text = "3\na 20000 " + many_values(20000) + "\nb 20000 " + many_values(20000) + "\nc 2 0x1 0x2\n";
  const reader_test::TemporaryFile file(text);
  const wts::weights weights = wts::open(file.path());
  expect(weights.at("a")[0] == 1.0f, "before");
  std::filesystem::resize_file(file.path(), 200000);
  expect(weights.at("a").size() == 20000, "what is decoded stays");
  expect(!weights.find("b", &why) && why.code == wts::errc::changed && why.tensor == "b", "it shrinks: " + why.text);
  const std::string had = "had " + std::to_string(text.size()) + " bytes when it was opened";
  expect(why.offset == 200000 && holds(why.text, {had.c_str()}), why.text);
  expect(!weights.find("c", &why) && why.code == wts::errc::changed && why.tensor == "c",
         "in a scanned line: " + why.text);
  std::filesystem::resize_file(file.path(), 0);
  expect(!weights.try_load_all(&why) && why.code == wts::errc::changed, "to nothing: " + why.text);
  std::ofstream(file.path(), std::ios::binary) << text << "more";
  expect(weights.at("b")[19999] == 1.0f, "it is there again");
  expect(!wts::try_open(file.path(), &why) && why.code == wts::errc::trailing, "and longer: " + why.text);
}

void moving() {
  const std::string text = "2\na 1  3f800000\nb 1  40000000\n";
  wts::weights first = wts::parse(text);
  const wts::span<const float> a = first.at("a");
  const wts::tensor* described = first.describe("a");
  wts::weights second = std::move(first);
  expect(second.at("a").data() == a.data() && second.describe("a") == described, "spans outlive a move");
  first = wts::parse(text);
  second = std::move(first);
  expect(second.at("b").front() == 2.0f && second.at("b").back() == 2.0f, "a move over another");
  std::size_t count = 0;
  for (const wts::tensor& tensor : second) count += tensor.count;
  expect(count == 2 && second[1].name == "b", "iteration");
}

// A tensor larger than the memory there is: an error, not the end.
void out_of_memory() {
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(RLIMIT_AS)
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  return;
#endif
#endif
  const std::string text = "1\na 40000000 " + many_values(40000000) + "\n";
  const wts::weights weights = wts::parse(text);
  rlimit before{};
  getrlimit(RLIMIT_AS, &before);
  rlimit after = before;
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  after.rlim_cur = pages * 4096 + (64u << 20);
  if (pages == 0 || setrlimit(RLIMIT_AS, &after) != 0) return;
  wts::error why;
  const bool found = weights.find("a", &why).has_value();
  setrlimit(RLIMIT_AS, &before);
  if (found) std::printf("SKIPPED out of memory: the limit is not kept here\n");  // by qemu
  expect(found || why.code == wts::errc::memory, "out of memory: " + why.text);
  expect(weights.find("a").has_value(), "and with memory it goes on");
#endif
}

}  // namespace

int main() {
  missing_names();
  wrong_values();
  files();
  moving();
  out_of_memory();
  if (reader_test::failures == 0) std::printf("all errors are as they should be\n");
  return reader_test::failures == 0 ? 0 : 1;
}
