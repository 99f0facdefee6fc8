// Whatever the bytes, the machine makes a sound document or throws its Error: every id that a node names is a node made
// before the document was done, every text lies in the pickle or in the document, a tuple's items are older than it. So
// is what was made until an error; and a survey of it stays within it. A tensor that is read from it reaches as far as
// it says, computed in 128 bits.
//
// A libFuzzer target, and a test that its corpus passes (tests/corpus/pickle).
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "pickle/machine.hpp"
#include "pickle/survey.hpp"
#include "pickle/torch_records.hpp"

namespace {

using pywts::pickle::Document;
using pywts::pickle::How;
using pywts::pickle::Id;
using pywts::pickle::Kind;
using pywts::pickle::kNone;
__extension__ using Wide = __int128;

void require(bool holds) {
  if (!holds) std::abort();
}

std::uint64_t seen;  // what is read is used, so that a sanitizer sees every byte

void read(std::string_view text) {
  for (const char c : text) seen = seen * 31 + static_cast<unsigned char>(c);
}

void check(const Document& document, Id id) {
  const auto known = [&](Id other) { return other < document.size(); };
  const auto older = [&](Id other) { return other < id; };
  const Kind kind = document.kind(id);
  read(document.text(id));
  read(document.module(id));
  read(document.name(id));
  seen += static_cast<std::uint64_t>(document.integer(id)) + document.position(id);
  const bool fixed = kind == Kind::tuple || kind == Kind::frozenset;
  for (const Id item : document.items(id)) require(fixed ? older(item) : known(item));
  for (const auto& pair : document.pairs(id)) require(known(pair.key) && known(pair.value));
  for (const auto& build : document.builds(id)) require(known(build.state) && build.position > document.position(id));
  if (kind == Kind::call) {
    require(older(document.function(id)));
    require(document.how(id) == How::extension ? document.arguments(id) == kNone : older(document.arguments(id)));
    require(document.keywords(id) == kNone || older(document.keywords(id)));
  }
  if (kind == Kind::persistent) require(older(document.argument(id)));
}

// What the records of torch's own classes say: no number is negative, no sum has gone over.
void check_records(const Document& document, Id id) {
  const auto known = [&](const auto& pair) { return pair.key < document.size() && pair.value < document.size(); };
  if (const auto storage = pywts::pickle::storage_record(document, id)) {
    read(storage->class_name);
    read(storage->key);
    require(storage->elements >= 0 && (!storage->view || (storage->view->first >= 0 && storage->view->second >= 0)));
  }
  if (const auto tensor = pywts::pickle::tensor_record(document, id)) {
    Wide numel = 1, last = tensor->offset;
    require(tensor->shape.size() == tensor->strides.size());
    for (std::size_t axis = 0; axis < tensor->shape.size(); ++axis) {
      const Wide size = document.integer(tensor->shape[axis]);
      numel *= size;
      if (size > 0) last += (size - 1) * document.integer(tensor->strides[axis]);
    }
    require(tensor->offset >= 0 && numel == tensor->numel && last == tensor->last);
  }
  if (const auto module = pywts::pickle::module_record(document, id)) {
    for (const auto& pair : module->tensors) require(known(pair));
    for (const auto& pair : module->children) require(known(pair));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view data(reinterpret_cast<const char*>(bytes), size);
  try {
    const Document document(data);
    require(document.end() <= size && document.root() < document.size());
    for (Id id = 0; id < document.size(); ++id) {
      check(document, id);
      check_records(document, id);
    }
  } catch (const pywts::pickle::Error& error) {
    require(error.position <= size && error.what()[0] != '\0');
  }
  std::optional<pywts::pickle::Error> why;
  const Document document = Document::until_error(data, {}, why);
  require((document.root() == kNone) == why.has_value());
  for (Id id = 0; id < document.size(); ++id) check(document, id);
  for (const auto& use : survey(document)) {
    require(!use.nodes.empty() && use.position <= size && (use.global == kNone || use.global < document.size()));
    for (const Id id : use.nodes) require(id < document.size());
  }
  for (const Id id : embedded(document)) read(document.text(id));
  return 0;
}
