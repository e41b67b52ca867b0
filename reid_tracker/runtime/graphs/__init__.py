"""ONNX networks rewritten for shorter arithmetic: what a strongly typed engine is built from.

TensorRT 11 and TensorRT for RTX take each layer's precision from the network's own types, so the half-precision, int8
and fp8 networks are made here, and what must stay in float32 stays so by construction rather than by a flag.
"""

from reid_tracker.runtime.graphs.convert import Converted, convert, free_inputs, run_on_processor

__all__ = ["Converted", "convert", "free_inputs", "run_on_processor"]
