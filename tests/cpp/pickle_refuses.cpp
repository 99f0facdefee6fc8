// What CPython's unpickler would stumble over is refused, with the place of the opcode and one clause.
#include <cstdio>
#include <string>

#include "pickle/machine.hpp"

namespace {

using namespace std::string_literals;
using pywts::pickle::Document;
using pywts::pickle::Error;

int failures = 0;

std::string quoted(const std::string& text) {
  std::string result;
  for (const char c : text) {
    char code[8];
    std::snprintf(code, sizeof code, "\\x%02x", static_cast<unsigned char>(c));
    result += c >= ' ' && c <= '~' && c != '\\' ? std::string(1, c) : std::string(code);
  }
  return result;
}

void refused(const std::string& pickle, std::uint64_t position, const std::string& why) {
  std::string got;
  try {
    const Document document(pickle);
    got = "accepted";
  } catch (const Error& error) {
    if (error.position == position && error.what() == why) return;
    got = "refused at " + std::to_string(error.position) + ": " + error.what();
  }
  ++failures;
  std::printf("failed: %s\n  is        %s\n  should be refused at %llu: %s\n", quoted(pickle).c_str(), got.c_str(),
              static_cast<unsigned long long>(position), why.c_str());
}

void ends() {
  refused("", 0, "the pickle ends without a STOP");
  refused("N", 1, "the pickle ends without a STOP");
  refused(".", 0, "the stack is empty");
  refused("N(.", 2, "a mark is in the way on the stack");
  for (const std::string& opcode : {"K"s,
                                    "M\x01"s,
                                    "J\x01\x02\x03"s,
                                    "Gxxxxxxx"s,
                                    "q"s,
                                    "rxxx"s,
                                    "h"s,
                                    "jxxx"s,
                                    "\x80"s,
                                    "\x82"s,
                                    "\x83x"s,
                                    "\x84xxx"s,
                                    "Xxxx"s,
                                    "X\x02\x00\x00\x00x"s,
                                    "\x8c"s,
                                    "\x8c\x02x"s,
                                    "\x8dxxxxxxx"s,
                                    "U"s,
                                    "U\x02x"s,
                                    "Txxx"s,
                                    "C"s,
                                    "C\x02x"s,
                                    "Bxxx"s,
                                    "\x8exxxxxxx"s,
                                    "\x96xxxxxxx"s,
                                    "\x8a"s,
                                    "\x8a\x02x"s,
                                    "\x8bxxx"s,
                                    "\x8b\x02\x00\x00\x00x"s,
                                    "\x95xxxxxxx"s,
                                    "I1"s,
                                    "L1"s,
                                    "F1"s,
                                    "S'x'"s,
                                    "Vx"s,
                                    "p1"s,
                                    "g1"s,
                                    "Px"s,
                                    "cos"s,
                                    "cos\nsystem"s}) {
    refused(opcode, 0, "the pickle is cut short");
  }
  refused("(ios\nsystem", 1, "the pickle is cut short");
}

void unknown_opcodes() {
  refused("N\n.", 1, "there is no opcode 10");
  refused("\xff", 0, "there is no opcode 255");
  refused("\x99", 0, "there is no opcode 153");
  refused("\x80\x06N.", 0, "the pickle's protocol is 6, known are 0 to 5");
  refused("\x80\xffN.", 0, "the pickle's protocol is 255, known are 0 to 5");
  refused("\x97.", 0, "the pickle refers to a buffer outside of it");
  refused("C\x01x\x98.", 3, "the pickle refers to a buffer outside of it");
}

void stack() {
  for (const std::string opcode :
       {"0", "2", "Q", "q\x01", "\x94", "\x85", "\x86", "\x87", "R", "b", "a", "s", "\x81", "\x92", "\x93", "p1\n"}) {
    refused(opcode, 0, "the stack is empty");
  }
  for (const std::string opcode :
       {"2", "Q", "q\x01", "\x94", "\x85", "\x86", "\x87", "R", "b", "a", "s", "\x81", "\x92", "\x93"}) {
    refused("NNN(" + opcode, 4, "a mark is in the way on the stack");
  }
  for (const std::string opcode : {"\x86", "\x87", "R", "b", "a", "s", "\x81", "\x92", "\x93"}) {
    refused("NNN(N" + opcode, 5, "a mark is in the way on the stack");
  }
  for (const std::string opcode : {"1", "t", "l", "d", "e", "u", "\x90", "\x91", "o", "ia\nb\n"}) {
    refused("N" + opcode, 1, "there is no mark on the stack");
  }
  for (const std::string opcode : {"e", "u", "\x90"}) {
    refused("(N" + opcode, 2, "the stack is empty");  // a mark, and nothing below it
    refused("N((N" + opcode, 4, "a mark is in the way on the stack");
  }
  refused("(o", 1, "the stack is empty");
  refused("N00", 2, "the stack is empty");
  refused("(d0.", 3, "the stack is empty");
}

void memo() {
  refused("h\x07.", 0, "the memo has no entry 7");
  refused("Nq\x01h\x00."s, 3, "the memo has no entry 0");
  refused("j\xff\xff\xff\xff.", 0, "the memo has no entry 4294967295");
  refused("g5\n.", 0, "the memo has no entry 5");
  refused("g-1\n.", 0, "a memo index is negative");
  refused("Np-1\n.", 1, "a memo index is negative");
  for (const std::string index : {"", " ", "x", "0x1", "1.0", "1__0", "1_", "_1", "+-1", "9223372036854775808"}) {
    refused("Np" + index + "\n.", 1, "a memo index is written wrong");
    refused("g" + index + "\n.", 0, "a memo index is written wrong");
  }
}

void numbers() {
  refused("I\n.", 0, "an integer is missing");
  for (const std::string text : {" ", "x", "1.5", "1 1", "0x", "08", "0_7_", "1__1", "0b2", "0o8", "--1", "5L", "0x_",
                                 "01234567012345670123456701234567"}) {
    refused("I" + text + "\n.", 0, "an integer is written wrong");
  }
  for (const std::string text : {"", "L", "x", "010", "0777", "5 L5", "1LL", "0x", "-"}) {
    refused("L" + text + "\n.", 0, "an integer is written wrong");
  }
  refused("\x8b\xff\xff\xff\xff", 0, "an integer has a negative size");
  refused("\x8b\x00\x00\x00\x80"s, 0, "an integer has a negative size");
  for (const std::string text :
       {"", " 1", "1 ", "x", "1e", "1e+", ".", "e5", "1_0", "0x1p3", "1e400", "infx", "nan(1)", "1,5", "+-1", "--1"}) {
    refused("F" + text + "\n.", 0, "a float is written wrong or too large");
  }
}

void texts() {
  for (const std::string text : {"\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xf5\x80\x80\x80", "\xf0\x80\x80\x80",
                                 "\xf4\x90\x80\x80", "\x80", "\xed\xa0", "abcdefgh\xe9"}) {
    refused("\x8c" + std::string(1, static_cast<char>(text.size())) + text + ".", 0, "a string is not UTF-8");
  }
  for (const std::string text : {"\\u12", "\\u123g", "\\U0011ffff1", "\\U00110000", "\\U1234567", "\\u"}) {
    refused("V" + text + "\n.", 0, "a string has a broken escape");
  }
  for (const std::string text : {"", "x", "'", "'x", "x'", "'x\"", "'x' "}) {
    refused("S" + text + "\n.", 0, "a string is not quoted");
  }
  for (const std::string text : {"\\", "\\x", "\\x1", "\\xg0"}) {
    refused("S'" + text + "'\n.", 0, "a string has a broken escape");
  }
}

// Whatever the imported code does, these cannot work.
void kinds() {
  refused(
      "NK\x01"
      "a.",
      3, "something is appended to None");
  refused(
      "\x88K\x01"
      "a.",
      3, "something is appended to a boolean");
  refused(
      "K\x05K\x01"
      "a.",
      4, "something is appended to an integer");
  refused(
      ")(N"
      "e.",
      3, "something is appended to a tuple");
  refused("}Na.", 2, "something is appended to a dict");
  refused("\x8fNa.", 2, "something is appended to a set");
  refused("\x96\x01\x00\x00\x00\x00\x00\x00\x00xNa."s, 11, "something is appended to a bytearray");
  refused(")NNs.", 3, "an item is set in a tuple");
  refused("Va\nNNs.", 5, "an item is set in a string");
  refused("C\x01xNNs.", 5, "an item is set in a bytes object");
  refused("\x8fNNs.", 3, "an item is set in a set");
  refused("]Va\nNs.", 5, "an item of a list is set at a string");
  refused("]K\x00Ns."s, 4, "an item is set that the list does not have");
  refused("]NaJ\xfe\xff\xff\xffNs.", 9, "an item is set that the list does not have");
  refused("](N\x90.", 3, "something is added as to a set to a list");
  refused("}(N\x90.", 3, "something is added as to a set to a dict");
  refused("}(NNNu.", 5, "a key is set without a value");
  refused("(NNNd.", 4, "a dict has a key without a value");
  refused("}]Ns.", 3, "a list that can change is used as a key");
  refused("(]Nd.", 3, "a list that can change is used as a key");
  refused("}}\x85\x85Ns.", 5, "a tuple that can change is used as a key");
  refused("\x8f(}\x90.", 3, "a dict that can change is used as an item of a set");
  refused("(\x8f\x91.", 2, "a set that can change is used as an item of a set");
  refused("K\x05)R.", 3, "what is called is an integer");
  refused("Vos\n)\x81.", 5, "what is called is a string");
  refused("(No.", 2, "what is called is None");
  refused("ca\nb\nNR.", 6, "a call's arguments are None");
  refused("ca\nb\n]\x81.", 6, "a call's arguments are a list");
  refused("ca\nb\n)N\x92.", 7, "a call's keywords are None");
  refused("K\x05}b.", 3, "a state is given to an integer");
  refused("}}b.", 2, "a state is given to a dict");
  refused(
      "]NN\x86"
      "b.",
      4, "a state is given to a list");
  refused(
      "]N}K\x01Ns\x86"
      "b.",
      8, "a state is given to a list");
}

void imports() {
  refused("NN\x93.", 2, "an import's name is None");
  refused("Vos\nK\x01\x93.", 6, "an import's name is an integer");
  refused("C\x02osVsystem\n\x93.", 12, "an import's name is a bytes object");
  refused("ca\nb\n)RVsystem\n\x93.", 15, "an import's name is a call's result");
  refused("c\nsystem\n.", 0, "a name is missing");
  refused("cos\n\n.", 0, "a name is missing");
  refused("c\xff\nx\n.", 0, "a name is not UTF-8");
  refused("cos\n\xed\xa0\x80\n.", 0, "a name is not UTF-8");
  refused("(i\xc3\xa9\nx\n.", 1, "a name is not ASCII");
  refused("(ios\n\n.", 1, "a name is missing");
  refused("P\xc3\xa9\n.", 0, "a persistent id is not ASCII");
  refused("\x82\x00."s, 0, "an extension code is not positive");
  refused("\x84\x00\x00\x00\x80."s, 0, "an extension code is not positive");
}

// A frame that lies: CPython reads such a pickle in one way from memory and in another from a file.
void frames() {
  const auto frame = [](char size) { return "\x95" + std::string(1, size) + std::string(7, '\0'); };
  refused(frame(3) + "N.", 0, "a frame is longer than the pickle");
  refused("\x95\xff\xff\xff\xff\xff\xff\xff\xff.", 0, "a frame is longer than the pickle");
  refused("\x95\x00\x00\x00\x00\x00\x00\x00\x80."s, 0, "a frame is longer than the pickle");
  refused(frame(2) + "M\x01\x02.", 9, "a frame ends inside an argument, where readers disagree");
  refused(frame(3) + "\x8c\x02xy.", 9, "a frame ends inside an argument, where readers disagree");
  refused(frame(3) + "cos\nsystem\n.", 9, "a frame ends inside an argument, where readers disagree");
  refused(frame(10) + frame(5) + "NNNNN.", 9, "a frame reaches out of the frame around it, where readers disagree");
  refused(frame(5) + frame(1) + ".", 9, "a frame ends inside an argument, where readers disagree");
  refused(frame(3) + "N.N.", 10, "the pickle stops inside a frame, where readers disagree on what follows");
}

}  // namespace

int main() {
  ends();
  unknown_opcodes();
  stack();
  memo();
  numbers();
  texts();
  kinds();
  imports();
  frames();
  return failures == 0 ? 0 : 1;
}
