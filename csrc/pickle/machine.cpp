#include "pickle/machine.hpp"

#include <array>
#include <cstring>
#include <optional>

#include "pickle/literals.hpp"
#include "pickle/memo.hpp"

namespace pywts::pickle {
namespace {

enum Opcode : unsigned char {
  MARK = '(',
  STOP = '.',
  POP = '0',
  POP_MARK = '1',
  DUP = '2',
  FLOAT = 'F',
  INT = 'I',
  BININT = 'J',
  BININT1 = 'K',
  LONG = 'L',
  BININT2 = 'M',
  NONE = 'N',
  PERSID = 'P',
  BINPERSID = 'Q',
  REDUCE = 'R',
  STRING = 'S',
  BINSTRING = 'T',
  SHORT_BINSTRING = 'U',
  UNICODE = 'V',
  BINUNICODE = 'X',
  APPEND = 'a',
  BUILD = 'b',
  GLOBAL = 'c',
  DICT = 'd',
  EMPTY_DICT = '}',
  APPENDS = 'e',
  GET = 'g',
  BINGET = 'h',
  INST = 'i',
  LONG_BINGET = 'j',
  LIST = 'l',
  EMPTY_LIST = ']',
  OBJ = 'o',
  PUT = 'p',
  BINPUT = 'q',
  LONG_BINPUT = 'r',
  SETITEM = 's',
  TUPLE = 't',
  EMPTY_TUPLE = ')',
  SETITEMS = 'u',
  BINFLOAT = 'G',
  PROTO = 0x80,
  NEWOBJ = 0x81,
  EXT1 = 0x82,
  EXT2 = 0x83,
  EXT4 = 0x84,
  TUPLE1 = 0x85,
  TUPLE2 = 0x86,
  TUPLE3 = 0x87,
  NEWTRUE = 0x88,
  NEWFALSE = 0x89,
  LONG1 = 0x8a,
  LONG4 = 0x8b,
  BINBYTES = 'B',
  SHORT_BINBYTES = 'C',
  SHORT_BINUNICODE = 0x8c,
  BINUNICODE8 = 0x8d,
  BINBYTES8 = 0x8e,
  EMPTY_SET = 0x8f,
  ADDITEMS = 0x90,
  FROZENSET = 0x91,
  NEWOBJ_EX = 0x92,
  STACK_GLOBAL = 0x93,
  MEMOIZE = 0x94,
  FRAME = 0x95,
  BYTEARRAY8 = 0x96,
  NEXT_BUFFER = 0x97,
  READONLY_BUFFER = 0x98,
};

constexpr std::uint64_t kMostScatteredMemo = 1 << 20;
constexpr int kHighestProtocol = 5;

const char* const kKindNames[] = {"None",        "a boolean", "an integer", "a float",         "a bytes object",
                                  "a bytearray", "a string",  "a tuple",    "a list",          "a set",
                                  "a frozenset", "a dict",    "an import",  "a call's result", "a persistent object"};

const char* name_of(Kind kind) { return kKindNames[static_cast<std::size_t>(kind)]; }

}  // namespace

class Machine {
 public:
  Machine(Document& document, std::string_view data, const Limits& limits)
      : document_(document), data_(data), limits_(limits), readable_(data.size()) {
    if (limits_.nodes > kNone) limits_.nodes = kNone;
    recent_.fill(kNone);
  }

  void run();

 private:
  using Node = Document::Node;
  using Extent = Document::Extent;
  using Record = Document::Record;

  [[noreturn]] void fail(std::string message) const { throw Error(std::move(message), opcode_at_); }
  [[noreturn]] void fail_empty() const;

  // The input.
  unsigned char next_opcode();
  std::string_view take(std::uint64_t count);
  std::string_view take_across_frames(std::uint64_t count);
  std::string_view take_line();
  void pass_frame_end(std::uint64_t count);
  template <unsigned bytes>
  std::uint64_t take_unsigned();
  void open_frame();

  // The stack.
  std::size_t above_fence() const noexcept { return stack_.size() - fence_; }
  void require(std::size_t count) const {
    if (above_fence() < count) fail_empty();
  }
  Id pop();
  Id top() const;
  void push(Id id) { stack_.push(id); }
  void push_mark();
  std::size_t pop_mark();
  void pop_object_or_mark();

