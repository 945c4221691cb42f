"""Every name a checkpoint may mention, and what it may do with it.

The list is exact, name by name: a whole module would bring its functions along, and constructors of ultralytics'
models evaluate text. Classes of layers are therefore never called, only made empty and filled, as pickle does it.
"""

from __future__ import annotations

from typing import Literal

Role = Literal["layer", "stand-in", "record", "call", "mapping", "method", "storage", "value"]
"""What may be done with a name:

layer      made empty (NEWOBJ) and filled with its state; never called
stand-in   likewise, but an empty class takes its place: what only training needs
record     made or called, and filled: a bare holder of attributes
call       called with plain data (REDUCE), here often a stricter function of the same name
mapping    called likewise; the result takes items
method     called with a layer and the text "forward" only
storage    names the number type of a tensor's storage, in a persistent id only
value      a plain value, such as a number type
"""

_TORCH_LAYERS = {
    "activation": "ELU GELU GLU Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid Mish MultiheadAttention PReLU ReLU "
    "ReLU6 SELU SiLU Sigmoid Softmax Softplus Tanh",
    "batchnorm": "BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm",
    "container": "ModuleDict ModuleList ParameterList Sequential",
    "conv": "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d",
    "dropout": "Dropout Dropout1d Dropout2d",
    "flatten": "Flatten Unflatten",
    "instancenorm": "InstanceNorm2d",
    "linear": "Bilinear Identity Linear NonDynamicallyQuantizableLinear",
    "loss": "BCELoss BCEWithLogitsLoss CrossEntropyLoss L1Loss MSELoss SmoothL1Loss",
    "normalization": "GroupNorm LayerNorm LocalResponseNorm RMSNorm",
    "padding": "ConstantPad2d ReflectionPad2d ReplicationPad2d ZeroPad2d",
    "pixelshuffle": "PixelShuffle PixelUnshuffle",
    "pooling": "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveMaxPool2d AvgPool1d AvgPool2d MaxPool1d MaxPool2d",
    "upsampling": "Upsample UpsamplingBilinear2d UpsamplingNearest2d",
}
_ULTRALYTICS_LAYERS = {
    "activation": "AGLU",
    "block": "A2C2f AAttn ABlock AConv ADown Attention BNContrastiveHead Bottleneck BottleneckCSP C1 C2 C2PSA C2f "
    "C2fAttn C2fCIB C2fPSA C3 C3Ghost C3TR C3f C3k C3k2 C3x CBFuse CBLinear CIB ContrastiveHead DFL ELAN1 "
    "GhostBottleneck HGBlock HGStem ImagePoolingAttn MaxSigmoidAttnBlock PSA PSABlock Proto Proto26 RealNVP "
    "RepBottleneck RepC3 RepCSP RepNCSPELAN4 RepVGGDW ResNetBlock ResNetLayer Residual SAVPE SCDown SPP SPPELAN SPPF "
    "SwiGLUFFN",
    "conv": "CBAM ChannelAttention Concat Conv Conv2 ConvTranspose DWConv DWConvTranspose2d Focus GhostConv Index "
    "LightConv RepConv SpatialAttention",
    "head": "Detect Pose Pose26 Segment Segment26 v10Detect",
    "transformer": "AIFI LayerNorm2d MLP MLPBlock TransformerBlock TransformerEncoderLayer TransformerLayer",
}
_ULTRALYTICS_MODELS = "DetectionModel PoseModel SegmentationModel YOLOv10DetectionModel"
# Left in checkpoints of trainings that were not finished, or of early versions; of no use here.
_TRAINING_ONLY = {
    "loss": "BCEDiceLoss BboxLoss DFLoss E2EDetectLoss E2ELoss FocalLoss KeypointLoss MultiChannelDiceLoss PoseLoss26 "
    "RLELoss SegmentLoss26 VarifocalLoss v10DetectLoss v8DetectionLoss v8PoseLoss v8SegmentationLoss",
    "tal": "PoseTaskAlignedAssigner SegTaskAlignedAssigner TaskAlignedAssigner",
}
_STORAGES = "BFloat16 Bool Byte Char Double Float Half Int Long Short"
_NUMBER_TYPES = "bfloat16 bool float16 float32 float64 int16 int32 int64 int8 uint8"

Name = tuple[str, str]
"""Module and name, as a pickle spells them."""


def _table() -> dict[Name, Role]:
    table: dict[Name, Role] = {}
    for module, names in _TORCH_LAYERS.items():
        table |= {(f"torch.nn.modules.{module}", name): "layer" for name in names.split()}
    for module, names in _ULTRALYTICS_LAYERS.items():
        for name in names.split():
            # Early versions had all of them in one module.
            table[f"ultralytics.nn.modules.{module}", name] = table["ultralytics.nn.modules", name] = "layer"
    table |= {("ultralytics.nn.tasks", name): "layer" for name in _ULTRALYTICS_MODELS.split()}
    for module, names in _TRAINING_ONLY.items():
        table |= {(f"ultralytics.utils.{module}", name): "stand-in" for name in names.split()}
    for package in ("ultralytics.utils", "ultralytics.yolo.utils"):
        table[package, "IterableSimpleNamespace"] = "record"
    table |= {("torch", f"{name}Storage"): "storage" for name in _STORAGES.split()}
    table |= {("torch", name): "value" for name in _NUMBER_TYPES.split()}
    table |= {("torch", "Size"): "call", ("torch", "device"): "call"}
    table |= {("torch._utils", "_rebuild_tensor_v2"): "call", ("torch._utils", "_rebuild_parameter"): "call"}
    # Pickle protocol 2, which torch writes, still calls them by their old names.
    for builtins in ("builtins", "__builtin__"):
        table |= {(builtins, name): "call" for name in ("bytes", "frozenset", "set")}
        table[builtins, "getattr"] = "method"
    table["collections", "OrderedDict"] = "mapping"
    table["_codecs", "encode"] = "call"
    table |= {("numpy", "dtype"): "call", ("numpy", "ndarray"): "value"}
    for core in ("numpy.core", "numpy._core"):
        table |= {(f"{core}.multiarray", "scalar"): "call", (f"{core}.multiarray", "_reconstruct"): "call"}
    for module in ("pathlib", "pathlib._local"):
        for path in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"):
            table[module, path] = "call"
    return table


ALLOWED: dict[Name, Role] = _table()
