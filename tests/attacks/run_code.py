"""Pickles that would have code run if what they name were imported or called."""

from __future__ import annotations

from .making import (
    EMPTY_ORDERED,
    FALSE,
    NONE,
    SYSTEM,
    TRUE,
    Attack,
    attack,
    beside,
    call,
    checkpoint,
    good,
    instance,
    legacy,
    many,
    mapping,
    named,
    number,
    refused,
    storage,
    tensor,
    text,
)


@attack
def call_os_system() -> Attack:
    return good(checkpoint(beside(SYSTEM)))


@attack
def call_as_the_root() -> Attack:
    return refused(checkpoint(SYSTEM), "holds no weights")


@attack
def call_as_the_root_of_a_plain_pickle() -> Attack:
    return refused(b"\x80\x02" + SYSTEM + b".", "holds no weights")


@attack
def call_before_the_legacy_magic() -> Attack:
    return good(b"\x80\x02" + SYSTEM + b"0" + legacy(beside(NONE))[2:])


@attack
def call_that_is_popped_again() -> Attack:
    return good(checkpoint(SYSTEM + b"0" + beside(NONE)))


@attack
def rebuild_from_type_calls_os_system() -> Attack:
    harm = call(named("torch._tensor", "_rebuild_from_type_v2"), named("os", "system"), named("torch", "Tensor"),
                many(text("touch /tmp/pwned")), NONE)  # fmt: skip
    return refused(checkpoint(beside(harm)), "os.system, which is no rebuild function")


@attack
def rebuild_from_type_calls_itself() -> Attack:
    function = named("torch._tensor", "_rebuild_from_type_v2")
    harm = call(function, function, named("torch", "Tensor"), many(named("os", "system"), NONE, many(), NONE), NONE)
    return refused(checkpoint(beside(harm)), "which is no rebuild function")


@attack
def rebuild_from_type_calls_what_a_call_answers() -> Attack:
    found = call(named("builtins", "getattr"), named("os", "path"), text("system"))
    harm = call(named("torch._tensor", "_rebuild_from_type_v2"), found, NONE, many(text("id")), NONE)
    return refused(checkpoint(beside(harm)), "names no rebuild function")


@attack
def parameter_around_a_call() -> Attack:
    harm = call(named("torch._utils", "_rebuild_parameter"), SYSTEM, TRUE, EMPTY_ORDERED)
    return refused(checkpoint(beside(harm)), "around os.system, which is no tensor")


@attack
def parameter_without_arguments() -> Attack:
    return refused(checkpoint(beside(call(named("torch._utils", "_rebuild_parameter")))), "has no arguments")


@attack
def parameters_around_parameters() -> Attack:
    harm = tensor()
    for _ in range(64):
        harm = call(named("torch._utils", "_rebuild_parameter"), harm, TRUE, EMPTY_ORDERED)
    return refused(checkpoint(beside(harm)), "wrapped in more than")


@attack
def arguments_that_are_a_call() -> Attack:
    harm = named("torch._utils", "_rebuild_tensor_v2") + SYSTEM + b"R"
    return refused(checkpoint(beside(harm)), "too few arguments|broken")


@attack
def storage_that_is_a_call() -> Attack:
    return refused(checkpoint(beside(tensor(SYSTEM))), "a call of os.system")


@attack
def storage_of_a_class_that_is_none() -> Attack:
    harm = many(text("storage"), named("os", "system"), text("0"), text("cpu"), number(4)) + b"Q"
    return refused(checkpoint(beside(tensor(harm))), "unknown type os.system")


@attack
def persistent_id_of_a_module() -> Attack:
    harm = many(text("module"), named("os", "system"), text("file.py"), text("import os")) + b"Q"
    return good(checkpoint(beside(instance(harm, mapping({"x": NONE})))))


@attack
def shape_that_is_a_call() -> Attack:
    rebuild = named("torch._utils", "_rebuild_tensor_v2")
    harm = call(rebuild, storage(), number(0), SYSTEM, many(number(1)), FALSE, EMPTY_ORDERED)
    return refused(checkpoint(beside(harm)), "broken shape")


@attack
def metadata_that_is_a_call() -> Attack:
    return refused(checkpoint(beside(tensor(more=SYSTEM))), "metadata that is no dict")


@attack
def dtype_that_is_a_call() -> Attack:
    rebuild = named("torch._utils", "_rebuild_tensor_v3")
    arguments = (storage(numel=16, kind="UntypedStorage"), number(0), many(number(4)), many(number(1)), FALSE)
    harm = call(rebuild, *arguments, EMPTY_ORDERED, SYSTEM)
    return refused(checkpoint(mapping({"harm": harm})), "dtype that is none of torch's")


@attack
def ordered_dict_of_a_call() -> Attack:
    return good(checkpoint(beside(call(named("collections", "OrderedDict"), SYSTEM))))


@attack
def dotted_name() -> Attack:
    harm = text("os") + text("path.os.system") + b"\x93" + many(text("touch /tmp/pwned")) + b"R"
    return good(checkpoint(beside(harm), protocol=4))


@attack
def dotted_name_that_ends_as_an_allowed_one() -> Attack:
    harm = text("torch") + text("_utils._rebuild_tensor_v2") + b"\x93" + many(number(1)) + b"R"
    return refused(checkpoint(beside(harm), protocol=4), "too few arguments")


