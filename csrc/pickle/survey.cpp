#include "pickle/survey.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

namespace pywts::pickle {
namespace {

constexpr int kFirstOwnNames = 3;  // the protocol from which on a name stands for itself, not for Python 2's

class Survey {
 public:
  explicit Survey(const Document& document) : document_(document), first_of_(document.size(), kNone) {}

  std::vector<Use> take() {
    const auto count = static_cast<Id>(document_.size());
    for (Id id = 0; id < count; ++id) note_import(id);
    passed_.resize(count);
    for (Id id = 0; id < count; ++id) {
      note_call(id);
      note_changes(id);
      note_passing(id);
    }
    for (Id id = 0; id < count; ++id) {
      if (passed_[id]) add(Deed::pass, first_of_[id], id);
    }
    std::stable_sort(uses_.begin(), uses_.end(), [](const Use& a, const Use& b) { return a.position < b.position; });
    return std::move(uses_);
  }

 private:
  using Name = std::tuple<std::string_view, std::string_view, bool>;
  using Key = std::tuple<Deed, Target, State, Id>;

  Kind kind(Id id) const noexcept { return document_.kind(id); }

  void add(Deed deed, Id global, Id node) { add({deed, Target::none, State::plain, global, 0, {}}, node); }

  void add(Use use, Id node) {
    const auto [found, fresh] = index_.try_emplace(Key(use.deed, use.target, use.state, use.global), uses_.size());
    if (fresh) {
      if (use.position == 0) use.position = document_.position(node);
      uses_.push_back(std::move(use));
    }
    uses_[found->second].nodes.push_back(node);
  }

  void note_import(Id id) {
    if (kind(id) != Kind::global) return;
    const Name name(document_.module(id), document_.name(id), document_.protocol(id) < kFirstOwnNames);
    first_of_[id] = names_.try_emplace(name, id).first->second;
    add(Deed::import, first_of_[id], id);
  }

  // The first global of the name that a call calls; kNone where it calls something else.
  Id called(Id call) const noexcept {
    const Id function = document_.function(call);
    return function == kNone ? kNone : first_of_[brought(function)];
  }

  // The class that torch's loader answers to the persistent id of a module: ("module", class, file, source).
  Id brought(Id function) const noexcept {
    const Id argument = document_.argument(function);
    if (argument == kNone || kind(argument) != Kind::tuple) return function;
    const auto parts = document_.items(argument);
    const bool module = parts.size() == 4 && kind(parts[0]) == Kind::string && document_.text(parts[0]) == "module";
    return module ? parts[1] : function;
  }

  void note_call(Id id) {
    if (kind(id) == Kind::persistent) return add(Deed::persistent, kNone, id);
    if (kind(id) != Kind::call) return;
    static constexpr Deed deeds[] = {Deed::reduce, Deed::newobj, Deed::newobj_ex,
                                     Deed::obj,    Deed::inst,   Deed::extension};
    add(deeds[static_cast<std::size_t>(document_.how(id))], called(id), id);
  }

  void note_changes(Id id) {
    Target target = Target::made;
    Id global = kNone;
    if (kind(id) == Kind::global) {
      target = Target::imported;
      global = first_of_[id];
    } else if (kind(id) == Kind::call) {
      global = called(id);
    } else if (kind(id) == Kind::persistent) {
      target = Target::loaded;
    } else {
      return;
    }
    for (const Build& build : document_.builds(id)) {
      add({Deed::build, target, state_of(build.state), global, build.position, {}}, build.state);
    }
    if (!document_.items(id).empty()) add({Deed::append, target, State::plain, global, 0, {}}, id);
    if (!document_.pairs(id).empty()) add({Deed::setitem, target, State::plain, global, 0, {}}, id);
  }

