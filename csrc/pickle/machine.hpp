// A bounded pickle machine that makes inert nodes: nothing is imported, nothing is called, no Python object exists.
//
// It accepts what CPython's C unpickler accepts (protocols 0 to 5) and follows it opcode by opcode, so that export,
// inspect and scan share one opinion of what a pickle says. What a pickle would import is a Global node, what it
// would call is a Call node; BUILD, APPEND(S), SETITEM(S) and ADDITEMS on those are recorded on the node, not carried
// out. What can never work, whatever the imported code does (SETITEM on a tuple, a list as a key), is an Error.
//
// Where it does not follow CPython:
// - An Error: frames that lie (read differently from memory and from a file), out-of-band buffers, a STACK_GLOBAL whose
//   names only running would tell, items set or appended in a bytearray, a list's item set at what only running would
//   tell, decimal integers of more than 10,000 digits (CPython: 4300, if nobody asks for more), and the limits.
// - No error: extension codes are recorded, registered or not; a Python 2 str that is not UTF-8 is a bytes node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pickle/pool.hpp"

namespace pywts::pickle {

using Id = std::uint32_t;  // a node of one Document
inline constexpr Id kNone = 0xffffffffu;

enum class Kind : std::uint8_t {
  none,
  boolean,     // integer(): 0 or 1
  integer,     // fits int64: integer(); larger: text() holds its little-endian two's complement bytes, big() is true
  real,        // real()
  bytes,       // text(); also a Python 2 str that is not UTF-8
  bytearray,   // text()
  string,      // text(): UTF-8 (may hold surrogates as CPython's "surrogatepass" does)
  tuple,       // items()
  list,        // items()
  set,         // items(), as they were added: equal ones are all there
  frozenset,   // items(), likewise
  dict,        // pairs(), as they were set: the last one of a key counts
  global,      // module(), name(), protocol(): what would be imported; name may be dotted
  call,        // function(), arguments(), keywords(), how(), position(): what would be called
  persistent,  // argument(): BINPERSID's object, or PERSID's string
};

enum class How : std::uint8_t { reduce, newobj, newobj_ex, obj, inst, extension };

struct Limits {
  std::uint64_t opcodes = 100'000'000;    // executed
  std::uint64_t nodes = 16'000'000;       // made; a node costs 24 bytes
  std::uint64_t memo = 16'000'000;        // memo entries; an index may be any number and costs no memory of its own
  std::uint64_t integer_bytes = 1 << 20;  // of one integer
};

// Why a pickle cannot be followed to its end, and where.
class Error : public std::exception {
 public:
  Error(std::string message, std::uint64_t where) : position(where), message_(std::move(message)) {}
  // One clause, no file name: "the memo has no entry 7", "the stack is empty".
  const char* what() const noexcept override { return message_.c_str(); }

  std::uint64_t position;  // byte offset of the opcode in the pickle

 private:
  std::string message_;
};

struct Pair {
  Id key;
  Id value;
};

struct Build {
  Id state;
  std::uint64_t position;  // of the BUILD opcode
};

template <class T>
struct Span {
  const T* first = nullptr;
  std::size_t count = 0;

  const T* begin() const noexcept { return first; }
  const T* end() const noexcept { return first + count; }
  std::size_t size() const noexcept { return count; }
  bool empty() const noexcept { return count == 0; }
  const T& operator[](std::size_t index) const noexcept { return first[index]; }
};

// Asked for what a node's kind does not have, every accessor answers with nothing: 0, an empty text or span, kNone.
class Document {
 public:
  // Follows one pickle from the start of `data` to its STOP. `data` must outlive the document (texts point into it).
  // Throws Error for what CPython would refuse or what a limit forbids, std::bad_alloc when memory ends.
  explicit Document(std::string_view data, const Limits& limits = {});

  // The same for a pickle that may be broken: where it cannot be followed, `why` says so, and the document holds what
  // was made until then, and has no root.
  static Document until_error(std::string_view data, const Limits& limits, std::optional<Error>& why);

  Id root() const noexcept { return root_; }
  std::uint64_t end() const noexcept { return end_; }  // bytes consumed, STOP included: the next pickle starts here
  int protocol() const noexcept { return protocol_; }  // as the last PROTO says; 0 without one

  // Nodes; ids are 0 ... size() - 1 in the order of their making, also of those that the pickle took off its stack
  // again: whoever looks for imports and calls walks all of them. Equal integers, booleans, None and () may be one
  // node.
  std::size_t size() const noexcept { return nodes_.size(); }

  Kind kind(Id id) const noexcept { return nodes_[id].kind; }
  std::uint64_t position(Id) const noexcept;  // byte offset of the opcode that made it (of the call, of the import ...)
  std::int64_t integer(Id) const noexcept;
  bool big(Id) const noexcept;
  double real(Id) const noexcept;
  std::string_view text(Id) const noexcept;
  std::string_view module(Id) const noexcept;
  std::string_view name(Id) const noexcept;
  // Of a global: as PROTO said when it was imported. Below 3 CPython renames Python 2's modules (_compat_pickle), from
  // 4 on it takes a dotted name apart.
  int protocol(Id) const noexcept;
  Id function(Id) const noexcept;   // of a call; for extension opcodes an integer node with the code
  Id arguments(Id) const noexcept;  // of a call: a tuple, or a node that only running would tell; kNone for extensions
  Id keywords(Id) const noexcept;   // NEWOBJ_EX; else kNone
  How how(Id) const noexcept;
  Id argument(Id) const noexcept;  // of a persistent id

  // What was put into a container, or, on a global, call or persistent id, what APPEND(S) and ADDITEMS or SETITEM(S)
  // recorded there.
  Span<Id> items(Id) const noexcept;
  Span<Pair> pairs(Id) const noexcept;
  // BUILDs on a global, call or persistent id, in order; usually none or one.
  Span<Build> builds(Id) const noexcept;

 private:
  friend class Builder;

  Document() = default;

  struct Extent {  // of one of the pools below
    std::uint32_t first, size, capacity;
  };
  struct Text {
    const char* data;
    std::size_t size;
  };
  struct Links {
    Id to[3];           // function, arguments, keywords; module, name; argument
    std::uint32_t own;  // index into records_, or kNone
  };
  struct Record {
    Extent items, pairs, builds;
  };
  struct Node {
    union {
      std::int64_t integer;
      double real;
      Text text;
      Extent extent;
      Links links;
    };
    std::uint32_t position_low;
    std::uint16_t position_high;
    Kind kind;
    std::uint8_t detail;  // big, unhashable tuple, How, a global's protocol
  };
  static_assert(sizeof(Node) == 24);

  bool recording(Id) const noexcept;  // a global, a call or a persistent id
  Id link(Id, Kind, int index) const noexcept;
  const Record* record(Id) const noexcept;

  Pool<Node> nodes_;
  Pool<Id> items_;
  Pool<Pair> pairs_;
  Pool<Build> builds_;
  Pool<Record> records_;
  std::vector<std::unique_ptr<char[]>> texts_;  // what had to be decoded
  Id root_ = kNone;
  std::uint64_t end_ = 0;
  int protocol_ = 0;
};

}  // namespace pywts::pickle
