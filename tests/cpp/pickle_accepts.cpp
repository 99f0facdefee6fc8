// What each opcode makes of a pickle, by hand-made pickles: the value as text, as Python would write it where it can.
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>

#include "pickle/machine.hpp"

namespace {

using namespace std::string_literals;
using pywts::pickle::Document;
using pywts::pickle::How;
using pywts::pickle::Id;
using pywts::pickle::Kind;
using pywts::pickle::kNone;

int failures = 0;

std::string quoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    char code[8];
    std::snprintf(code, sizeof code, "\\x%02x", static_cast<unsigned char>(c));
    const bool plain = c >= ' ' && c <= '~' && c != '\'' && c != '\\';
    result += plain ? std::string(1, c) : std::string(code);
  }
  return result + "'";
}

std::string shown(const Document& document, Id id, int depth);

std::string shown_items(const Document& document, Id id, int depth) {
  std::string result;
  for (const Id item : document.items(id)) {
    result += (result.empty() ? "" : ", ") + shown(document, item, depth);
  }
  return result;
}

std::string shown_pairs(const Document& document, Id id, int depth) {
  std::string result;
  for (const auto& pair : document.pairs(id)) {
    result +=
        (result.empty() ? "" : ", ") + shown(document, pair.key, depth) + ": " + shown(document, pair.value, depth);
  }
  return result;
}

// What was done to an object whose nature only running would tell.
std::string shown_records(const Document& document, Id id, int depth) {
  std::string result;
  if (!document.items(id).empty()) result += " + [" + shown_items(document, id, depth) + "]";
  if (!document.pairs(id).empty()) result += " + {" + shown_pairs(document, id, depth) + "}";
  for (const auto& build : document.builds(id)) result += " < " + shown(document, build.state, depth);
  return result;
}

std::string shown_call(const Document& document, Id id, int depth) {
  const char* const hows[] = {"reduce", "newobj", "newobj_ex", "obj", "inst", "extension"};
  std::string result = hows[static_cast<std::size_t>(document.how(id))];
  result += " " + shown(document, document.function(id), depth);
  if (document.arguments(id) != kNone) result += " " + shown(document, document.arguments(id), depth);
  if (document.keywords(id) != kNone) result += " " + shown(document, document.keywords(id), depth);
  return "<" + result + ">";
}

std::string shown(const Document& document, Id id, int depth = 0) {
  if (++depth > 6) return "...";
  switch (document.kind(id)) {
    case Kind::none:
      return "None";
    case Kind::boolean:
      return document.integer(id) != 0 ? "True" : "False";
    case Kind::integer:
      return document.big(id) ? "int " + quoted(document.text(id)) : std::to_string(document.integer(id));
    case Kind::real: {
      char text[40];
      std::snprintf(text, sizeof text, "%.17g", document.real(id));
      return "float " + std::string(text);
    }
    case Kind::bytes:
      return "b" + quoted(document.text(id));
    case Kind::bytearray:
      return "bytearray " + quoted(document.text(id));
    case Kind::string:
      return quoted(document.text(id));
    case Kind::tuple:
      return "(" + shown_items(document, id, depth) + ")";
    case Kind::list:
      return "[" + shown_items(document, id, depth) + "]";
    case Kind::set:
      return "set{" + shown_items(document, id, depth) + "}";
    case Kind::frozenset:
      return "frozenset{" + shown_items(document, id, depth) + "}";
    case Kind::dict:
      return "{" + shown_pairs(document, id, depth) + "}";
    case Kind::global:
      return std::string(document.module(id)) + ":" + std::string(document.name(id)) +
             shown_records(document, id, depth);
    case Kind::call:
      return shown_call(document, id, depth) + shown_records(document, id, depth);
    case Kind::persistent:
      return "<persistent " + shown(document, document.argument(id), depth) + ">" + shown_records(document, id, depth);
  }
  return "?";
}

void expect(bool holds, const char* what) {
  if (holds) return;
  ++failures;
  std::printf("failed: %s\n", what);
}

void gives(const std::string& pickle, const std::string& expected) {
  std::string got;
  try {
    const Document document(pickle);
    got = shown(document, document.root());
    if (document.end() != pickle.size()) got += ", with something left";
  } catch (const pywts::pickle::Error& error) {
    got = "refused at " + std::to_string(error.position) + ": " + error.what();
  }
  if (got == expected) return;
  ++failures;
  std::printf("failed: %s\n  is        %s\n  should be %s\n", quoted(pickle).c_str(), got.c_str(), expected.c_str());
}

