// A bounded pickle machine that makes inert nodes: nothing is imported, nothing is called, no Python object exists.
//
// It accepts what CPython's C unpickler accepts (protocols 0 to 5) and follows it opcode by opcode, so that export,
// inspect and scan share one opinion of what a pickle says. What a pickle would import is a Global node, what it
// would call is a Call node; BUILD, APPEND(S), SETITEM(S) and ADDITEMS on those are recorded on the node, not carried out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pywts::pickle {

using Id = std::uint32_t;  // a node of one Document
inline constexpr Id kNone = 0xffffffffu;

enum class Kind : std::uint8_t {
  none,
  boolean,     // integer(): 0 or 1
  integer,     // fits int64: integer(); larger: text() holds its little-endian two's complement bytes, big() is true
  real,        // real()
  bytes,       // text()
  bytearray,   // text()
  string,      // text(): UTF-8 (may hold surrogates as CPython's "surrogatepass" does)
  tuple,       // items()
  list,        // items()
  set,         // items()
  frozenset,   // items()
  dict,        // pairs()
  global,      // module(), name(): what would be imported; name may be dotted
  call,        // function(), arguments(), keywords(), how(), position(): what would be called
  persistent,  // argument(): BINPERSID's object, or PERSID's string
};

enum class How : std::uint8_t { reduce, newobj, newobj_ex, obj, inst, extension };

struct Limits {
  std::uint64_t opcodes = 100'000'000;   // executed
  std::uint64_t nodes = 50'000'000;      // made
  std::uint64_t memo = 50'000'000;       // memo entries; an index may be any uint32 and costs no memory of its own
  std::uint64_t integer_bytes = 1 << 20; // of one LONG4
};

// Why a pickle cannot be followed to its end, and where.
class Error : public std::exception {
 public:
  Error(std::string message, std::uint64_t position) : message_(std::move(message)), position(position) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;  // one clause, no file name: "the memo has no entry 7", "the stack is empty"

 public:
  std::uint64_t position;  // byte offset of the opcode in the pickle
};

struct Build {
  Id state;
  std::uint64_t position;  // of the BUILD opcode
};

class Document {
 public:
  // Follows one pickle from the start of `data` to its STOP. `data` must outlive the document (texts point into it).
  // Throws Error for what CPython would refuse or what a limit forbids, std::bad_alloc when memory ends.
  Document(std::string_view data, const Limits& limits);

  Id root() const noexcept;
  std::uint64_t end() const noexcept;       // bytes consumed, STOP included: the next pickle of a stream starts here
  int protocol() const noexcept;            // as PROTO says; 0 without one
  std::size_t size() const noexcept;        // nodes; ids are 0 ... size() - 1, in the order of their making

  Kind kind(Id) const noexcept;
  std::uint64_t position(Id) const noexcept;  // byte offset of the opcode that made it (of the call, of the import ...)
  std::int64_t integer(Id) const noexcept;
  bool big(Id) const noexcept;
  double real(Id) const noexcept;
  std::string_view text(Id) const noexcept;
  std::string_view module(Id) const noexcept;
  std::string_view name(Id) const noexcept;
  Id function(Id) const noexcept;             // of a call; for extension opcodes an integer node with the code
  Id arguments(Id) const noexcept;            // of a call: usually a tuple; any node where the pickle lies
  Id keywords(Id) const noexcept;             // NEWOBJ_EX; else kNone
  How how(Id) const noexcept;
  Id argument(Id) const noexcept;             // of a persistent id

  // What was put into a container, or, on any other node, what APPEND(S) / ADDITEMS and SETITEM(S) recorded there.
  std::pair<const Id*, std::size_t> items(Id) const noexcept;
  std::pair<const std::pair<Id, Id>*, std::size_t> pairs(Id) const noexcept;
  // BUILDs on the node, in order; usually none or one.
  std::pair<const Build*, std::size_t> builds(Id) const noexcept;

 private:
  // (the implementation's own)
};

}  // namespace pywts::pickle
