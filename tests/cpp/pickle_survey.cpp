// What a survey tells of hand-made pickles, also of those that break off: each use as "deed target state name xN @P".
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "pickle/survey.hpp"

namespace {

using namespace std::string_literals;
using pywts::pickle::Document;
using pywts::pickle::kNone;
using pywts::pickle::Use;

int failures = 0;

std::string line_of(const Document& document, const Use& use) {
  static const char* const deeds[] = {"import", "pass",      "reduce",     "newobj", "newobj_ex", "obj",
                                      "inst",   "extension", "persistent", "build",  "append",    "setitem"};
  static const char* const targets[] = {"", " imported", " made", " loaded"};
  static const char* const states[] = {"", " hooking", " opaque"};
  std::string line = deeds[static_cast<std::size_t>(use.deed)];
  line += targets[static_cast<std::size_t>(use.target)];
  line += states[static_cast<std::size_t>(use.state)];
  if (use.global != kNone) {
    line += " " + std::string(document.module(use.global)) + "." + std::string(document.name(use.global));
  }
  return line + " x" + std::to_string(use.nodes.size()) + " @" + std::to_string(use.position) + "\n";
}

void expect(std::string_view data, bool whole, std::string_view wanted) {
  std::optional<pywts::pickle::Error> why;
  const Document document = Document::until_error(data, {}, why);
  std::string told;
  for (const Use& use : survey(document)) told += line_of(document, use);
  if (told == wanted && whole == !why) return;
  ++failures;
  std::printf("got\n%swhere this was expected:\n%s%s\n", told.c_str(), std::string(wanted).c_str(),
              why ? why->what() : "");
}

}  // namespace

int main() {
  expect("N."s, true, "");
  expect("ca\nb\n."s, true, "import a.b x1 @0\n");
  expect("ca\nb\n)R."s, true, "import a.b x1 @0\nreduce a.b x1 @6\n");
  expect("ca\nb\n)R0ca\nb\n)R."s, true, "import a.b x2 @0\nreduce a.b x2 @6\n");
  expect("ca\nb\n)R\xff"s, false, "import a.b x1 @0\nreduce a.b x1 @6\n");  // an unknown opcode after the call
  expect("ca\nb\n)R"s, false, "import a.b x1 @0\nreduce a.b x1 @6\n");      // no STOP
  expect("(ca\nb\n1N."s, true, "import a.b x1 @1\n");                       // popped with its mark
  expect("ca\nb\n\x85."s, true, "import a.b x1 @0\npass a.b x1 @0\n");      // handed on
  expect("ca\nb\n)R}b."s, true, "import a.b x1 @0\nreduce a.b x1 @6\nbuild made a.b x1 @8\n");
  expect("ca\nb\n}b."s, true, "import a.b x1 @0\nbuild imported a.b x1 @6\n");
  expect("ca\nb\n)RNa."s, true, "import a.b x1 @0\nreduce a.b x1 @6\nappend made a.b x1 @6\n");
  expect("Px\n}b."s, true, "persistent x1 @0\nbuild loaded x1 @4\n");
  expect("ca\nb\n)R}S'__setstate__'\nca\nb\nsb."s, true,
         "import a.b x2 @0\nreduce a.b x1 @6\npass a.b x1 @24\nbuild made hooking a.b x1 @30\n");
  expect("ca\nb\n)R}S'add'\nI1\nsb."s, true,  // a number is never called
         "import a.b x1 @0\nreduce a.b x1 @6\nbuild made a.b x1 @19\n");
  expect("ca\nb\n)Rca\nb\n)Rb."s, true, "import a.b x2 @0\nreduce a.b x2 @6\nbuild made opaque a.b x1 @14\n");
  expect("(S'module'\nca\nb\nNNtQ)\x81."s, true,  // the class that torch's loader brings
         "import a.b x1 @11\npass a.b x1 @11\npersistent x1 @19\nnewobj a.b x1 @21\n");
  if (failures != 0) std::printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
