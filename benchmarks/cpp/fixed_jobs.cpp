// Three jobs of a fixed size, for counting their instructions (benchmarks/instructions.py):
//   fixed_jobs export OUT.wts   write 300 float16 tensors, 6 million values, on one thread
//   fixed_jobs read IN.wts      read such a file on one thread
//   fixed_jobs pickle DATA.pkl  follow a checkpoint's pickle ten times
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "pickle/machine.hpp"
#include "wts.hpp"
#include "wts/writer.hpp"

namespace {

constexpr std::int64_t kTensors = 300;
constexpr std::int64_t kValues = 20'000;  // of each

void export_to(const char* path) {
  std::vector<std::uint16_t> halves(kValues);
  std::uint32_t state = 2463534242u;
  for (std::uint16_t& half : halves) {
    state = state * 1664525u + 1013904223u;
    half = static_cast<std::uint16_t>(state >> 16);
  }
  pywts::Storage storage;
  storage.memory = reinterpret_cast<const std::byte*>(halves.data());
  storage.size = halves.size() * sizeof(std::uint16_t);
  pywts::View view;
  view.dtype = pywts::Dtype::float16;
  view.shape = {kValues};
  view.strides = {1};
  std::vector<std::string> heads;
  for (std::int64_t i = 0; i < kTensors; ++i) {
    heads.push_back("model." + std::to_string(i) + ".weight " + std::to_string(kValues) + " ");
  }
  std::vector<pywts::Line> lines;
  for (const std::string& head : heads) lines.push_back({head, storage, view, "\n"});
  const int file = ::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  pywts::Writer writer(pywts::file_sink(file), false, nullptr);
  writer.text(std::to_string(kTensors) + "\n");
  writer.lines(lines.data(), lines.size());
  writer.flush();
  ::close(file);
}

void read_from(const char* path) {
  wts::options options;
  options.threads = 1;
  wts::open(path, options).load_all();
}

void follow(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::string data((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (int round = 0; round < 10; ++round) {
    if (pywts::pickle::Document(data).size() == 0) std::abort();
  }
}

}  // namespace

int main(int count, char** arguments) {
  const std::string job = count == 3 ? arguments[1] : "";
  if (job == "export") {
    export_to(arguments[2]);
  } else if (job == "read") {
    read_from(arguments[2]);
  } else if (job == "pickle") {
    follow(arguments[2]);
  } else {
    std::fputs("usage: fixed_jobs export OUT.wts | read IN.wts | pickle DATA.pkl\n", stderr);
    return 2;
  }
  return 0;
}
