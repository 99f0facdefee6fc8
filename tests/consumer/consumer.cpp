#include <cstdio>
#include <wts.hpp>

int main() {
  const auto weights = wts::parse("2\nconv.weight 2  3f800000 40000000\nempty 0 \n");
  const wts::span<const float> values = weights.at("conv.weight", 2);
  const bool sound = values[0] == 1.0f && values[1] == 2.0f && weights.at("empty").empty();
  // What a literal 0 is: a count.
  const bool found = weights.find("empty", 0) && weights.find("empty", 0u, nullptr) && weights.find("empty", nullptr);
  return sound && found && !weights.find("conv.weight", 0) ? 0 : 1;
}