void constants() {
  gives("N.", "None");
  gives("\x88.", "True");
  gives("\x89.", "False");
  gives("\x80\x02N.", "None");
  gives("\x80\x05N\x80\x00."s, "None");  // the protocol is a remark, and may be made anywhere
}

void integers() {
  gives("K\xff.", "255");
  gives("M\x01\xff.", "65281");
  gives("J\xfe\xff\xff\xff.", "-2");
  gives("J\xff\xff\xff\x7f.", "2147483647");
  gives("I12\n.", "12");
  gives("I01\n.", "True");  // as protocols 0 and 1 write it
  gives("I00\n.", "False");
  gives("I1\n.", "1");
  gives("I 1\n.", "True");  // CPython looks at the length
  gives("I001\n.", "1");
  gives("I010\n.", "8");  // C's octals
  gives("I-0x1F\n.", "-31");
  gives("I0b101\n.", "5");  // Python's own
  gives("I0o17\n.", "15");
  gives("I1_000\n.", "1000");
  gives("I 7 \n.", "7");
  gives("I5\0junk\n."s, "5");  // a C string ends there
  gives("I9223372036854775807\n.", "9223372036854775807");
  gives("I-9223372036854775808\n.", "-9223372036854775808");
  gives("I9223372036854775808\n.", "int '\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x00'");
  gives("L5L\n.", "5");
  gives("L5\n.", "5");
  gives("L00L\n.", "0");
  gives("L-0xffffffffffffffffL\n.", "int '\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\xff'");
  gives("L0o1777777777777777777777L\n.", "int '\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00'");
  gives("L1000000000000000000000L\n.", "int '\\x00\\x00\\xa0\\xde\\xc5\\xad\\xc956'");
  gives("\x8a\x00."s, "0");
  gives("\x8a\x01\xff.", "-1");
  gives("\x8a\x02\xff\x00."s, "255");
  gives("\x8a\x0a\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xff.", "-2");  // bytes that only repeat the sign
  gives("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00."s, "int '\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x00'");
  gives("\x8b\x02\x00\x00\x00\x00\x01."s, "256");
}

void reals() {
  gives("G\x3f\xf8\x00\x00\x00\x00\x00\x00."s, "float 1.5");
  gives("F1.5\n.", "float 1.5");
  gives("F-.5e-3\n.", "float -0.00050000000000000001");
  gives("F7\n.", "float 7");
  gives("F1.\n.", "float 1");
  gives("F1e-999\n.", "float 0");
  gives("F-inf\n.", "float -inf");
  gives("FINFinity\n.", "float inf");
  gives("F+nan\n.", "float nan");
  gives("F0.1\n.", "float 0.10000000000000001");
  gives("F2.5\0junk\n."s, "float 2.5");
}

void texts() {
  gives("X\x02\x00\x00\x00hi."s, "'hi'");
  gives("\x8c\x03h\xc3\xa9.", "'h\\xc3\\xa9'");
  gives("\x8d\x01\x00\x00\x00\x00\x00\x00\x00x."s, "'x'");
  gives("\x8c\x03\xed\xa0\x80.", "'\\xed\\xa0\\x80'");  // a lone surrogate
  gives("\x8c\x04\xf0\x9f\x98\x80.", "'\\xf0\\x9f\\x98\\x80'");
  gives("Vhi\n.", "'hi'");
  gives("V\n.", "''");
  gives("V\xe9\n.", "'\\xc3\\xa9'");  // Latin-1
  gives("V\\u00e9\\U0001f600\\ud800\n.", "'\\xc3\\xa9\\xf0\\x9f\\x98\\x80\\xed\\xa0\\x80'");
  gives("V\\\\u0041\\n\\\n.", "'\\x5c\\x5cu0041\\x5cn\\x5c'");  // no other escapes
  gives("S'hi'\n.", "'hi'");
  gives("S\"it's\"\n.", "'it\\x27s'");
  gives("S'\\x41\\102\\n\\q\\''\n.", "'AB\\x0a\\x5cq\\x27'");
  gives("S'\xc3\xa9'\n.", "'\\xc3\\xa9'");
  gives("S'\\xff'\n.", "b'\\xff'");  // a Python 2 str that is no text
  gives("U\x02hi.", "'hi'");
  gives("U\x01\xff.", "b'\\xff'");
  gives("U\x03\xed\xa0\x80.", "b'\\xed\\xa0\\x80'");
  gives("T\x02\x00\x00\x00hi."s, "'hi'");
  gives("C\x02\x00\xff."s, "b'\\x00\\xff'");
  gives("B\x01\x00\x00\x00x."s, "b'x'");
  gives("\x8e\x01\x00\x00\x00\x00\x00\x00\x00x."s, "b'x'");
  gives("\x96\x01\x00\x00\x00\x00\x00\x00\x00x."s, "bytearray 'x'");
}

