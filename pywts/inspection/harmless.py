"""What ``scan`` knows to be harmless, or a framework's own, with the reason for each entry. All else is found.

An entry of ``HARMLESS`` runs nothing that the pickle decides on, whatever plain values it is called with. One of
``WITH_CARE`` does so only with certain arguments, which ``calls.py`` looks at. Names are those of Python 3; those
that a pickle of protocol 2 or less has from Python 2 are renamed first, as the unpickler does it.
"""

from __future__ import annotations

from .._core import DTYPES
from ..checkpoint import allowlist

_PYTHON_2 = ("__builtin__.", "copy_reg.")
"""Modules that the unpickler renames first, or does not find."""

_REFUSED = {name: f"{what}, put together from its parts" for name, (what, _) in allowlist.REFUSED_TENSORS.items()}

_PLAIN = {
    "builtins.object": "makes an object without content",
    "builtins.int": "a number",
    "builtins.float": "a number",
    "builtins.bool": "a truth value",
    "builtins.complex": "a number",
    "builtins.str": "text",
    "builtins.slice": "a slice of indices",
    "builtins.range": "a range of numbers",
    "builtins.NoneType": "the type of None",
    "builtins.Ellipsis": "the constant ...",
    "builtins.NotImplemented": "a constant",
    "collections.OrderedDict": "state_dicts and the tables inside a module",
    "datetime.datetime": "a date",
    "datetime.date": "a date",
    "datetime.time": "a time of day",
    "datetime.timedelta": "a span of time",
    "datetime.timezone": "a time zone of a fixed offset",
    "decimal.Decimal": "a number",
    "fractions.Fraction": "a number",
    "uuid.UUID": "an identifier",
    "pathlib.Path": "a path, as text: nothing is opened",
    "pathlib.PosixPath": "a path, as text: nothing is opened",
    "pathlib.WindowsPath": "a path, as text: nothing is opened",
    "pathlib.PurePosixPath": "a path, as text: nothing is opened",
    "pathlib.PureWindowsPath": "a path, as text: nothing is opened",
    "pathlib._local.PosixPath": "a path, as Python 3.13 names the class",
    "pathlib._local.WindowsPath": "a path, as Python 3.13 names the class",
    "argparse.Namespace": "a trainer's options, as attributes",
    "types.SimpleNamespace": "a trainer's options, as attributes",
    "typing.Any": "a mark of a type",
}

_TORCH = {
    "torch.Tensor": "the class of tensors",
    "torch._tensor.Tensor": "the class of tensors",
    "torch.tensor.Tensor": "the class of tensors, in older torch",
    "torch.device": "a device's name",
    "torch._C.Generator": "a generator of random numbers; torch checks the state that it is given",
    "torch.dtype": "the class of dtypes",
    "torch.Generator": "a generator of random numbers",
    "torch.strided": "a memory layout",
    "torch.sparse_coo": "a memory layout",
    "torch.sparse_csr": "a memory layout",
    "torch.contiguous_format": "a memory format",
    "torch.channels_last": "a memory format",
    "torch.preserve_format": "a memory format",
    "torch.per_tensor_affine": "a scheme of quantization",
    "torch.per_channel_affine": "a scheme of quantization",
    "torch.per_tensor_symmetric": "a scheme of quantization",
    "torch.per_channel_symmetric": "a scheme of quantization",
    "torch.per_channel_affine_float_qparams": "a scheme of quantization",
    "torch.serialization._get_layout": "a memory layout, by its name",
    "torch.torch_version.TorchVersion": "a version, as text",
    "torch.nn.functional.relu": "an activation, kept as an attribute",
    "torch.nn.functional.gelu": "an activation, kept as an attribute",
    "torch.nn.functional.silu": "an activation, kept as an attribute",
    "torch._C._nn.gelu": "an activation, kept as an attribute",
}

_STORAGES = {
    f"{module}.{name}": "the class of a storage"
    for module in ("torch", "torch.storage", "torch.cuda")
    for name in (*allowlist.STORAGE_DTYPES, "TypedStorage", "_TypedStorage")
}

_TENSOR_CLASSES = {
    f"torch.{name.removesuffix('Storage')}Tensor": "the class of tensors of one dtype, in older torch"
    for name in allowlist.STORAGE_DTYPES
    if not name.startswith(("Q", "U", "_"))
}

_DTYPES = {
    f"torch.{name}": "a dtype" for name in (*DTYPES, *allowlist.FOREIGN_ITEM_SIZES, *allowlist.DTYPE_ALIASES)
}  # fmt: skip