  void note_passing(Id id) {
    for (const Id item : document_.items(id)) pass(item);
    for (const Pair& pair : document_.pairs(id)) {
      pass(pair.key);
      pass(pair.value);
    }
    for (const Build& build : document_.builds(id)) pass(build.state);
    pass(document_.arguments(id));
    pass(document_.keywords(id));
    pass(document_.argument(id));
  }
  void pass(Id id) noexcept {
    if (id != kNone && kind(id) == Kind::global) passed_[id] = true;
  }

  // A state is a dict of attributes, or a tuple of one and of another for the slots; what is neither goes to a
  // __setstate__ of the class or is refused.
  State state_of(Id state) {
    if (kind(state) != Kind::tuple || document_.items(state).size() != 2) return attributes_of(state);
    const auto parts = document_.items(state);
    return std::max(attributes_of(parts[0]), attributes_of(parts[1]));
  }

  State attributes_of(Id id) {
    if (kind(id) == Kind::global || kind(id) == Kind::call || kind(id) == Kind::persistent) return State::opaque;
    if (kind(id) != Kind::dict || document_.pairs(id).empty()) return State::plain;
    const auto known = dicts_.find(id);
    if (known != dicts_.end()) return known->second;
    return dicts_[id] = state_of_pairs(id);
  }

  State state_of_pairs(Id id) const {
    State result = State::plain;
    for (const Pair& pair : document_.pairs(id)) {
      const Kind key = kind(pair.key);
      if (key == Kind::global || key == Kind::call || key == Kind::persistent) return State::opaque;
      if (key == Kind::string && hooks(document_.text(pair.key), pair.value)) result = State::hooking;
    }
    return result;
  }

  // Whether an attribute can have the unpickler call something: one that it looks up to call, or that changes what an
  // object is (__class__, __dict__), with a value that is more than a number or a text.
  bool hooks(std::string_view name, Id value) const noexcept {
    if (name == "append" || name == "extend" || name == "add") return kind(value) >= Kind::global;
    const bool special = name.size() > 4 && name.substr(0, 2) == "__" && name.substr(name.size() - 2) == "__";
    return special && kind(value) >= Kind::tuple;
  }

  const Document& document_;
  std::vector<Id> first_of_;  // of a global: the first of its name
  std::map<Name, Id> names_;  // trees: a hash table could be made to collide
  std::map<Key, std::size_t> index_;
  std::map<Id, State> dicts_;  // what is known of those that were a state: one may be the state of many
  std::vector<bool> passed_;
  std::vector<Use> uses_;
};

bool begins(std::string_view text, std::string_view mark) noexcept { return text.substr(0, mark.size()) == mark; }

// Protocol 2 and later announce themselves, also as the text that a string of latin-1 is; before, a pickle is lines.
bool may_be_pickle(std::string_view text) noexcept {
  if (begins(text, "\xc2\x80")) text.remove_prefix(1);
  if (text.size() > 2 && text[0] == '\x80') return static_cast<unsigned char>(text[1]) <= 5;
  return text.size() > 4 && text.back() == '.' && text.find('\n') != std::string_view::npos;
}

bool may_hold_pickles(std::string_view text) noexcept {
  static constexpr std::string_view marks[] = {
      {"PK\3\4"},
      {"\x93NUMPY"},
      {"\x1f\x8b\x08"},
      {"BZh"},
      {"\xfd"
       "7zXZ"},
      {"x\x01"},
      {"x\x9c"},
      {"x\xda"},
  };
  return std::any_of(std::begin(marks), std::end(marks), [&](std::string_view mark) { return begins(text, mark); });
}

}  // namespace

std::vector<Use> survey(const Document& document) { return Survey(document).take(); }

std::vector<Id> embedded(const Document& document) {
  std::vector<Id> result;
  for (Id id = 0; id < document.size(); ++id) {
    const Kind kind = document.kind(id);
    if (kind != Kind::bytes && kind != Kind::bytearray && kind != Kind::string) continue;
    const std::string_view text = document.text(id);
    if (may_be_pickle(text) || may_hold_pickles(text)) result.push_back(id);
  }
  return result;
}

}  // namespace pywts::pickle
