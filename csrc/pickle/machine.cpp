#include "pickle/machine.hpp"

#include <cstring>
#include <optional>

#include "pickle/builder.hpp"
#include "pickle/input.hpp"
#include "pickle/literals.hpp"
#include "pickle/memo.hpp"
#include "pickle/opcodes.hpp"
#include "pickle/stack.hpp"

namespace pywts::pickle {
namespace {

constexpr std::uint64_t kMostScatteredMemo = 1 << 20;
constexpr int kHighestProtocol = 5;

std::string name_of(Kind kind) {
  static const char* const names[] = {"None",           "a boolean",       "an integer",         "a float",
                                      "a bytes object", "a bytearray",     "a string",           "a tuple",
                                      "a list",         "a set",           "a frozenset",        "a dict",
                                      "an import",      "a call's result", "a persistent object"};
  return names[static_cast<std::size_t>(kind)];
}

class Machine {
 public:
  Machine(Document& document, std::string_view data, const Limits& limits)
      : document_(document), limits_(limits), input_(data), stack_(input_), build_(document, input_, limits) {}

  void run();

 private:
  [[noreturn]] void fail(std::string message) const { input_.fail(std::move(message)); }
  Kind kind(Id id) const noexcept { return build_.kind(id); }
  bool opaque(Id id) const noexcept { return build_.opaque(id); }

  void push(Id id) { stack_.push(id); }
  Id pop() { return stack_.pop(); }
  void pop_object_or_mark();

  [[gnu::always_inline]] void execute(unsigned char opcode);  // but STOP
  void load_proto();

  void memo_put(std::uint64_t index);
  void memo_get(std::uint64_t index);
  std::uint64_t take_text_index();

  void load_int();
  void load_long();
  void load_counted_long(std::uint64_t size);
  Id read_integer_text(std::string_view text);
  void load_float();
  void load_binfloat();

  Id string(std::string_view text);
  Id python2_string(std::string_view text);
  void load_string();
  void load_unicode();

  void load_tuple(std::size_t from);
  void load_list();
  void load_frozenset();
  void load_dict();
  void append_from(std::size_t from);
  void set_items_from(std::size_t from);
  void set_list_item(Id list, Id key, Id value);
  void add_to_set(std::size_t from);
  void require_hashable(Span<Id> ids, std::size_t step, const char* use) const;

  Id take_name(bool ascii_only);
  void load_global();
  void load_stack_global();
  void load_inst();
  void load_obj();
  void load_newobj(bool with_keywords);
  void load_reduce();
  void push_call(How how, Id function, Id arguments, Id keywords);
  void load_extension(std::uint64_t code);
  void load_persid();
  void load_build();
  bool says_nothing(Id state) const;

