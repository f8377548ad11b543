"""The files under ``server/deploy/`` as the tests read them."""

import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
DEPLOY = PROJECT / "server" / "deploy"
KUBECTL = PROJECT / ".cache" / "kubectl"
"""`make test` puts it there."""
MONITORING = DEPLOY / "monitoring"
OVERLAYS = {path.name: path for path in (DEPLOY / "kubernetes" / "overlays").iterdir()}

# Of Prometheus itself, and what scraping and recording add; the rest must be Triton's.
PROMETHEUS_METRICS = {"up"}
PROMETHEUS_LABELS = {"job", "instance"}
# From Triton's docs/user_guide/metrics.md, "GPU Metrics": a machine without a GPU has none.
GPU_METRICS = {"nv_gpu_utilization", "nv_gpu_memory_total_bytes", "nv_gpu_memory_used_bytes"}
GPU_LABELS = {"gpu_uuid"}


def documents(path: Path) -> list[dict[str, Any]]:
    """The YAML documents of a file."""
    return list(yaml.safe_load_all(path.read_text()))


@cache
def rendered(overlay: str) -> tuple[dict[str, Any], ...]:
    """All objects of an overlay, as ``kubectl apply -k`` would send them."""
    command = [KUBECTL, "kustomize", OVERLAYS[overlay]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def base_objects() -> list[dict[str, Any]]:
    """All objects of the base, which are files that need no rendering."""
    folder = DEPLOY / "kubernetes" / "base"
    (kustomization,) = documents(folder / "kustomization.yaml")
    return [each for name in kustomization["resources"] for each in documents(folder / name)]


def objects_of(source: str) -> list[dict[str, Any]]:
    """``base``, or an overlay by its name."""
    return base_objects() if source == "base" else list(rendered(source))


def one(objects: list[dict[str, Any]], kind: str, name: str = "triton") -> dict[str, Any]:
    """The only object of this kind and name."""
    found = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, f"expected one {kind} {name}, found {len(found)}"
    return found[0]


def container_of(deployment: dict[str, Any]) -> dict[str, Any]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container


def flag(arguments: list[str], name: str) -> str:
    """The value of ``--name=value``."""
    (value,) = [each.partition("=")[2] for each in arguments if each.startswith(f"--{name}=")]
    return value


def alert_rules() -> list[dict[str, Any]]:
    (rules,) = documents(MONITORING / "alerts.yaml")
    return [rule for group in rules["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    return json.loads((MONITORING / "grafana" / "triton.json").read_text())


def scaled_object() -> dict[str, Any]:
    folder = DEPLOY / "kubernetes" / "components" / "autoscaling"
    (found,) = documents(folder / "scaled-object.yaml")
    return found


def queries() -> Iterator[tuple[str, str]]:
    """Every PromQL expression, after the name of what asks it, with Grafana's variables set."""
    for rule in alert_rules():
        yield rule["alert"], rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$model", ".+")
            yield f"{panel['title']} {target['refId']}", expression
    yield "ScaledObject", scaled_object()["spec"]["triggers"][0]["metadata"]["query"]


def metrics_in(expression: str) -> set[str]:
    """Names of metrics: words that no bracket, operator or ``by`` explains."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(by|on|without) \([^)]*\)", "", expression)
    words = re.findall(r"\b[a-z_]\w*\b(?!\s*\()", bare)
    return set(words) - {"and", "or", "unless"}


def labels_in(expression: str) -> set[str]:
    """Names of labels, in selectors and in ``by (…)``."""
    selected = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\"", expression)
    grouped = re.findall(r"\bby \(([^)]*)\)", expression)
    return set(selected) | {name.strip() for names in grouped for name in names.split(",")}
