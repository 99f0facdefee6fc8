// What a pickle would import, call and change, grouped by the import that it concerns: all that scan has to judge.
//
// Every node counts, also what the pickle took off its stack again or never used.
#pragma once

#include <cstdint>
#include <vector>

#include "pickle/machine.hpp"

namespace pywts::pickle {

enum class Deed : std::uint8_t {
  import,  // nodes: globals
  pass,    // nodes: globals that are handed on: as an item, a key, an argument, a state
  reduce,  // nodes: calls, one kind for each How
  newobj,
  newobj_ex,
  obj,
  inst,
  extension,
  persistent,  // nodes: persistent ids
  build,       // nodes: states, as often as they are given
  append,      // nodes: what APPEND(S) or ADDITEMS appended to
  setitem,     // nodes: what SETITEM(S) set items of
};

// To what a state is given, or items are: that which an import names itself, or what a call, or the loader, answered.
enum class Target : std::uint8_t { none, imported, made, loaded };

// What a state would do to an object that takes it as its attributes.
enum class State : std::uint8_t {
  plain,    // sets attributes of which the unpickler calls none
  hooking,  // sets one that the unpickler may call (__setstate__, append, extend, add), or another __name__, to an
            // object
  opaque,   // only running would tell
};

struct Use {
  Deed deed;
  Target target = Target::none;  // of build, append and setitem
  State state = State::plain;    // of build
  Id global = kNone;             // the first global of this name: imported, called, or called to make the target
  std::uint64_t position = 0;    // of the first opcode that does it; of append and setitem, that made the target
  std::vector<Id> nodes;         // in the order of their making
};

// In the order of their positions.
std::vector<Use> survey(const Document& document);

// Bytes and strings that begin as a pickle, an archive or compressed data does, in the order of their making.
std::vector<Id> embedded(const Document& document);

}  // namespace pywts::pickle
