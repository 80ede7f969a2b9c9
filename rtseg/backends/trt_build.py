"""From a model's ONNX graph to a TensorRT plan.

Precision is in the graph: networks are strongly typed (the only kind since TensorRT 11), so what is
float16 in the file is float16 in the engine.
API: https://docs.nvidia.com/deeplearning/tensorrt/latest/_static/python-api/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtseg.backends.trt_log import expect, logger_of, translated
from rtseg.backends.trt_progress import Progress, monitor_of, stopped_by_ctrl_c
from rtseg.errors import EngineError

if TYPE_CHECKING:
    from rtseg.backends.plans import BuildOptions
    from rtseg.model import Model

INPUT, OUTPUT = "image", "logits"
"""Names of the graph's input and output; see `rtseg.model`."""


def build_plan(
    trt: Any,
    model: Model,
    size: tuple[int, int],
    options: BuildOptions,
    *,
    timing: bytes | None = None,
    progress: Progress | None = None,
) -> tuple[bytes, bytes]:
    """(plan, timing cache) for inputs of `size` (width, height).

    timing: the cache of an earlier build on the same kind of GPU, which saves timing the same
    kernels again. Takes seconds to minutes. Raises EngineError with the node and operator that the
    parser refused, or with what the builder's log says.
    """
    log = logger_of(trt)
    log.forget()
    what = f"build {model.path.name} at {size[0]}x{size[1]}"
    monitor = monitor_of(trt, progress)
    with translated(what, log):
        builder = trt.Builder(log)
        flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = expect(builder.create_network(flags), what, log)
        parser = trt.OnnxParser(network, log)  # owns the weights: it must outlive the build
        _parse(parser, model, log)
        config = _configured(trt, builder, network, options, size, what)
        config.progress_monitor = monitor
        timing_cache = _attach_timing(config, timing)
        with stopped_by_ctrl_c(monitor):
            plan = builder.build_serialized_network(network, config)
    if monitor.stopped_by is not None:
        raise monitor.stopped_by
    with translated(what, log):
        return bytes(expect(plan, what, log)), bytes(timing_cache.serialize())


def _parse(parser: Any, model: Model, log: Any) -> None:
    """Raise EngineError with what the parser refused, node by node."""
    if parser.parse(model.data):
        return
    refused = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        refused.append(f"node {error.node_name()} ({error.node_operator()}): {error.desc()}")
    raise EngineError(
        f"TensorRT's parser refuses {model.path}: {'; '.join(refused) or log.reasons()}; "
        "`rtseg export --check` names such operators"
    )


def _configured(
    trt: Any, builder: Any, network: Any, options: BuildOptions, size: tuple[int, int], what: str
) -> Any:
    """The builder's settings, and the input fixed to (1, 3, h, w)."""
    log = logger_of(trt)
    config = expect(builder.create_builder_config(), what, log)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    config.builder_optimization_level = options.level
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # trt_precision reads the types
    if options.hardware_compatible:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    profile = _fixed(builder, network, size)
    if config.add_optimization_profile(profile) < 0:
        raise EngineError(f"TensorRT cannot {what}: the optimisation profile does not fit")
    return config


def _fixed(builder: Any, network: Any, size: tuple[int, int]) -> Any:
    """The profile min = opt = max, and the same as the input's own shape: the inspector tells
    the types of tensors only where no dimension is free."""
    shape = (1, 3, size[1], size[0])
    tensor = network.get_input(0)
    tensor.shape = shape
    profile = builder.create_optimization_profile()
    profile.set_shape(tensor.name, shape, shape, shape)
    return profile


def _attach_timing(config: Any, timing: bytes | None) -> Any:
    """The builder's timing cache, filled with `timing` if that was made on such a GPU."""
    timing_cache = config.create_timing_cache(timing or b"")
    if timing_cache is None or not config.set_timing_cache(timing_cache, False):
        timing_cache = config.create_timing_cache(b"")
        config.set_timing_cache(timing_cache, False)
    return timing_cache