  // Nodes.
  Node& make(Kind kind);
  Id last() const noexcept { return static_cast<Id>(document_.nodes_.size() - 1); }
  void make_integer(Kind kind, std::int64_t value);
  void make_text(Kind kind, std::string_view text);
  void make_links(Kind kind, Id first, Id second, Id third, std::uint8_t detail);
  void make_empty(Kind kind);
  void make_empty_tuple();
  Kind kind(Id id) const noexcept { return document_.nodes_[id].kind; }
  bool hashable(Id id) const noexcept;
  void require_hashable(const Id* ids, std::size_t count, std::size_t step, const char* what) const;
  std::string_view keep(std::string_view text);
  Record& record(Id id);
  template <class T>
  T* lengthen(Pool<T>& pool, Extent& extent, std::size_t count);
  void add_items(Extent& extent, std::size_t from);
  void add_pairs(Extent& extent, std::size_t from);

  // The opcodes.
  void load_int();
  void load_long();
  void load_counted_long(std::uint64_t size);
  void make_read_integer(std::string_view text, int base);
  void load_float();
  void load_binfloat();
  void load_string();
  void load_unicode();
  void make_python2_string(std::string_view text);
  void make_string(std::string_view text);
  void make_tuple(std::size_t from);
  void make_collection(Kind kind);
  void make_dict();
  void load_global();
  void load_stack_global();
  Id take_name(bool ascii_only);
  void make_call(How how, Id function, Id arguments, Id keywords);
  void load_inst();
  void load_obj();
  void load_newobj(bool with_keywords);
  void load_reduce();
  void load_extension(std::uint64_t code);
  void load_persid();
  void append_from(std::size_t from);
  void set_items_from(std::size_t from);
  void set_list_item(Id list, Id key, Id value);
  void add_to_set(std::size_t from);
  void load_build();
  bool build_can_work(Id state) const;
  void memo_put(std::uint64_t index);
  void memo_get(std::uint64_t index);
  std::int64_t take_text_index();
  void load_proto();
  void stop();