  const Document& document_;  // as it is so far
  const Limits limits_;
  Input input_;
  Stack stack_;
  Builder build_;
  Memo memo_;
  std::string decoded_;  // a text while it is decoded
};

void Machine::pop_object_or_mark() {
  if (stack_.mark_on_top()) {
    stack_.pop_mark();
  } else {
    stack_.pop();
  }
}

// ---- the memo

std::uint64_t Machine::take_text_index() {
  const std::string_view line = input_.take_line();
  Integer index;
  if (read_integer(line, 10, limits_.integer_bytes, index) != IntegerText::good || index.big) {
    fail("a memo index is written wrong");
  }
  if (index.value < 0) fail("a memo index is negative");
  return static_cast<std::uint64_t>(index.value);
}

void Machine::memo_put(std::uint64_t index) {
  const Id id = stack_.top();
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

// ---- numbers

Id Machine::read_integer_text(std::string_view text) {
  Integer integer;
  switch (read_integer(text, 0, limits_.integer_bytes, integer)) {
    case IntegerText::malformed:
      fail("an integer is written wrong");
    case IntegerText::too_long:
      fail("an integer has more digits than the limit allows");
    case IntegerText::good:
      break;
  }
  return integer.big ? build_.big(build_.keep(integer.bytes)) : build_.small(Kind::integer, integer.value);
}

// INT is also how protocols 0 and 1 write True and False.
void Machine::load_int() {
  const std::string_view line = input_.take_line();
  if (line.empty()) fail("an integer is missing");
  const std::optional<std::int64_t> value = read_c_long(line);
  if (!value) return push(read_integer_text(line));
  const bool is_boolean = line.size() == 2 && (*value == 0 || *value == 1);
  push(build_.small(is_boolean ? Kind::boolean : Kind::integer, *value));
}

void Machine::load_long() {
  std::string_view line = input_.take_line();
  if (!line.empty() && line.back() == 'L') line.remove_suffix(1);
  push(read_integer_text(line));
}

void Machine::load_counted_long(std::uint64_t size) {
  if (size > limits_.integer_bytes) fail("an integer has more bytes than the limit allows");
  const std::string_view bytes = without_sign_bytes(input_.take(size));
  push(bytes.size() <= 8 ? build_.small(Kind::integer, small_integer(bytes)) : build_.big(bytes));
}

void Machine::load_float() {
  const std::optional<double> value = read_real(input_.take_line());
  if (!value) fail("a float is written wrong or too large");
  push(build_.real(*value));
}

void Machine::load_binfloat() {
  std::uint64_t bits = 0;
  for (const char byte : input_.take(8)) bits = bits << 8 | static_cast<unsigned char>(byte);
  double value;
  std::memcpy(&value, &bits, sizeof value);
  push(build_.real(value));
}

// ---- texts

Id Machine::string(std::string_view text) {
  if (!is_utf8(text, true)) fail("a string is not UTF-8");
  return build_.text(Kind::string, text);
}

// A Python 2 str: text if it can be, as torch.load reads it.
Id Machine::python2_string(std::string_view text) {
  return build_.text(is_utf8(text, false) ? Kind::string : Kind::bytes, text);
}

void Machine::load_string() {
  std::string_view line = input_.take_line();
  const bool quoted = line.size() >= 2 && line.front() == line.back() && (line[0] == '\'' || line[0] == '"');
  if (!quoted) fail("a string is not quoted");
  line = line.substr(1, line.size() - 2);
  if (line.find('\\') == std::string_view::npos) return push(python2_string(line));
  decoded_.clear();
  if (!decode_escapes(line, decoded_)) fail("a string has a broken escape");
  push(python2_string(build_.keep(decoded_)));
}

void Machine::load_unicode() {
  const std::string_view line = input_.take_line();
  if (line.find('\\') == std::string_view::npos && is_ascii(line)) return push(build_.text(Kind::string, line));
  decoded_.clear();
  if (!decode_raw_unicode(line, decoded_)) fail("a string has a broken escape");
  push(build_.text(Kind::string, build_.keep(decoded_)));
}

// ---- containers

void Machine::require_hashable(Span<Id> ids, std::size_t step, const char* use) const {
  for (std::size_t i = 0; i < ids.size(); i += step) {
    if (!build_.hashable(ids[i])) fail(name_of(kind(ids[i])) + " that can change is used as " + use);
  }
}

void Machine::load_tuple(std::size_t from) {
  const Id made = build_.tuple(stack_.above(from));
  stack_.drop(from);
  push(made);
}

void Machine::load_list() {
  const std::size_t from = stack_.pop_mark();
  const Id made = build_.collection(Kind::list, stack_.above(from));
  stack_.drop(from);
  push(made);
}

void Machine::load_frozenset() {
  const std::size_t from = stack_.pop_mark();
  require_hashable(stack_.above(from), 1, "an item of a set");
  const Id made = build_.collection(Kind::frozenset, stack_.above(from));
  stack_.drop(from);
  push(made);
}

void Machine::load_dict() {
  const std::size_t from = stack_.pop_mark();
  const Span<Id> keys_and_values = stack_.above(from);
  if (keys_and_values.size() % 2 != 0) fail("a dict has a key without a value");
  require_hashable(keys_and_values, 2, "a key");
  const Id made = build_.dict(keys_and_values);
  stack_.drop(from);
  push(made);
}

// APPEND and APPENDS: the stack from `from` on goes to the object below.
void Machine::append_from(std::size_t from) {
  if (from <= stack_.fence()) stack_.fail();
  const Span<Id> items = stack_.above(from);
  if (items.empty()) return;
  const Id target = stack_[from - 1];
  if (kind(target) != Kind::list && !opaque(target)) fail("something is appended to " + name_of(kind(target)));
  build_.add_items(target, items);
  stack_.drop(from);
}

void Machine::set_items_from(std::size_t from) {
  if (from <= stack_.fence()) stack_.fail();
  const Span<Id> keys_and_values = stack_.above(from);
  if (keys_and_values.empty()) return;
  if (keys_and_values.size() % 2 != 0) fail("a key is set without a value");
  const Id target = stack_[from - 1];
  if (kind(target) == Kind::list) {
    for (std::size_t i = 0; i < keys_and_values.size(); i += 2) {
      set_list_item(target, keys_and_values[i], keys_and_values[i + 1]);
    }
  } else {
    if (kind(target) != Kind::dict && !opaque(target)) fail("an item is set in " + name_of(kind(target)));
    if (kind(target) == Kind::dict) require_hashable(keys_and_values, 2, "a key");
    build_.add_pairs(target, keys_and_values);
  }
  stack_.drop(from);
}

// No pickler writes this, but CPython carries it out.
void Machine::set_list_item(Id list, Id key, Id value) {
  const bool index = (kind(key) == Kind::integer && !document_.big(key)) || kind(key) == Kind::boolean;
  if (!index) fail("an item of a list is set at " + name_of(kind(key)));
  if (!build_.set_item(list, document_.integer(key), value)) fail("an item is set that the list does not have");
}

void Machine::add_to_set(std::size_t from) {
  if (from <= stack_.fence()) stack_.fail();
  const Span<Id> items = stack_.above(from);
  if (items.empty()) return;
  const Id target = stack_[from - 1];
  if (kind(target) != Kind::set && !opaque(target)) fail("something is added as to a set to " + name_of(kind(target)));
  if (kind(target) == Kind::set) require_hashable(items, 1, "an item of a set");
  build_.add_items(target, items);
  stack_.drop(from);
}

// ---- imports and calls

Id Machine::take_name(bool ascii_only) {
  const std::string_view line = input_.take_line();
  if (line.empty()) fail("a name is missing");
  if (ascii_only && !is_ascii(line)) fail("a name is not ASCII");
  if (!is_utf8(line, false)) fail("a name is not UTF-8");
  return build_.text(Kind::string, line);
}

void Machine::load_global() {
  const Id module = take_name(false);
  const Id name = take_name(false);
  push(build_.global(module, name));
}

void Machine::load_stack_global() {
  const Id name = pop();
  const Id module = pop();
  for (const Id id : {module, name}) {
    if (kind(id) != Kind::string) fail("an import's name is " + name_of(kind(id)));
  }
  push(build_.global(module, name));
}

void Machine::push_call(How how, Id function, Id arguments, Id keywords) {
  if (!opaque(function)) fail("what is called is " + name_of(kind(function)));
  if (kind(arguments) != Kind::tuple && !opaque(arguments)) fail("a call's arguments are " + name_of(kind(arguments)));
  if (keywords != kNone && kind(keywords) != Kind::dict && !opaque(keywords)) {
    fail("a call's keywords are " + name_of(kind(keywords)));
  }
  push(build_.call(how, function, arguments, keywords));
}

void Machine::load_reduce() {
  const Id arguments = pop();
  const Id function = pop();
  push_call(How::reduce, function, arguments, kNone);
}

void Machine::load_newobj(bool with_keywords) {
  const Id keywords = with_keywords ? pop() : kNone;
  const Id arguments = pop();
  const Id function = pop();
  push_call(with_keywords ? How::newobj_ex : How::newobj, function, arguments, keywords);
}

void Machine::load_obj() {
  const std::size_t from = stack_.pop_mark();
  if (stack_.above(from).empty()) stack_.fail();
  const Id function = stack_[from];
  const Id arguments = build_.tuple(stack_.above(from + 1));
  stack_.drop(from);
  push_call(How::obj, function, arguments, kNone);
}

void Machine::load_inst() {
  const std::size_t from = stack_.pop_mark();
  const Id module = take_name(true);
  const Id name = take_name(true);
  const Id function = build_.global(module, name);
  const Id arguments = build_.tuple(stack_.above(from));
  stack_.drop(from);
  push_call(How::inst, function, arguments, kNone);
}

void Machine::load_extension(std::uint64_t code) {
  if (code == 0 || code > 0x7fffffff) fail("an extension code is not positive");
  const Id function = build_.small(Kind::integer, static_cast<std::int64_t>(code));
  push(build_.call(How::extension, function, kNone, kNone));
}

void Machine::load_persid() {
  const std::string_view line = input_.take_line();
  if (!is_ascii(line)) fail("a persistent id is not ASCII");
  push(build_.persistent(build_.text(Kind::string, line)));
}

void Machine::load_build() {
  stack_.require(2);
  const Id state = pop();
  const Id target = stack_.top();
  if (opaque(target)) return build_.add_build(target, state);
  if (!says_nothing(state)) fail("a state is given to " + name_of(kind(target)));
}

// Plain data takes no state: only None passes, or (None, {}) with nothing for the slots, or what may turn out so.
bool Machine::says_nothing(Id state) const {
  const auto may_be_none = [this](Id id) { return kind(id) == Kind::none || opaque(id); };
  if (may_be_none(state)) return true;
  const Span<Id> parts = document_.items(state);
  if (kind(state) != Kind::tuple || parts.size() != 2 || !may_be_none(parts[0])) return false;
  return (kind(parts[1]) == Kind::dict && document_.pairs(parts[1]).empty()) || opaque(parts[1]);
}

// ---- the loop

void Machine::load_proto() {
  const std::uint64_t protocol = input_.take_unsigned<1>();
  if (protocol > kHighestProtocol) fail("the pickle's protocol is " + std::to_string(protocol) + ", known are 0 to 5");
  build_.set_protocol(static_cast<int>(protocol));
}

void Machine::run() {
  for (std::uint64_t executed = 0;; ++executed) {
    const unsigned char opcode = input_.next_opcode();
    if (executed >= limits_.opcodes) fail("the pickle has more opcodes than the limit allows");
    if (opcode == STOP) break;
    execute(opcode);
  }
  input_.stop();
  build_.finish(pop(), input_.at());
}

inline void Machine::execute(unsigned char opcode) {
  switch (opcode) {
    case PROTO:
      return load_proto();
    case FRAME:
      return input_.open_frame();

    case MARK:
      return stack_.push_mark();
    case POP:
      return pop_object_or_mark();
    case POP_MARK:
      return stack_.drop(stack_.pop_mark());
    case DUP:
      return push(stack_.top());

    case BINPUT:
      return memo_put(input_.take_unsigned<1>());
    case LONG_BINPUT:
      return memo_put(input_.take_unsigned<4>());
    case MEMOIZE:
      return memo_put(memo_.entries());
    case PUT:
      return memo_put(take_text_index());
    case BINGET:
      return memo_get(input_.take_unsigned<1>());
    case LONG_BINGET:
      return memo_get(input_.take_unsigned<4>());
    case GET:
      return memo_get(take_text_index());

    case NONE:
      return push(build_.small(Kind::none, 0));
    case NEWTRUE:
      return push(build_.small(Kind::boolean, 1));
    case NEWFALSE:
      return push(build_.small(Kind::boolean, 0));
    case BININT1:
      return push(build_.small(Kind::integer, static_cast<std::int64_t>(input_.take_unsigned<1>())));
    case BININT2:
      return push(build_.small(Kind::integer, static_cast<std::int64_t>(input_.take_unsigned<2>())));
    case BININT:
      return push(build_.small(Kind::integer, static_cast<std::int32_t>(input_.take_unsigned<4>())));
    case INT:
      return load_int();
    case LONG:
      return load_long();
    case LONG1:
      return load_counted_long(input_.take_unsigned<1>());
    case LONG4: {
      const std::uint64_t size = input_.take_unsigned<4>();
      if (size > 0x7fffffff) fail("an integer has a negative size");
      return load_counted_long(size);
    }
    case FLOAT:
      return load_float();
    case BINFLOAT:
      return load_binfloat();

    case SHORT_BINUNICODE:
      return push(string(input_.take(input_.take_unsigned<1>())));
    case BINUNICODE:
      return push(string(input_.take(input_.take_unsigned<4>())));
    case BINUNICODE8:
      return push(string(input_.take(input_.take_unsigned<8>())));
    case UNICODE:
      return load_unicode();
    case SHORT_BINBYTES:
      return push(build_.text(Kind::bytes, input_.take_across_frames(input_.take_unsigned<1>())));
    case BINBYTES:
      return push(build_.text(Kind::bytes, input_.take_across_frames(input_.take_unsigned<4>())));
    case BINBYTES8:
      return push(build_.text(Kind::bytes, input_.take_across_frames(input_.take_unsigned<8>())));
    case BYTEARRAY8:
      return push(build_.text(Kind::bytearray, input_.take_across_frames(input_.take_unsigned<8>())));
    case SHORT_BINSTRING:
      return push(python2_string(input_.take(input_.take_unsigned<1>())));
    case BINSTRING:
      return push(python2_string(input_.take(input_.take_unsigned<4>())));
    case STRING:
      return load_string();
    case NEXT_BUFFER:
    case READONLY_BUFFER:
      fail("the pickle refers to a buffer outside of it");

    case EMPTY_TUPLE:
      return push(build_.empty_tuple());
    case TUPLE1:
      return load_tuple(stack_.topmost(1));
    case TUPLE2:
      return load_tuple(stack_.topmost(2));
    case TUPLE3:
      return load_tuple(stack_.topmost(3));
    case TUPLE:
      return load_tuple(stack_.pop_mark());
    case EMPTY_LIST:
      return push(build_.collection(Kind::list, {}));
    case LIST:
      return load_list();
    case EMPTY_SET:
      return push(build_.collection(Kind::set, {}));
    case FROZENSET:
      return load_frozenset();
    case EMPTY_DICT:
      return push(build_.dict({}));
    case DICT:
      return load_dict();
    case APPEND:
      return append_from(stack_.topmost(2) + 1);
    case APPENDS:
      return append_from(stack_.pop_mark());
    case SETITEM:
      return set_items_from(stack_.topmost(3) + 1);
    case SETITEMS:
      return set_items_from(stack_.pop_mark());
    case ADDITEMS:
      return add_to_set(stack_.pop_mark());

    case GLOBAL:
      return load_global();
    case STACK_GLOBAL:
      return load_stack_global();
    case REDUCE:
      return load_reduce();
    case NEWOBJ:
      return load_newobj(false);
    case NEWOBJ_EX:
      return load_newobj(true);
    case OBJ:
      return load_obj();
    case INST:
      return load_inst();
    case BUILD:
      return load_build();
    case EXT1:
      return load_extension(input_.take_unsigned<1>());
    case EXT2:
      return load_extension(input_.take_unsigned<2>());
    case EXT4:
      return load_extension(input_.take_unsigned<4>());
    case PERSID:
      return load_persid();
    case BINPERSID:
      return push(build_.persistent(pop()));

    default:
      fail("there is no opcode " + std::to_string(opcode));
  }
}

}  // namespace

Document::Document(std::string_view data, const Limits& limits) { Machine(*this, data, limits).run(); }

Document Document::until_error(std::string_view data, const Limits& limits, std::optional<Error>& why) {
  Document document;
  try {
    Machine(document, data, limits).run();
  } catch (const Error& error) {
    why = error;
  }
  return document;
}

}  // namespace pywts::pickle