_NUMPY = {
    "numpy.ndarray": "the class of arrays",
    **{
        f"numpy.{name}": "a type of numbers"
        for name in (
            "bool_", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "intc",
            "longlong", "float16", "float32", "float64", "longdouble", "complex64", "complex128", "str_", "bytes_",
            "datetime64",
        )
    },
    **{
        f"numpy.dtypes.{name}DType": "a dtype"
        for name in (
            "Bool", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float16", "Float32",
            "Float64", "Complex64", "Complex128", "Str", "Bytes",
        )
    },
    "numpy.random._pickle.__randomstate_ctor": "a generator of random numbers, by the name of its kind",
    "numpy.random._pickle.__generator_ctor": "the same",
    "numpy.random._pickle.__bit_generator_ctor": "the same",
    "numpy.random.bit_generator.SeedSequence": "the seed of such generators",
    "numpy.random.bit_generator.__pyx_unpickle_SeedSequence": "the same, from its parts",
    "numpy.random._mt19937.MT19937": "a kind of such generators",
    "numpy.random._pcg64.PCG64": "a kind of such generators",
}  # fmt: skip

WITH_CARE = {
    **allowlist.BYTES_CODECS,
    **allowlist.EMBEDDED_STORAGES,
    **allowlist.TYPED_REBUILDS,
    **{name: why for name, why in allowlist.RECONSTRUCTORS.items() if not name.startswith(_PYTHON_2)},
    "torch._utils._rebuild_parameter_with_state": "a Parameter with attributes, which it sets",
    "builtins.getattr": "a method of a model, or one of an enumeration, by its name",
    "functools.partial": "a layer's class with arguments, kept and not called",
    "collections.defaultdict": "trainers' counters; what it makes of a key that is not there is plain",
}
"""Harmless with the arguments that real checkpoints give them; with others they can call what the pickle names."""

HARMLESS = {
    **{
        name: reason
        for table in (
            allowlist.MAPPINGS, allowlist.SEQUENCES, allowlist.TAGS, allowlist.TENSORS, allowlist.WRAPPERS, _REFUSED,
            allowlist.NUMPY_ARRAYS, allowlist.NUMPY_SCALARS, allowlist.NUMPY_BUFFERS, allowlist.NUMPY_DTYPES,
            allowlist.BYTES_CALLS,
        )
        for name, reason in table.items()
        if name not in WITH_CARE and not name.startswith(_PYTHON_2)
    },
    **_PLAIN,
    **_STORAGES,
    **_TENSOR_CLASSES,
    **_DTYPES,
    **_NUMPY,
    **_TORCH,
}  # fmt: skip
"""Harmless to import, to hand on and to call with whatever arguments, but for objects of a framework, whose methods
most of them run; and NumPy's with what NumPy itself writes."""

KEYED = ("collections.OrderedDict", "collections.defaultdict", "builtins.dict")
"""Those that hash the keys that they are given, and only keep the values."""

KEEPING = ("builtins.list", "builtins.tuple", "collections.deque")
"""Those that only keep what a plain container holds."""

ANSWERED = (*allowlist.TAGS, *(name for name in allowlist.SEQUENCES if name.startswith("torch.jit._pickle.")))
"""Those that answer their argument as it is."""

REBUILDERS = frozenset({*allowlist.TENSORS, *_REFUSED}) & HARMLESS.keys()
"""What ``_rebuild_from_type`` may call."""

PLAIN_BASES = frozenset(
    f"builtins.{name}"
    for name in ("object", "dict", "list", "tuple", "set", "frozenset", "int", "float", "complex", "str", "bytes")
)
"""Bases whose constructor ``_reconstructor`` may call on a plain value."""

CLASSES = {
    "ultralytics.utils.IterableSimpleNamespace": "options of ultralytics, as attributes",
    "ultralytics.yolo.utils.IterableSimpleNamespace": "the same, of ultralytics 8.0",
    "joblib.numpy_pickle.NumpyArrayWrapper": "an array of joblib; what follows it is not known",
    "torch.ScriptObject": "packed weights of a quantized layer, which torch's C++ unpacks",
    "mmengine.config.config.Config": "options of mmengine",
    "mmengine.config.config.ConfigDict": "the same; its LazyObject is not here: it imports what it names",
}
"""Classes that may be called without arguments, of modules that have others: ``JSONDict`` there writes a file when an
item is set."""

SCRIPT_OBJECTS = "__torch__.torch.classes.quantized."
"""How the names of C++ classes begin that the state of a ``torch.ScriptObject`` may name."""

CONTAINERS = ("easydict.", "addict.addict.", "yacs.config.", "mmengine.config.", "mmcv.utils.config.")
"""Modules of the frameworks below whose classes are mappings or sequences that only keep what is put into them."""

