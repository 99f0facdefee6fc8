"""The functions and classes whose effect on plain data is known, so that it can be read without running them.

Whatever a pickle names that is not here becomes a record that nothing looks into except by its recorded state. The
names are data, compared as text: nothing is imported.
"""

from __future__ import annotations

MAPPINGS = {
    "collections.OrderedDict": "state_dicts and the tables inside a module",
    "collections.defaultdict": "trainers' counters; its argument, the factory, is not called",
    "collections.Counter": "trainers' counters",
    "builtins.dict": "an empty dict by call",
    "__builtin__.dict": "the same from Python 2",
}
"""Mappings: an optional first argument of pairs (or a mapping), then the items that were set."""

SEQUENCES = {
    "builtins.set": "a set of protocol 2 or 3, by call on a list",
    "__builtin__.set": "the same from protocol 2",
    "builtins.frozenset": "a frozenset, likewise",
    "__builtin__.frozenset": "the same from protocol 2",
    "builtins.list": "a list by call",
    "__builtin__.list": "the same from Python 2",
    "builtins.tuple": "a tuple by call",
    "__builtin__.tuple": "the same from Python 2",
    "collections.deque": "trainers' windows of the last values",
    "torch.Size": "a shape: a tuple of sizes",
    "torch.jit._pickle.build_intlist": "a list that TorchScript gave a type",
    "torch.jit._pickle.build_doublelist": "the same",
    "torch.jit._pickle.build_boollist": "the same",
    "torch.jit._pickle.build_tensorlist": "the same",
}
"""Sequences: an optional first argument of items, then the items that were appended."""

TAGS = {"torch.jit._pickle.restore_type_tag": "a value that TorchScript gave a type: the value, the type's name"}
"""Calls that answer their first argument as it is."""

SIZED_MODULES = (
    "torch.nn.modules.container.Sequential",
    "torch.nn.modules.container.ModuleList",
    "torch.nn.modules.container.ModuleDict",
)
"""Modules that are false where they have no children."""

TRACED_MODULES = {"torch.fx.graph_module.reduce_graph_module": "a module of torch.fx: its attributes, its code"}
"""Calls that make a module of the attributes that are their first argument."""

COMPILED_MODULES = {"torch._dynamo.eval_frame.OptimizedModule": "a compiled module: the module, how it was compiled"}
"""Modules around the one that is their first argument, which is their child ``_orig_mod``."""

PACKED_MODULES = (
    "torch.ao.nn.quantized.",
    "torch.ao.nn.intrinsic.quantized.",
    "torch.ao.nn.sparse.quantized.",
    "torch.nn.quantized.",
    "torch.nn.intrinsic.quantized.",
)
"""Where the classes of quantized layers are, whose weights are packed into no tensor."""

TENSORS = {
    "torch._utils._rebuild_tensor": "torch before 0.4: storage, offset, size, stride",
    "torch._utils._rebuild_tensor_v2": "a tensor: storage, offset, size, stride, requires_grad, hooks, metadata",
    "torch._utils._rebuild_tensor_v3": "a tensor whose storage counts bytes: as v2, then the dtype",
}
"""Views of a storage."""

WRAPPERS = {
    "torch._utils._rebuild_parameter": "a Parameter: the tensor, requires_grad, hooks",
    "torch._utils._rebuild_parameter_with_state": "a Parameter with attributes: the same, then its state",
    "torch.nn.parameter.Parameter": "a Parameter by call: the tensor, requires_grad",
    "torch.nn.Parameter": "the same by its public name",
    "torch.nn.parameter.Buffer": "a Buffer by call: the tensor",
    "torch.autograd.variable.Variable": "a Variable of torch before 0.4: the tensor",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "a tensor of an accelerator, kept as a CPU tensor",
    "torch._utils._rebuild_device_tensor_from_numpy": "a tensor of an accelerator, kept as a NumPy array",
    "torch._utils._rebuild_xla_tensor": "a tensor of a TPU, kept as a NumPy array",
}
"""Calls whose first argument is the tensor."""

CONVERTING = (
    "torch._utils._rebuild_device_tensor_from_cpu_tensor",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_xla_tensor",
)
"""Those that bring the tensor to the dtype that is their second argument."""

EMBEDDED_STORAGES = {"torch.storage._load_from_bytes": "a storage as a whole legacy stream in bytes, by pickle.dump"}
"""Calls that make a storage from bytes which are a checkpoint of that storage alone."""

TYPED_REBUILDS = {
    "torch._tensor._rebuild_from_type_v2": "a subclass: a rebuild function, the type, its arguments, the state",
    "torch._tensor._rebuild_from_type": "the same without state",
}
"""Calls that would call their first argument: followed only where that is a rebuild function of this list."""

