"""The command line and the environment of ``tritonserver``."""

import os
import sys
from pathlib import Path

from server.options import GRPC, HTTP, METRICS, ServerOptions


def triton_command(binary: Path, backends: Path, prefix: str, options: ServerOptions) -> list[str]:
    """The command line; shared-memory regions get names that begin with ``prefix``."""
    return [
        str(binary),
        f"--model-repository={options.repository.resolve()}",
        f"--backend-directory={backends}",
        f"--backend-config=python,shm-region-prefix-name={prefix}",
        "--disable-auto-complete-config",
        # A model that is served as a TensorRT plan elsewhere uses its graph's config here.
        "--model-config-name=onnxruntime",
        "--exit-on-error=false",  # so that the launcher can read every model's reason
        f"--exit-timeout-secs={options.stop_timeout_s}",
        f"--grpc-address={options.host_of(GRPC)}",
        f"--grpc-port={options.grpc_port}",
        f"--http-address={options.host_of(HTTP)}",
        f"--http-port={options.http_port}",
        f"--metrics-address={options.host_of(METRICS)}",
        f"--metrics-port={options.metrics_port}",
        "--allow-gpu-metrics=false",
        "--pinned-memory-pool-byte-size=0",
        f"--log-info={str(options.verbose).lower()}",
        *(["--model-control-mode=explicit"] if options.models else []),
        *(f"--load-model={name}" for name in options.models),
        *(options.tls.arguments() if options.tls else []),
        *(options.restricted.arguments() if options.restricted else []),
        *options.extra_arguments,
    ]


def triton_environment(*, gpu: bool) -> dict[str, str]:
    """This environment, set up so that workers find this Python's packages; GPUs only if ``gpu``.

    ONNX Runtime's wheels report use to their maker by default; here they do not unless the user
    sets the variable.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    hidden = {} if gpu else {"CUDA_VISIBLE_DEVICES": ""}
    return {"ORT_DISABLE_TELEMETRY": "1", **os.environ, "PATH": path, **hidden}