ENUMERATIONS = {
    "torchvision.transforms.functional.InterpolationMode": "a way to resize, by its value",
    "transformers.trainer_utils.IntervalStrategy": "a trainer's option, by its value",
    "transformers.trainer_utils.SchedulerType": "a trainer's option, by its value",
    "transformers.trainer_utils.HubStrategy": "a trainer's option, by its value",
    "transformers.trainer_utils.SaveStrategy": "a trainer's option, by its value",
    "transformers.training_args.OptimizerNames": "a trainer's option, by its value",
    "accelerate.utils.dataclasses.DistributedType": "a trainer's option, by its value",
}
"""Classes of the frameworks below that are called with a value, and only look it up."""

FUNCTIONS = {
    "torch.amp.grad_scaler._refresh_per_optimizer_state": "what a GradScaler begins an optimizer's entry with",
    "torch.cuda.amp.grad_scaler._refresh_per_optimizer_state": "the same, of older torch",
}
"""Functions of the frameworks below that objects keep. Of all others only classes are known, by their capital: a
function that is handed on may be called by the class that gets it, and some evaluate text."""

PARTIALS = ("torch.nn.modules.", "torch.ao.quantization.", "torch.ao.nn.", "timm.layers.")
"""Modules of the frameworks below whose constructors ``functools.partial`` may keep with arguments: they evaluate no
text."""

METHODS = ("forward", "fuseforward")
"""How the names of methods begin that models keep as an attribute of that name, to be called instead of ``forward``."""

FRAMEWORKS = {
    "torch.nn.modules.": "a layer of torch",
    "torch.nn.parallel.": "torch's wrapper of a model on several devices",
    "torch.nn.quantized.": "a quantized layer of torch",
    "torch.nn.intrinsic.": "a fused layer of torch",
    "torch.nn.qat.": "a layer of torch that was trained for quantization",
    "torch.nn.utils.": "torch's reparametrizations of weights",
    "torch.ao.nn.": "a quantized or fused layer of torch",
    "torch.ao.quantization.": "torch's observers and settings of quantization",
    "torch.quantization.": "torch's observers and settings of quantization",
    "torch.optim.": "an optimizer or schedule of torch",
    "torch.amp.": "torch's scaling of gradients",
    "torch.cuda.amp.": "torch's scaling of gradients",
    "torchvision.models.": "a model of torchvision",
    "torchvision.ops.": "a layer of torchvision",
    "torchvision.transforms.": "a transform of torchvision",
    "torchaudio.models.": "a model of torchaudio",
    "ultralytics.nn.": "a model or layer of ultralytics",
    "ultralytics.utils.loss": "a loss of ultralytics",
    "ultralytics.utils.tal": "a loss of ultralytics",
    "ultralytics.utils.metrics": "measures of ultralytics",
    "ultralytics.models.": "a model of ultralytics",
    "timm.models.": "a model of timm",
    "timm.layers.": "a layer of timm",
    "models.common": "a layer of the training repositories of yolov5, yolov7 and yolov9",
    "models.yolo": "a model of those",
    "models.experimental": "a model of those",
    "models.tf": "a model of those",
    "utils.loss": "a loss of those",
    "utils.autoanchor": "anchors of those",
    "models.net": "a layer of the training repository of RetinaFace",
    "models.retinaface": "a model of that",
    "lenet5": "the model of the LeNet-5 example",
    "mlp": "the model of the MLP example",
    "pdn": "the model of EfficientAD's examples",
    "omegaconf.": "options as OmegaConf keeps them",
    "easydict": "options as EasyDict keeps them",
    "addict.addict": "options as addict keeps them",
    "yacs.config": "options as yacs keeps them",
    "mmengine.logging.": "a trainer's history, of mmengine",
    "mmcv.utils.config": "options of mmcv",
    "mmdet.models.": "a model of mmdetection",
    "detectron2.modeling.": "a model of detectron2",
    "detectron2.config.": "options of detectron2",
    "pytorch_lightning.callbacks.": "a callback of Lightning, by name",
    "pytorch_lightning.utilities.": "options of Lightning",
    "lightning.pytorch.callbacks.": "a callback of Lightning, by name",
    "lightning.pytorch.utilities.": "options of Lightning",
    "lightning_fabric.utilities.": "options of Lightning",
    "segmentation_models_pytorch.": "a model of segmentation_models_pytorch",
    "efficientnet_pytorch.": "a model of efficientnet_pytorch",
    "transformers.models.": "a model of transformers",
    "transformers.training_args": "options of transformers' trainer",
    "transformers.trainer_utils": "options of transformers' trainer",
    "transformers.trainer_pt_utils": "options of transformers' trainer",
    "accelerate.state": "the state of accelerate",
    "accelerate.utils.": "options of accelerate",
    "basicsr.archs.": "a model of BasicSR",
    "realesrgan.archs.": "a model of Real-ESRGAN",
}
"""Modules of known frameworks and training repositories. A class of theirs may be made without its constructor and be
given a state, as pickles do it; a call with arguments is found: constructors of models evaluate text. An entry with a
dot at its end stands for what is below it, one without for itself and what is below it."""
