#include <cstdio>
#include <wts.hpp>

int main() {
  const auto weights = wts::parse("2\nconv.weight 2  3f800000 40000000\nempty 0 \n");
  const wts::span<const float> values = weights.at("conv.weight", 2);
  return values[0] == 1.0f && values[1] == 2.0f && weights.at("empty").empty() ? 0 : 1;
}