void containers() {
  gives(").", "()");
  gives("(t.", "()");
  gives("N\x85.", "(None)");
  gives("NK\x01\x86.", "(None, 1)");
  gives("NK\x01K\x02\x87.", "(None, 1, 2)");
  gives("(NNNNt.", "(None, None, None, None)");
  gives("].", "[]");
  gives("(l.", "[]");
  gives("(NK\x01l.", "[None, 1]");
  gives("]Na.", "[None]");
  gives(
      "](NK\x01"
      "e.",
      "[None, 1]");
  gives("](e.", "[]");
  gives("N(e(u(\x90.", "None");  // nothing is added, so nothing is looked at
  gives("}.", "{}");
  gives("(d.", "{}");
  gives("(K\x01Nd.", "{1: None}");
  gives("}K\x01Ns.", "{1: None}");
  gives("}(K\x01NK\x02Nu.", "{1: None, 2: None}");
  gives("}(K\x01NK\x01)u.", "{1: None, 1: ()}");  // the last one counts; all are told
  gives("}K\x01Ns(K\x02Nu.", "{1: None, 2: None}");
  gives("}N\x85Ns.", "{(None): None}");
  gives("\x8f.", "set{}");
  gives("\x8f(K\x01K\x02\x90.", "set{1, 2}");
  gives("(K\x01\x91.", "frozenset{1}");
  gives("(\x91.", "frozenset{}");
  gives(
      "](K\x05K\x06"
      "eK\x01K\x07s.",
      "[5, 7]");  // no pickler writes this
  gives(
      "](K\x05K\x06"
      "eJ\xfe\xff\xff\xffK\x07s.",
      "[7, 6]");
  gives(
      "]K\x05"
      "a\x89K\x07s.",
      "[7]");
}

void stack() {
  gives(
      "NK\x01"
      "0.",
      "None");
  gives("N(0.", "None");    // POP takes a mark
  gives("N(NN1.", "None");  // POP_MARK what is above it too
  gives("N2\x86.", "(None, None)");
  gives("K\x01K\x02.", "2");  // what lies below is dropped
  gives("]2Na.", "[None]");   // the same list
  gives("]2\x86.", "([], [])");
}

void memo() {
  gives("]q\x05h\x05Na\x86."s, "([None], [None])");
  gives("Kaq\x00Kbq\x01h\x00."s, "97");
  gives("Kar\x00\x00\x00\x80Nj\x00\x00\x00\x80\x86."s, "(None, 97)");
  gives("Kap4294967296\ng4294967296\n\x86.", "(97, 97)");
  gives("Kap1_0\ng 10 \n\x86.", "(97, 97)");
  gives("Ka\x94Kb\x94h\x00h\x01\x87."s, "(98, 97, 98)");
  gives("Kaq\x05Kb\x94h\x01\x86."s, "(98, 98)");  // MEMOIZE counts the entries
  gives("Kaq\x00Kbq\x00h\x00\x86."s, "(98, 98)");
  gives(
      "]q\x00h\x00"
      "a."s,
      "[[[[[[...]]]]]]");  // in itself
  gives(
      "]q\x00h\x00\x85"
      "0h\x00."s,
      "[]");
}

void imports_and_calls() {
  gives("cos\nsystem\n.", "os:system");
  gives("ca.b\nc.d.e\n.", "a.b:c.d.e");
  gives("c\xc3\xa9\nx\r\n.", "\xc3\xa9:x\r");
  gives("\x8c\x02os\x8c\x06system\x93.", "os:system");
  gives("\x8c\x00\x8c\x00\x93."s, ":");
  gives("ca\nb\n)R.", "<reduce a:b ()>");
  gives("ca\nb\nca\nb\nR.", "<reduce a:b a:b>");  // what may be a tuple
  gives("ca\nb\n)R)R.", "<reduce <reduce a:b ()> ()>");
  gives("ca\nb\n(K\x01t\x81.", "<newobj a:b (1)>");
  gives("ca\nb\n)}\x92.", "<newobj_ex a:b () {}>");
  gives("(ia\nb\n.", "<inst a:b ()>");
  gives("(K\x01ia\nb\n.", "<inst a:b (1)>");
  gives("(ca\nb\no.", "<obj a:b ()>");
  gives("(ca\nb\nK\x01o.", "<obj a:b (1)>");
  gives("\x82\x05.", "<extension 5>");
  gives("\x83\x00\x01."s, "<extension 256>");
  gives("\x84\x00\x00\x01\x00."s, "<extension 65536>");
  gives("Pabc\n.", "<persistent 'abc'>");
  gives("P\n.", "<persistent ''>");
  gives("K\x05Q.", "<persistent 5>");
}