REFUSED_TENSORS = {
    "torch._utils._rebuild_sparse_tensor": ("a sparse tensor", "save it with .to_dense()"),
    "torch._utils._rebuild_sparse_csr_tensor": ("a sparse tensor", "save it with .to_dense()"),
    "torch._utils._rebuild_nested_tensor": ("a nested tensor", "save its parts, or .to_padded_tensor(0)"),
    "torch.nested._internal.nested_tensor._rebuild_njt": (
        "a nested tensor",
        "save its parts, or .to_padded_tensor(0)",
    ),
    "torch._utils._rebuild_qtensor": ("a quantized tensor", "save it with .dequantize()"),
    "torch._utils._rebuild_meta_tensor_no_storage": (
        "a tensor on the meta device, which has no values",
        "load the weights into the model before it is saved",
    ),
    "torch._utils._rebuild_wrapper_subclass": ("a tensor subclass without a storage of its own", "save a plain tensor"),
    "torch.nn.parameter.UninitializedParameter": (
        "an uninitialized parameter of a lazy module",
        "run the model once before it is saved",
    ),
    "torch.nn.parameter.UninitializedBuffer": (
        "an uninitialized buffer of a lazy module",
        "run the model once before it is saved",
    ),
    "numpy.ma.core._mareconstruct": ("a masked NumPy array", "save it with .filled()"),
}
"""Tensors that a .wts cannot be written from: what they are, and the way out."""

STORAGE_DTYPES = {
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "DoubleStorage": "float64",
    "CharStorage": "int8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
    "UntypedStorage": "",
    "_UntypedStorage": "",
}
"""Storage classes (of torch, torch.cuda, torch.storage and kin) and their dtype; an untyped one counts bytes."""

FOREIGN_ITEM_SIZES = {
    "complex32": 4, "complex64": 8, "complex128": 16, "qint8": 1, "quint8": 1, "qint32": 4,
    "quint4x2": 1, "quint2x4": 1, "float4_e2m1fn_x2": 1,
    "bits8": 1, "bits16": 2, "bits1x8": 1, "bits2x4": 1, "bits4x2": 1,
    "uint1": 1, "uint2": 1, "uint3": 1, "uint4": 1, "uint5": 1, "uint6": 1, "uint7": 1,
    "int1": 1, "int2": 1, "int3": 1, "int4": 1, "int5": 1, "int6": 1, "int7": 1,
}  # fmt: skip
"""Bytes an element of the dtypes that no .wts can be written from."""

DTYPE_ALIASES = {
    "float": "float32",
    "half": "float16",
    "double": "float64",
    "long": "int64",
    "int": "int32",
    "short": "int16",
    "cfloat": "complex64",
    "cdouble": "complex128",
    "chalf": "complex32",
}
"""Other names that torch has for a dtype."""

NUMPY_ARRAYS = {
    "numpy.core.multiarray._reconstruct": "an array, filled by its state",
    "numpy._core.multiarray._reconstruct": "the same since NumPy 2",
    "numpy.core._internal._reconstruct": "the same before NumPy 1.0, whose states have no version",
}
NUMPY_SCALARS = {
    "numpy.core.multiarray.scalar": "a scalar: dtype, bytes",
    "numpy._core.multiarray.scalar": "the same since NumPy 2",
}
NUMPY_BUFFERS = {
    "numpy.core.numeric._frombuffer": "an array of protocol 5: bytes, dtype, shape, order",
    "numpy._core.numeric._frombuffer": "the same since NumPy 2",
}
NUMPY_REDUCED = {
    "dill._dill._create_array": "an array as dill keeps it: what makes it empty, with what arguments, then its state",
    "dill.dill._create_array": "the same from older dill",
}
NUMPY_DTYPES = {"numpy.dtype": "a dtype: its letter and size, then its state", "numpy.dtypes.dtype": "the same"}
BYTES_CODECS = {"_codecs.encode": "bytes as protocol 2 keeps them: text in latin-1"}
BYTES_CALLS = {
    "builtins.bytes": "no bytes at all, as protocol 2 keeps them",
    "__builtin__.bytes": "the same",
    "builtins.bytearray": "a bytearray by call: nothing, or its bytes",
    "__builtin__.bytearray": "the same; or text in latin-1",
}
RECONSTRUCTORS = {
    "copyreg._reconstructor": "an object of protocol 0 or 1: its class, the base, the base's value",
    "copy_reg._reconstructor": "the same from Python 2",
    "copyreg.__newobj__": "an object of protocol 2: its class, then arguments",
    "copyreg.__newobj_ex__": "the same with keywords",
    "copy_reg.__newobj__": "the same from Python 2",
}
"""Calls that make an object of the class that is their first argument."""
TYPE_LOADERS = {
    "dill._dill._load_type": "a builtin type, by its name",
    "dill.dill._load_type": "the same from older dill",
}
"""Calls that answer a type of ``builtins`` whose name is their argument."""
CLASS_BUILDERS = {
    "dill._dill._create_type": "a class pickled by value: a metaclass, then the arguments of type(): name, bases, body",
    "dill.dill._create_type": "the same from older dill",
    "cloudpickle.cloudpickle._make_skeleton_class": "a class pickled by value: metaclass, name, bases, ...",
    "cloudpickle._make_skeleton_class": "the same from older cloudpickle",
}
"""Calls that make a class; its name is their second argument."""
