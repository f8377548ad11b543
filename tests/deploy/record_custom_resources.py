"""Record the schemas of the custom resources that the manifests use.

::

    python -m tests.deploy.record_custom_resources

Their source is Python models on PyPI, which cloudcoil's authors generate from the projects' own
custom resource definitions. The result, ``custom_resources.json``, is what the tests hold our
objects against. Fields that a definition does not name are refused, as ``kubectl`` does.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

RECORD = Path(__file__).with_name("custom_resources.json")
SOURCES = {
    "cloudcoil-models-keda==2.16.1.0": ("cloudcoil.models.keda.v1alpha1", "ScaledObject"),
    "cloudcoil-models-prometheus-operator==0.80.1.0": (
        "cloudcoil.models.prometheus_operator.v1",
        "PrometheusRule ServiceMonitor",
    ),
}
"""Package, its version being the project's; module; kinds."""

DUMP = """
import importlib, json, sys
module = importlib.import_module(sys.argv[1])
kinds = {name: getattr(module, name) for name in sys.argv[2:]}
json.dump({name: kind.model_json_schema(by_alias=True) for name, kind in kinds.items()}, sys.stdout)
"""


def strict(schema: Any) -> Any:
    """The schema without prose, and with no properties but those it names."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: {name: strict(item) for name, item in value.items()}
        if key in {"properties", "$defs"}
        else strict(value)
        for key, value in schema.items()
        if key not in {"title", "description", "default"}
    }
    if "properties" in kept:
        kept.setdefault("additionalProperties", False)
    return kept


def main() -> None:
    """Install the sources in an environment that is thrown away, and write the record."""
    record: dict[str, Any] = {"sources": list(SOURCES), "schemas": {}}
    with TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", *SOURCES], check=True)
        for module, kinds in SOURCES.values():
            command = [python, "-c", DUMP, module, *kinds.split()]
            dumped = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
            record["schemas"] |= strict(json.loads(dumped))
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(main())