void records() {
  gives("ca\nb\n)RNb.", "<reduce a:b ()> < None");
  gives("ca\nb\n)R}bNb.", "<reduce a:b ()> < {} < None");
  gives(
      "ca\nb\nN}\x86"
      "b.",
      "a:b < (None, {})");
  gives(
      "csys\npath\nK\x01"
      "a(K\x02K\x03"
      "e.",
      "sys:path + [1, 2, 3]");
  gives("csys\nmodules\nK\x01K\x02s(K\x03K\x04u.", "sys:modules + {1: 2, 3: 4}");
  gives("ca\nb\n(K\x01\x90.", "a:b + [1]");
  gives(
      "NQ]Ns(K\x01"
      "eNb.",
      "<persistent None> + [1] + {[]: None} < None");
  gives("]Nb.", "[]");  // a state that says nothing is lost on plain data
  gives(
      "K\x01N}\x86"
      "b.",
      "1");
}

void frames() {
  gives("\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00N."s, "None");
  gives("\x95\x01\x00\x00\x00\x00\x00\x00\x00K\x05."s, "5");  // ends between an opcode and its argument
  gives("\x95\x00\x00\x00\x00\x00\x00\x00\x00K\x05."s, "5");  // an empty one
  gives(
      "\x95\x03\x00\x00\x00\x00\x00\x00\x00"
      "C\x03xyz."s,
      "b'xyz'");  // the one argument that may leave its frame
  gives(
      "\x95\x0c\x00\x00\x00\x00\x00\x00\x00N\x95\x01\x00\x00\x00\x00\x00\x00\x00"
      "0N."s,
      "None");  // one inside another
}

void facts() {
  const std::string pickle =
      "\x80\x02(cmod\nname\nq\x01)R0h\x01N\x80\x04h\x01"
      "0cp\nq\n.after"s;
  const Document document(pickle);
  expect(document.end() == pickle.size() - 5, "the end is behind STOP");
  expect(document.protocol() == 4, "the protocol is the last that was told");
  expect(document.kind(document.root()) == Kind::global && document.position(document.root()) == pickle.size() - 11,
         "a node knows its opcode's place");
  expect(document.protocol(document.root()) == 4, "a global knows the protocol it was imported under");
  int globals = 0;
  int calls = 0;
  for (Id id = 0; id < document.size(); ++id) {
    if (document.kind(id) == Kind::global) ++globals;
    if (document.kind(id) == Kind::call) {
      ++calls;
      expect(document.position(id) == 16, "a call knows its place");
      expect(document.protocol(document.function(id)) == 2, "under the protocol of its time");
    }
  }
  expect(globals == 2 && calls == 1, "what was popped is there too");

  const Document build("ca\nb\n)RNb.");
  expect(build.builds(build.root()).size() == 1 && build.builds(build.root())[0].position == 8, "so does a BUILD");

  const Document call("ca\nb\n)R.");
  const Id root = call.root();
  expect(call.text(root).empty() && call.integer(root) == 0 && call.real(root) == 0 && !call.big(root) &&
             call.module(root).empty() && call.name(root).empty() && call.argument(root) == kNone &&
             call.keywords(root) == kNone && call.items(root).empty() && call.pairs(root).empty() &&
             call.builds(root).empty() && call.protocol(root) == 0,
         "what a kind does not have is nothing");
  const Document number("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00."s);
  expect(number.big(number.root()) && number.integer(number.root()) == 0 && number.function(number.root()) == kNone &&
             number.how(number.root()) == How::reduce,
         "a big integer is no small one");
}

// A document can be handed on; its texts are still there, also those that had to be decoded.
void moves() {
  const std::string pickle = "V\\u00e9\n.";
  Document first(pickle);
  const Document second(std::move(first));
  expect(second.text(second.root()) == "\xc3\xa9", "a moved document has its texts");
}

}  // namespace

int main() {
  constants();
  integers();
  reals();
  texts();
  containers();
  stack();
  memo();
  imports_and_calls();
  records();
  frames();
  facts();
  moves();
  return failures == 0 ? 0 : 1;
}
