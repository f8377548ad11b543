"""Dashboard and alerts: whole, asking only for what a live Triton has, and explained."""

import json
import math
import re
import shutil
import subprocess
import time
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml
from tritonclient.grpc import InferenceServerClient

from server import free_ports
from tests.deploy.conftest import transcribe
from tests.deploy.support import (
    GPU_LABELS,
    GPU_METRICS,
    MONITORING,
    PROJECT,
    PROMETHEUS_LABELS,
    PROMETHEUS_METRICS,
    alert_rules,
    dashboard,
    documents,
    labels_in,
    metrics_in,
    queries,
)

OPERATIONS = PROJECT / "docs" / "operations.md"
CASES = PROJECT / "tests" / "deploy" / "alert_cases.yaml"
QUERIES = dict(queries())
ALERTS = [rule["alert"] for rule in alert_rules()]
QUESTIONS = [name for name in QUERIES if name not in ALERTS]
SCRAPES_TIMEOUT_S = 45.0


def test_prometheus_and_its_operator_get_the_same_alerts():
    (rule,) = documents(MONITORING / "prometheus-rule.yaml")
    (rules,) = documents(MONITORING / "alerts.yaml")
    assert rule["spec"] == rules, "copy the groups of alerts.yaml into prometheus-rule.yaml"


def test_every_alert_says_what_happened_how_bad_it_is_and_where_to_read_on():
    headings = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", OPERATIONS.read_text(), re.MULTILINE)
    }
    for rule in alert_rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        file, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert file == "docs/operations.md"
        assert anchor == rule["alert"].lower()
        assert anchor in headings


def test_the_dashboard_is_whole():
    panels = dashboard()["panels"]
    identifiers = [panel["id"] for panel in panels]
    assert len(set(identifiers)) == len(identifiers)
    places = set()
    for panel in panels:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        for target in panel["targets"]:
            assert target["expr"]
            assert target["legendFormat"]
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & places, f"{panel['title']} lies on another panel"
        places |= cells


def test_the_dashboard_uses_the_variables_that_it_has():
    document = dashboard()
    names = {variable["name"] for variable in document["templating"]["list"]}
    panels = json.dumps(document["panels"])
    used = set(re.findall(r"\$\{?(\w+)", panels)) - {"__rate_interval"}
    assert used == names


def test_names_are_found_in_expressions():
    expression = 'sum by (a, b) (rate(x_us{c="1",d=~"2"}[5m])) / clamp_min(up, 1e-3) > 0 and y == 0'
    assert metrics_in(expression) == {"x_us", "up", "y"}
    assert labels_in(expression) == {"a", "b", "c", "d"}


@pytest.mark.parametrize("query", QUERIES)
def test_a_live_triton_has_what_is_asked_for(query, live_metrics):
    known = live_metrics.keys() | PROMETHEUS_METRICS | GPU_METRICS
    names = metrics_in(QUERIES[query])
    assert names
    assert names <= known
    labels = set().union(*(live_metrics.get(name, GPU_LABELS) for name in names))
    assert labels_in(QUERIES[query]) <= labels | PROMETHEUS_LABELS


def test_the_queue_alert_comes_before_the_queue_is_full(triton):
    (expression,) = [r["expr"] for r in alert_rules() if r["alert"] == "TritonQueueFilling"]
    threshold = float(expression.rpartition(">")[2])
    with InferenceServerClient(triton.grpc_url) as client:
        limits = [
            client.get_model_config(
                f"demo_{step}"
            ).config.dynamic_batching.default_queue_policy.max_queue_size
            for step in ("preprocessor", "encoder", "decoder")
        ]
    assert 0 < threshold < min(limits)


def test_alerts_sound_when_they_must_and_only_then(tmp_path):
    shutil.copy(MONITORING / "alerts.yaml", tmp_path)
    cases = shutil.copy(CASES, tmp_path)
    done = subprocess.run(
        ["promtool", "test", "rules", cases], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case():
    (cases,) = documents(CASES)
    sounding = {
        case["alertname"]
        for test in cases["tests"]
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert sounding == set(ALERTS)


def test_the_configuration_of_prometheus_is_valid():
    command = ["promtool", "check", "config", MONITORING / "prometheus.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def prometheus(triton, tmp_path_factory):
    """Ask a real Prometheus, configured as compose's, that has scraped the live Triton."""
    folder = tmp_path_factory.mktemp("prometheus")
    (configuration,) = documents(MONITORING / "prometheus.yaml")
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (job,) = configuration["scrape_configs"]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{triton.options.metrics_port}"]}]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    shutil.copy(MONITORING / "alerts.yaml", folder)
    address = f"127.0.0.1:{free_ports()['http_port']}"
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]

    def ask(path, **parameters):
        url = f"http://{address}/api/v1/{path}?{urlencode(parameters)}"
        with urlopen(url, timeout=5) as response:
            return json.loads(response.read())["data"]

    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            _work_until_seen(triton, ask)
            yield ask
        finally:
            process.terminate()


def _work_until_seen(triton, ask):
    """Send requests until Prometheus has seen some of them come in."""
    deadline_s = time.monotonic() + SCRAPES_TIMEOUT_S
    seen = []
    while not (seen and float(seen[0]["value"][1]) > 0):
        assert time.monotonic() < deadline_s, "Prometheus did not scrape Triton"
        transcribe(triton.grpc_url)
        time.sleep(0.5)
        try:
            seen = ask("query", query="sum(increase(nv_inference_request_success[1m]))")["result"]
        except URLError:  # it has not started to listen
            continue


@pytest.mark.parametrize("name", QUESTIONS)
def test_prometheus_answers_every_question(name, prometheus):
    expression = QUERIES[name]
    result = prometheus("query", query=expression)["result"]
    if metrics_in(expression) & GPU_METRICS:
        assert result == []  # no GPU here: that it was understood is all
    elif name == "ScaledObject":
        ((_, value),) = [series["value"] for series in result]  # KEDA takes one number
        assert math.isfinite(float(value))
    else:
        assert result
        assert any(math.isfinite(float(series["value"][1])) for series in result)


def test_prometheus_evaluates_all_alerts_and_none_sounds(prometheus):
    deadline_s = time.monotonic() + 10
    while True:
        rules = [rule for group in prometheus("rules")["groups"] for rule in group["rules"]]
        if all(rule["health"] != "unknown" for rule in rules) or time.monotonic() > deadline_s:
            break
        time.sleep(0.5)
    assert {rule["name"]: rule["health"] for rule in rules} == dict.fromkeys(ALERTS, "ok")
    assert [rule["name"] for rule in rules if rule["state"] != "inactive"] == []