@attack
def name_that_holds_the_separator() -> Attack:
    harm = text("torch._utils._rebuild_tensor_v2\n") + text("x") + b"\x93" + many() + b"R"
    return good(checkpoint(beside(harm), protocol=4))


@attack
def inst() -> Attack:
    return good(checkpoint(beside(b"(" + text("touch /tmp/pwned") + b"ios\nsystem\n")))


@attack
def obj() -> Attack:
    return good(checkpoint(beside(b"(" + named("os", "system") + text("touch /tmp/pwned") + b"o")))


@attack
def newobj() -> Attack:
    return good(checkpoint(beside(named("subprocess", "Popen") + many(text("id")) + b"\x81")))


@attack
def newobj_with_keywords() -> Attack:
    harm = named("subprocess", "Popen") + many() + mapping({"args": text("id")}) + b"\x92"
    return good(checkpoint(beside(harm), protocol=4))


@attack
def extension_codes() -> Attack:
    harm = b"\x82\x01" + many(text("id")) + b"R" + b"0\x83\x01\x01" + b"0\x84\xff\xff\xff\x7f"
    return good(checkpoint(beside(harm)))


@attack
def build_slots_on_a_class() -> Attack:
    harm = named("torch.nn", "Linear") + many(NONE, mapping({"__reduce__": named("os", "system")})) + b"b"
    return good(checkpoint(beside(harm)))


@attack
def build_on_a_rebuild_function() -> Attack:
    harm = named("torch._utils", "_rebuild_tensor_v2") + many(NONE, mapping({"__code__": SYSTEM})) + b"b"
    return good(checkpoint(beside(harm)))


@attack
def append_to_sys_path() -> Attack:
    return good(checkpoint(beside(named("sys", "path") + text("/tmp") + b"a")))


@attack
def set_item_in_sys_modules() -> Attack:
    return good(checkpoint(beside(named("sys", "modules") + text("os") + SYSTEM + b"s")))


@attack
def getattr_chain() -> Attack:
    found = call(named("builtins", "getattr"), call(named("builtins", "__import__"), text("os")), text("system"))
    return good(checkpoint(beside(call(found, text("touch /tmp/pwned")))))


@attack
def evaluated_text() -> Attack:
    harm = call(named("builtins", "eval"), b'S\'__import__("os").system("id")\'\n')
    return good(checkpoint(beside(harm)))


@attack
def code_object() -> Attack:
    function = call(named("dill._dill", "_create_function"), call(named("types", "CodeType"), number(0)), mapping({}))
    return good(checkpoint(beside(call(function))))


@attack
def class_by_value() -> Attack:
    bases = many(named("torch.nn", "Module"))
    kind = call(named("dill._dill", "_create_type"), named("builtins", "type"), text("Net"), bases,
                mapping({"__init_subclass__": SYSTEM}))  # fmt: skip
    return good(checkpoint(beside(instance(kind, mapping({"x": SYSTEM})))))


@attack
def set_of_calls() -> Attack:
    return good(checkpoint(beside(call(named("builtins", "set"), b"](" + SYSTEM + SYSTEM + b"e"))))


@attack
def array_of_a_call() -> Attack:
    dtype = call(named("numpy", "dtype"), text("f4"))
    harm = call(named("numpy._core.numeric", "_frombuffer"), SYSTEM, dtype, many(number(1)), text("C"))
    return refused(checkpoint(beside(harm)), "without bytes")


@attack
def array_whose_dtype_is_a_call() -> Attack:
    harm = call(named("numpy._core.numeric", "_frombuffer"), b"C\x04abcd", SYSTEM, many(number(1)), text("C"))
    return refused(checkpoint(beside(harm), protocol=3), "broken dtype")


@attack
def array_of_objects() -> Attack:
    made = call(named("numpy.core.multiarray", "_reconstruct"), named("numpy", "ndarray"), many(number(0)), b"C\x01b")
    state = many(number(1), many(number(1)), call(named("numpy", "dtype"), text("O8")), FALSE, b"](" + SYSTEM + b"e")
    return refused(checkpoint(beside(made + state + b"b"), protocol=3), "array of object")


@attack
def bytes_by_another_codec() -> Attack:
    harm = call(named("_codecs", "encode"), text("import os"), text("rot13"))
    return good(checkpoint(beside(harm)))


@attack
def storage_from_bytes_that_are_a_pickle() -> Attack:
    inner = b"\x80\x02" + SYSTEM + b"."
    loaded = call(named("torch.storage", "_load_from_bytes"), b"B" + len(inner).to_bytes(4, "little") + inner)
    return refused(b"\x80\x03" + mapping({"harm": tensor(loaded)}) + b".", "cannot be read|is no storage")


@attack
def tag_around_tags() -> Attack:
    tag = named("torch.jit._pickle", "restore_type_tag")
    return good(checkpoint(beside(tag * 100_000 + SYSTEM + b"".join([b"\x85R"] * 100_000))))


@attack
def string_of_a_persistent_id() -> Attack:
    harm = b"P('storage', <class 'os.system'>, '0', 'cpu', 4)\n"
    return refused(checkpoint(beside(tensor(harm))), "persistent id is broken|unknown type")