  Document& document_;
  const std::string_view data_;
  Limits limits_;
  std::uint64_t at_ = 0;         // the next byte
  std::uint64_t frame_end_ = 0;  // of the last frame
  std::uint64_t readable_;       // what an argument may reach: the end of the frame around it, else of the data
  std::uint64_t opcode_at_ = 0;  // for messages, and a new node's position
  Pool<Id> stack_;
  Pool<std::size_t> marks_;
  std::size_t fence_ = 0;  // the stack's size when the last mark was set: nothing is popped across it
  Memo memo_;
  static constexpr std::size_t kRecent = 1024;
  std::array<Id, kRecent> recent_;  // integers, booleans and None, each where its value puts it
  Id empty_tuple_ = kNone;
  std::string scratch_;
  char* kept_ = nullptr;  // free room in the last block of document_.texts_
  std::size_t kept_room_ = 0;
};

// ---- the input

void Machine::pass_frame_end(std::uint64_t count) {
  if (readable_ < data_.size() && at_ == readable_) readable_ = data_.size();
  if (count <= readable_ - at_) return;
  if (count > data_.size() - at_) fail("the pickle is cut short");
  // CPython reads on when it reads from memory, and drops the frame's rest when it reads from a file.
  fail("a frame ends inside an argument, where readers disagree");
}

unsigned char Machine::next_opcode() {
  opcode_at_ = at_;
  if (at_ == readable_) {
    if (at_ == data_.size()) fail("the pickle ends without a STOP");
    pass_frame_end(1);
  }
  return static_cast<unsigned char>(data_[at_++]);
}

std::string_view Machine::take(std::uint64_t count) {
  if (count > readable_ - at_) pass_frame_end(count);
  const std::string_view taken(data_.data() + at_, count);
  at_ += count;
  return taken;
}

// As CPython reads bytes objects: the one argument that may begin in a frame and end after it.
std::string_view Machine::take_across_frames(std::uint64_t count) {
  if (count > data_.size() - at_) fail("the pickle is cut short");
  if (count > readable_ - at_) readable_ = data_.size();
  return take(count);
}

std::string_view Machine::take_line() {
  const void* found = at_ == data_.size() ? nullptr : std::memchr(data_.data() + at_, '\n', data_.size() - at_);
  if (found == nullptr) fail("the pickle is cut short");
  const auto end = static_cast<std::uint64_t>(static_cast<const char*>(found) - data_.data());
  const std::string_view line = take(end + 1 - at_);
  return line.substr(0, line.size() - 1);
}

template <unsigned bytes>
std::uint64_t Machine::take_unsigned() {
  const std::string_view taken = take(bytes);
  std::uint64_t value = 0;
  for (unsigned i = 0; i < bytes; ++i) value |= std::uint64_t{static_cast<unsigned char>(taken[i])} << 8 * i;
  return value;
}

// A frame says only how far CPython reads ahead. It must lie in the data; what is in it is read like everything else.
void Machine::open_frame() {
  const std::uint64_t size = take_unsigned<8>();
  if (size > data_.size() - at_) fail("a frame is longer than the pickle");
  if (at_ >= frame_end_) {
    frame_end_ = readable_ = at_ + size;
  } else if (size > frame_end_ - at_) {
    fail("a frame reaches out of the frame around it, where readers disagree");
  }
}

// ---- the stack

void Machine::fail_empty() const {
  fail(marks_.size() != 0 ? "a mark is in the way on the stack" : "the stack is empty");
}

Id Machine::pop() {
  require(1);
  const Id id = stack_.back();
  stack_.pop();
  return id;
}

Id Machine::top() const {
  require(1);
  return stack_[stack_.size() - 1];
}

void Machine::push_mark() {
  fence_ = stack_.size();
  marks_.push(fence_);
}

std::size_t Machine::pop_mark() {
  if (marks_.size() == 0) fail("there is no mark on the stack");
  const std::size_t mark = marks_.back();
  marks_.pop();
  fence_ = marks_.size() == 0 ? 0 : marks_.back();
  return mark;
}

void Machine::pop_object_or_mark() {
  if (marks_.size() != 0 && marks_.back() == stack_.size()) {
    pop_mark();
  } else {
    pop();
  }
}

// ---- nodes

Machine::Node& Machine::make(Kind kind) {
  if (document_.nodes_.size() >= limits_.nodes) fail("the pickle makes more objects than the limit allows");
  Node& node = *document_.nodes_.extend(1);
  node.position_low = static_cast<std::uint32_t>(opcode_at_);
  node.position_high = static_cast<std::uint16_t>(opcode_at_ >> 32);
  node.kind = kind;
  node.detail = 0;
  return node;
}

// Pickles hold the same few numbers again and again, so equal ones in a row of 1024 share a node.
void Machine::make_integer(Kind kind, std::int64_t value) {
  const std::size_t slot = (static_cast<std::uint64_t>(value) + static_cast<std::size_t>(kind) * 256) % kRecent;
  Id& recent = recent_[slot];
  if (recent == kNone || document_.nodes_[recent].integer != value || this->kind(recent) != kind) {
    make(kind).integer = value;
    recent = last();
  }
  push(recent);
}

void Machine::make_text(Kind kind, std::string_view text) {
  make(kind).text = {text.data(), text.size()};
  push(last());
}

void Machine::make_links(Kind kind, Id first, Id second, Id third, std::uint8_t detail) {
  Node& node = make(kind);
  node.links = {{first, second, third}, kNone};
  node.detail = detail;
  push(last());
}

void Machine::make_empty(Kind kind) {
  make(kind).extent = {0, 0, 0};
  push(last());
}

void Machine::make_empty_tuple() {
  if (empty_tuple_ != kNone) return push(empty_tuple_);
  make_empty(Kind::tuple);
  empty_tuple_ = last();
}

bool Machine::hashable(Id id) const noexcept {
  const Node& node = document_.nodes_[id];
  switch (node.kind) {
    case Kind::list:
    case Kind::set:
    case Kind::dict:
    case Kind::bytearray:
      return false;
    case Kind::tuple:
      return node.detail == 0;
    default:
      return true;
  }
}

void Machine::require_hashable(const Id* ids, std::size_t count, std::size_t step, const char* what) const {
  for (std::size_t i = 0; i < count; i += step) {
    if (!hashable(ids[i])) fail(std::string(name_of(kind(ids[i]))) + " that can change is used as " + what);
  }
}

// Copies a decoded text to where the document keeps it.
std::string_view Machine::keep(std::string_view text) {
  if (text.size() > kept_room_) {
    constexpr std::size_t block = 1 << 12;
    const std::size_t size = text.size() > block ? text.size() : block;
    document_.texts_.emplace_back(new char[size]);
    kept_ = document_.texts_.back().get();
    kept_room_ = size;
  }
  std::memcpy(kept_, text.data(), text.size());
  const std::string_view kept(kept_, text.size());
  kept_ += text.size();
  kept_room_ -= text.size();
  return kept;
}

Document::Record& Machine::record(Id id) {
  std::uint32_t& own = document_.nodes_[id].links.own;
  if (own == kNone) {
    own = static_cast<std::uint32_t>(document_.records_.size());
    document_.records_.push({});
  }
  return document_.records_[own];
}

// Adds room for `count` values to an extent, moving it to the pool's end if something lies behind it.
template <class T>
T* Machine::lengthen(Pool<T>& pool, Extent& extent, std::size_t count) {
  const std::size_t size = extent.size + count;
  if (pool.size() + 2 * size >= kNone) fail("the pickle's containers hold more than a document can");
  if (size > extent.capacity) {
    const bool at_end = std::size_t{extent.first} + extent.capacity == pool.size();
    if (extent.capacity != 0 && at_end) {
      pool.extend(size - extent.capacity);
      extent.capacity = static_cast<std::uint32_t>(size);
    } else {
      const std::size_t capacity = size > 2 * std::size_t{extent.capacity} ? size : 2 * std::size_t{extent.capacity};
      T* moved = pool.extend(capacity);
      if (extent.size != 0) std::memcpy(moved, pool.data() + extent.first, extent.size * sizeof(T));
      extent.first = static_cast<std::uint32_t>(moved - pool.data());
      extent.capacity = static_cast<std::uint32_t>(capacity);
    }
  }
  T* added = pool.data() + extent.first + extent.size;
  extent.size = static_cast<std::uint32_t>(size);
  return added;
}

// Moves the stack from index `from` on to the end of an extent.
void Machine::add_items(Extent& extent, std::size_t from) {
  const std::size_t count = stack_.size() - from;
  if (count == 0) return;
  std::memcpy(lengthen(document_.items_, extent, count), stack_.data() + from, count * sizeof(Id));
  stack_.truncate(from);
}

void Machine::add_pairs(Extent& extent, std::size_t from) {
  static_assert(sizeof(Pair) == 2 * sizeof(Id));
  const std::size_t count = stack_.size() - from;
  if (count == 0) return;
  std::memcpy(lengthen(document_.pairs_, extent, count / 2), stack_.data() + from, count * sizeof(Id));
  stack_.truncate(from);
}

// ---- numbers

void Machine::make_read_integer(std::string_view text, int base) {
  Integer integer;
  switch (read_integer(text, base, limits_.integer_bytes, integer)) {
    case IntegerText::malformed:
      fail("an integer is written wrong");
    case IntegerText::too_long:
      fail("an integer has more digits than the limit allows");
    case IntegerText::good:
      break;
  }
  if (!integer.big) return make_integer(Kind::integer, integer.value);
  make_text(Kind::integer, keep(integer.bytes));
  document_.nodes_.back().detail = 1;
}

// INT is also how protocol 0 and 1 wrote True and False.
void Machine::load_int() {
  const std::string_view line = take_line();
  if (line.empty()) fail("an integer is missing");
  const std::optional<std::int64_t> value = read_c_long(line);
  if (!value) return make_read_integer(line, 0);
  const bool is_boolean = line.size() == 2 && (*value == 0 || *value == 1);
  make_integer(is_boolean ? Kind::boolean : Kind::integer, *value);
}

void Machine::load_long() {
  std::string_view line = take_line();
  if (line.empty()) fail("an integer is missing");
  if (line.back() == 'L') line.remove_suffix(1);
  make_read_integer(line, 0);
}

void Machine::load_counted_long(std::uint64_t size) {
  if (size > limits_.integer_bytes) fail("an integer has more bytes than the limit allows");
  const std::string_view bytes = without_sign_bytes(take(size));
  if (bytes.size() <= 8) return make_integer(Kind::integer, small_integer(bytes));
  make_text(Kind::integer, bytes);
  document_.nodes_.back().detail = 1;
}

void Machine::load_float() {
  const std::string_view line = take_line();
  if (line.empty()) fail("a float is missing");
  const std::optional<double> value = read_real(line);
  if (!value) fail("a float is written wrong or too large");
  make(Kind::real).real = *value;
  push(last());
}

void Machine::load_binfloat() {
  const std::string_view bytes = take(8);
  std::uint64_t bits = 0;
  for (const char byte : bytes) bits = bits << 8 | static_cast<unsigned char>(byte);
  double value;
  std::memcpy(&value, &bits, sizeof value);
  make(Kind::real).real = value;
  push(last());
}

// ---- texts

// A Python 2 str: text if it can be, as torch.load reads it.
void Machine::make_python2_string(std::string_view text) {
  make_text(is_utf8(text, false) ? Kind::string : Kind::bytes, text);
}

void Machine::make_string(std::string_view text) {
  if (!is_utf8(text, true)) fail("a string is not UTF-8");
  make_text(Kind::string, text);
}

void Machine::load_string() {
  std::string_view line = take_line();
  const bool quoted = line.size() >= 2 && line.front() == line.back() && (line[0] == '\'' || line[0] == '"');
  if (!quoted) fail("a string is not quoted");
  line = line.substr(1, line.size() - 2);
  if (line.find('\\') == std::string_view::npos) return make_python2_string(line);
  scratch_.clear();
  if (!decode_escapes(line, scratch_)) fail("a string has a broken escape");
  make_python2_string(keep(scratch_));
}

void Machine::load_unicode() {
  const std::string_view line = take_line();
  if (line.find('\\') == std::string_view::npos && is_ascii(line)) return make_text(Kind::string, line);
  scratch_.clear();
  if (!decode_raw_unicode(line, scratch_)) fail("a string has a broken escape");
  make_text(Kind::string, keep(scratch_));
}

// ---- containers

void Machine::make_tuple(std::size_t from) {
  if (from == stack_.size()) return make_empty_tuple();
  Extent extent{0, 0, 0};
  std::uint8_t unhashable = 0;
  for (std::size_t i = from; i < stack_.size() && unhashable == 0; ++i) unhashable = hashable(stack_[i]) ? 0 : 1;
  add_items(extent, from);
  Node& node = make(Kind::tuple);
  node.extent = extent;
  node.detail = unhashable;
  push(last());
}

void Machine::make_collection(Kind kind) {
  const std::size_t from = pop_mark();
  if (kind == Kind::frozenset) require_hashable(stack_.data() + from, stack_.size() - from, 1, "an item of a set");
  Extent extent{0, 0, 0};
  add_items(extent, from);
  make(kind).extent = extent;
  push(last());
}

void Machine::make_dict() {
  const std::size_t from = pop_mark();
  if ((stack_.size() - from) % 2 != 0) fail("a dict has a key without a value");
  require_hashable(stack_.data() + from, stack_.size() - from, 2, "a key");
  Extent extent{0, 0, 0};
  add_pairs(extent, from);
  make(Kind::dict).extent = extent;
  push(last());
}

// APPEND and APPENDS: the stack from `from` on goes to the object below.
void Machine::append_from(std::size_t from) {
  if (from <= fence_) fail_empty();
  if (from == stack_.size()) return;
  const Id target = stack_[from - 1];
  if (kind(target) == Kind::list) {
    add_items(document_.nodes_[target].extent, from);
  } else if (document_.recording(target)) {
    add_items(record(target).items, from);
  } else {
    fail(std::string("something is appended to ") + name_of(kind(target)));
  }
}

void Machine::set_items_from(std::size_t from) {
  if (from <= fence_) fail_empty();
  const std::size_t count = stack_.size() - from;
  if (count == 0) return;
  if (count % 2 != 0) fail("a key is set without a value");
  const Id target = stack_[from - 1];
  if (kind(target) == Kind::dict) {
    require_hashable(stack_.data() + from, count, 2, "a key");
    add_pairs(document_.nodes_[target].extent, from);
  } else if (document_.recording(target)) {
    add_pairs(record(target).pairs, from);
  } else if (kind(target) == Kind::list) {
    for (std::size_t i = from; i < stack_.size(); i += 2) set_list_item(target, stack_[i], stack_[i + 1]);
    stack_.truncate(from);
  } else {
    fail(std::string("an item is set in ") + name_of(kind(target)));
  }
}

// No pickler writes this, but CPython carries it out.
void Machine::set_list_item(Id list, Id key, Id value) {
  if (kind(key) != Kind::integer && kind(key) != Kind::boolean) {
    fail(std::string("an item of a list is set at ") + name_of(kind(key)));
  }
  const Extent& extent = document_.nodes_[list].extent;
  std::int64_t index = document_.integer(key);
  if (index < 0) index += extent.size;
  if (document_.big(key) || index < 0 || index >= extent.size) fail("an item is set that the list does not have");
  document_.items_[extent.first + static_cast<std::size_t>(index)] = value;
}

void Machine::add_to_set(std::size_t from) {
  if (from <= fence_) fail_empty();
  if (from == stack_.size()) return;
  const Id target = stack_[from - 1];
  if (kind(target) == Kind::set) {
    require_hashable(stack_.data() + from, stack_.size() - from, 1, "an item of a set");
    add_items(document_.nodes_[target].extent, from);
  } else if (document_.recording(target)) {
    add_items(record(target).items, from);
  } else {
    fail(std::string("something is added as to a set to ") + name_of(kind(target)));
  }
}

// ---- imports and calls

Id Machine::take_name(bool ascii_only) {
  const std::string_view line = take_line();
  if (line.empty()) fail("a name is missing");
  if (ascii_only ? !is_ascii(line) : !is_utf8(line, false)) {
    fail(ascii_only ? "a name is not ASCII" : "a name is not UTF-8");
  }
  make(Kind::string).text = {line.data(), line.size()};
  return last();
}

void Machine::load_global() {
  const Id module = take_name(false);
  const Id name = take_name(false);
  make_links(Kind::global, module, name, kNone, static_cast<std::uint8_t>(document_.protocol_));
}

void Machine::load_stack_global() {
  const Id name = pop();
  const Id module = pop();
  for (const Id id : {module, name}) {
    if (kind(id) != Kind::string) fail(std::string("an import's name is ") + name_of(kind(id)));
  }
  make_links(Kind::global, module, name, kNone, static_cast<std::uint8_t>(document_.protocol_));
}

// What is called must be an import, a call's result or a persistent object, the arguments a tuple or such an object.
void Machine::make_call(How how, Id function, Id arguments, Id keywords) {
  if (!document_.recording(function)) fail(std::string("what is called is ") + name_of(kind(function)));
  if (kind(arguments) != Kind::tuple && !document_.recording(arguments)) {
    fail(std::string("a call's arguments are ") + name_of(kind(arguments)));
  }
  if (keywords != kNone && kind(keywords) != Kind::dict && !document_.recording(keywords)) {
    fail(std::string("a call's keywords are ") + name_of(kind(keywords)));
  }
  make_links(Kind::call, function, arguments, keywords, static_cast<std::uint8_t>(how));
}

void Machine::load_reduce() {
  const Id arguments = pop();
  const Id function = pop();
  make_call(How::reduce, function, arguments, kNone);
}

void Machine::load_newobj(bool with_keywords) {
  const Id keywords = with_keywords ? pop() : kNone;
  const Id arguments = pop();
  const Id function = pop();
  make_call(with_keywords ? How::newobj_ex : How::newobj, function, arguments, keywords);
}

void Machine::load_obj() {
  const std::size_t from = pop_mark();
  if (stack_.size() == from) fail_empty();
  make_tuple(from + 1);
  const Id arguments = pop();
  const Id function = pop();
  make_call(How::obj, function, arguments, kNone);
}

void Machine::load_inst() {
  const std::size_t from = pop_mark();
  const Id module = take_name(true);
  const Id name = take_name(true);
  make_tuple(from);
  const Id arguments = pop();
  make_links(Kind::global, module, name, kNone, static_cast<std::uint8_t>(document_.protocol_));
  make_call(How::inst, pop(), arguments, kNone);
}

void Machine::load_extension(std::uint64_t code) {
  if (code == 0 || code > 0x7fffffff) fail("an extension code is not positive");
  make_integer(Kind::integer, static_cast<std::int64_t>(code));
  make_links(Kind::call, pop(), kNone, kNone, static_cast<std::uint8_t>(How::extension));
}

void Machine::load_persid() {
  const std::string_view line = take_line();
  if (!is_ascii(line)) fail("a persistent id is not ASCII");
  make_text(Kind::string, line);
  make_links(Kind::persistent, pop(), kNone, kNone, 0);
}

void Machine::load_build() {
  require(2);
  const Id state = pop();
  const Id target = top();
  if (document_.recording(target)) {
    *lengthen(document_.builds_, record(target).builds, 1) = {state, opcode_at_};
  } else if (!build_can_work(state)) {
    fail(std::string("a state is given to ") + name_of(kind(target)));
  }
}

// On plain data only a state that says nothing passes: None, or (None, {}) with nothing for the slots.
bool Machine::build_can_work(Id state) const {
  if (kind(state) == Kind::none || document_.recording(state)) return true;
  const Span<Id> parts = kind(state) == Kind::tuple ? document_.items(state) : Span<Id>{};
  if (parts.size() != 2) return false;
  const bool no_state = kind(parts[0]) == Kind::none || document_.recording(parts[0]);
  const bool no_slots =
      (kind(parts[1]) == Kind::dict && document_.pairs(parts[1]).empty()) || document_.recording(parts[1]);
  return no_state && no_slots;
}

// ---- the memo

std::int64_t Machine::take_text_index() {
  const std::string_view line = take_line();
  Integer index;
  if (line.empty() || read_integer(line, 10, limits_.integer_bytes, index) != IntegerText::good || index.big) {
    fail("a memo index is written wrong");
  }
  return index.value;
}

void Machine::memo_put(std::uint64_t index) {
  const Id id = top();
  if (memo_.entries() >= limits_.memo || memo_.scattered() >= kMostScatteredMemo) {
    fail("the memo has more entries than the limit allows");
  }
  memo_.put(index, id);
}

void Machine::memo_get(std::uint64_t index) {
  const Id id = memo_.get(index);
  if (id == kNone) fail("the memo has no entry " + std::to_string(index));
  push(id);
}

// ---- the loop

void Machine::load_proto() {
  const std::uint64_t protocol = take_unsigned<1>();
  if (protocol > kHighestProtocol) fail("the pickle's protocol is " + std::to_string(protocol) + ", known are 0 to 5");
  document_.protocol_ = static_cast<int>(protocol);
}

void Machine::stop() {
  if (at_ < frame_end_) fail("the pickle stops inside a frame, where readers disagree on what follows");
  document_.root_ = pop();
  document_.end_ = at_;
}

void Machine::run() {
  for (std::uint64_t executed = 0;; ++executed) {
    const unsigned char opcode = next_opcode();
    if (executed >= limits_.opcodes) fail("the pickle has more opcodes than the limit allows");
    switch (opcode) {
      case STOP:
        stop();
        return;
      case PROTO:
        load_proto();
        break;
      case FRAME:
        open_frame();
        break;

      case MARK:
        push_mark();
        break;
      case POP:
        pop_object_or_mark();
        break;
      case POP_MARK:
        stack_.truncate(pop_mark());
        break;
      case DUP:
        push(top());
        break;

      case BINPUT:
        memo_put(take_unsigned<1>());
        break;
      case LONG_BINPUT:
        memo_put(take_unsigned<4>());
        break;
      case MEMOIZE:
        memo_put(memo_.entries());
        break;
      case PUT: {
        const std::int64_t index = take_text_index();
        if (index < 0) fail("a memo index is negative");
        memo_put(static_cast<std::uint64_t>(index));
        break;
      }
      case BINGET:
        memo_get(take_unsigned<1>());
        break;
      case LONG_BINGET:
        memo_get(take_unsigned<4>());
        break;
      case GET: {
        const std::int64_t index = take_text_index();
        if (index < 0) fail("a memo index is negative");
        memo_get(static_cast<std::uint64_t>(index));
        break;
      }

      case NONE:
        make_integer(Kind::none, 0);
        break;
      case NEWTRUE:
        make_integer(Kind::boolean, 1);
        break;
      case NEWFALSE:
        make_integer(Kind::boolean, 0);
        break;
      case BININT1:
        make_integer(Kind::integer, static_cast<std::int64_t>(take_unsigned<1>()));
        break;
      case BININT2:
        make_integer(Kind::integer, static_cast<std::int64_t>(take_unsigned<2>()));
        break;
      case BININT:
        make_integer(Kind::integer, static_cast<std::int32_t>(take_unsigned<4>()));
        break;
      case INT:
        load_int();
        break;
      case LONG:
        load_long();
        break;
      case LONG1:
        load_counted_long(take_unsigned<1>());
        break;
      case LONG4: {
        const std::uint64_t size = take_unsigned<4>();
        if (size > 0x7fffffff) fail("an integer has a negative size");
        load_counted_long(size);
        break;
      }
      case FLOAT:
        load_float();
        break;
      case BINFLOAT:
        load_binfloat();
        break;

      case SHORT_BINUNICODE:
        make_string(take(take_unsigned<1>()));
        break;
      case BINUNICODE:
        make_string(take(take_unsigned<4>()));
        break;
      case BINUNICODE8:
        make_string(take(take_unsigned<8>()));
        break;
      case UNICODE:
        load_unicode();
        break;
      case SHORT_BINBYTES:
        make_text(Kind::bytes, take_across_frames(take_unsigned<1>()));
        break;
      case BINBYTES:
        make_text(Kind::bytes, take_across_frames(take_unsigned<4>()));
        break;
      case BINBYTES8:
        make_text(Kind::bytes, take_across_frames(take_unsigned<8>()));
        break;
      case BYTEARRAY8:
        make_text(Kind::bytearray, take_across_frames(take_unsigned<8>()));
        break;
      case SHORT_BINSTRING:
        make_python2_string(take(take_unsigned<1>()));
        break;
      case BINSTRING:
        make_python2_string(take(take_unsigned<4>()));
        break;
      case STRING:
        load_string();
        break;
      case NEXT_BUFFER:
      case READONLY_BUFFER:
        fail("the pickle refers to a buffer outside of it");

      case EMPTY_TUPLE:
        make_empty_tuple();
        break;
      case TUPLE1:
        require(1);
        make_tuple(stack_.size() - 1);
        break;
      case TUPLE2:
        require(2);
        make_tuple(stack_.size() - 2);
        break;
      case TUPLE3:
        require(3);
        make_tuple(stack_.size() - 3);
        break;
      case TUPLE:
        make_tuple(pop_mark());
        break;
      case EMPTY_LIST:
        make_empty(Kind::list);
        break;
      case LIST:
        make_collection(Kind::list);
        break;
      case EMPTY_SET:
        make_empty(Kind::set);
        break;
      case FROZENSET:
        make_collection(Kind::frozenset);
        break;
      case EMPTY_DICT:
        make_empty(Kind::dict);
        break;
      case DICT:
        make_dict();
        break;
      case APPEND:
        require(2);
        append_from(stack_.size() - 1);
        break;
      case APPENDS:
        append_from(pop_mark());
        break;
      case SETITEM:
        require(3);
        set_items_from(stack_.size() - 2);
        break;
      case SETITEMS:
        set_items_from(pop_mark());
        break;
      case ADDITEMS:
        add_to_set(pop_mark());
        break;

      case GLOBAL:
        load_global();
        break;
      case STACK_GLOBAL:
        load_stack_global();
        break;
      case REDUCE:
        load_reduce();
        break;
      case NEWOBJ:
        load_newobj(false);
        break;
      case NEWOBJ_EX:
        load_newobj(true);
        break;
      case OBJ:
        load_obj();
        break;
      case INST:
        load_inst();
        break;
      case BUILD:
        load_build();
        break;
      case EXT1:
        load_extension(take_unsigned<1>());
        break;
      case EXT2:
        load_extension(take_unsigned<2>());
        break;
      case EXT4:
        load_extension(take_unsigned<4>());
        break;
      case PERSID:
        load_persid();
        break;
      case BINPERSID:
        make_links(Kind::persistent, pop(), kNone, kNone, 0);
        break;

      default:
        fail("there is no opcode " + std::to_string(opcode));
    }
  }
}

Document::Document(std::string_view data, const Limits& limits) { Machine(*this, data, limits).run(); }

}  // namespace pywts::pickle
