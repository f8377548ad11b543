"""Kubernetes manifests: their schemas, what refers to what, and the order of stopping."""

import json

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.deploy.record_custom_resources import RECORD
from tests.deploy.support import (
    DEPLOY,
    MONITORING,
    OVERLAYS,
    base_objects,
    container_of,
    documents,
    flag,
    objects_of,
    one,
    rendered,
    scaled_object,
)

KUBERNETES = ("1.25", "1.37")  # the oldest and the newest that kubernetes-validate knows
SCHEMAS = json.loads(RECORD.read_text())["schemas"]
SOURCES = ("base", *OVERLAYS)
# Pods that the restricted Pod Security Standard refuses would never start.
RESTRICTED_VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}


@pytest.fixture(params=SOURCES)
def objects(request):
    return objects_of(request.param)


@pytest.fixture
def deployment(objects):
    return one(objects, "Deployment")


@pytest.fixture
def pod(deployment):
    return deployment["spec"]["template"]["spec"]


@pytest.fixture
def container(deployment):
    return container_of(deployment)


def custom_resources():
    return [
        *documents(MONITORING / "service-monitor.yaml"),
        *documents(MONITORING / "prometheus-rule.yaml"),
        scaled_object(),
    ]


def port_names(container):
    return {port["name"] for port in container["ports"]}


def selected(selector, labels):
    return selector.items() <= labels.items()


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.yaml")), ids=lambda path: path.name)
def test_every_file_is_yaml(path):
    assert documents(path)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_has_all_objects_of_the_base_and_the_components(overlay):
    kinds = [each["kind"] for each in rendered(overlay)]
    missing = {each["kind"] for each in (*base_objects(), *custom_resources())} - set(kinds)
    assert missing == ({"PersistentVolumeClaim"} if overlay == "object-store" else set())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_is_in_one_namespace(overlay):
    objects = list(rendered(overlay))
    namespaces = {
        each["metadata"].get("namespace") for each in objects if each["kind"] != "Namespace"
    }
    assert namespaces == {one(objects, "Namespace", "speech")["metadata"]["name"]}


@pytest.mark.parametrize("version", KUBERNETES)
def test_objects_follow_the_schemas_of_kubernetes(objects, version):
    for each in objects:
        if each["kind"] not in SCHEMAS:
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("resource", custom_resources(), ids=lambda resource: resource["kind"])
def test_custom_resources_follow_their_definitions(resource):
    Draft202012Validator(SCHEMAS[resource["kind"]]).validate(resource)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("ServiceMonitor", "endpoints:", "endpoint:"),
        ("ServiceMonitor", "interval: 15s", "interval: 15 s"),
        ("PrometheusRule", "expr:", "expression:"),
        ("PrometheusRule", "for: 1m", "for: a minute"),
        ("ScaledObject", "minReplicaCount: 2", "minReplicas: 2"),
        ("ScaledObject", 'threshold: "100"', "threshold: 100"),
    ],
)
def test_the_recorded_definitions_refuse_mistakes(kind, good, bad):
    files = [*MONITORING.glob("*.yaml"), *(DEPLOY / "kubernetes").rglob("scaled-object.yaml")]
    (text,) = [t for t in (path.read_text() for path in files) if f"kind: {kind}\n" in t]
    assert good in text
    resource = yaml.safe_load(text.replace(good, bad))
    assert not Draft202012Validator(SCHEMAS[kind]).is_valid(resource)


def test_selectors_find_the_pods(objects, deployment):
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert selected(deployment["spec"]["selector"]["matchLabels"], labels)
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        spec = one(objects, kind)["spec"]
        selector = spec.get("selector") or spec["podSelector"]
        assert selector["matchLabels"], kind  # an empty one selects every pod of the namespace
        assert selected(selector["matchLabels"], labels), kind
    for name in ("triton", "triton-metrics"):
        assert selected(one(objects, "Service", name)["spec"]["selector"], labels)
    (spread,) = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert selected(spread["labelSelector"]["matchLabels"], labels)


def test_ports_by_name_exist(objects, container):
    names = port_names(container)
    for service in ("triton", "triton-metrics"):
        assert {
            port["targetPort"] for port in one(objects, "Service", service)["spec"]["ports"]
        } < names
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] in names
    allowed = [
        port["port"]
        for rule in one(objects, "NetworkPolicy")["spec"]["ingress"]
        for port in rule["ports"]
    ]
    assert allowed == ["grpc", "metrics"]  # HTTP manages models


def test_ports_are_those_that_triton_listens_on(container):
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8001, "http": 8000, "metrics": 8002}
    assert not [argument for argument in container["args"] if "port" in argument]


def test_clients_get_the_address_of_every_pod(objects):
    assert one(objects, "Service")["spec"]["clusterIP"] == "None"


def test_volumes_and_mounts_agree(objects, pod, container):
    mounted = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounted.keys() == {volume["name"] for volume in pod["volumes"]}
    assert {"/dev/shm", "/tmp"} <= {mount["mountPath"] for mount in mounted.values()}  # noqa: S108
    for volume in pod["volumes"]:
        assert (volume.keys() - {"name"}) <= RESTRICTED_VOLUMES
        if "persistentVolumeClaim" in volume:
            one(objects, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
            assert mounted[volume["name"]]["readOnly"]


def test_models_come_from_where_something_is(container):
    variables = {variable["name"]: variable.get("value") for variable in container["env"]}
    repository = variables["MODEL_REPOSITORY"]
    assert flag(container["args"], "model-repository") == "$(MODEL_REPOSITORY)"
    if repository.startswith("s3://"):
        assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= variables.keys()
        assert variables["AWS_SECRET_ACCESS_KEY"] is None  # from a Secret, not in the manifest
    else:
        assert repository in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_only_with_an_object_store_triton_may_call_out(objects, container):
    egress = one(objects, "NetworkPolicy")["spec"]["egress"]
    variables = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert bool(egress) == variables["MODEL_REPOSITORY"].startswith("s3://")


def test_the_pod_meets_the_restricted_pod_security_standard(objects, pod, container):
    labels = one(objects, "Namespace", "speech")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == 1000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod["automountServiceAccountToken"]


def test_gpus_are_asked_for_and_bounded(container):
    resources = container["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == resources["requests"]["nvidia.com/gpu"] == 1
    assert {"cpu", "memory"} <= resources["limits"].keys()


def test_a_pod_is_left_by_its_clients_before_it_stops_and_stops_before_it_is_killed(pod, container):
    program, pre_stop_s = container["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    connection_s = int(flag(container["args"], "grpc-max-connection-age")) / 1000
    exit_s = int(flag(container["args"], "exit-timeout-secs"))
    assert int(pre_stop_s) > 1.1 * connection_s  # gRPC lets an age vary by a tenth
    assert pod["terminationGracePeriodSeconds"] > int(pre_stop_s) + exit_s


def test_a_rollout_waits_longer_than_models_may_load(deployment, container):
    probe = container["startupProbe"]
    loading_s = probe["periodSeconds"] * probe["failureThreshold"]
    assert deployment["spec"]["progressDeadlineSeconds"] > loading_s


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_autoscaler_scales_the_deployment_and_nobody_else_does(overlay):
    objects = list(rendered(overlay))
    scaled = one(objects, "ScaledObject")["spec"]
    deployment = one(objects, "Deployment", scaled["scaleTargetRef"]["name"])
    assert "replicas" not in deployment["spec"]
    # One pod may be evicted at any time, and one must be left.
    assert scaled["minReplicaCount"] > one(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"]
    assert scaled["maxReplicaCount"] > scaled["minReplicaCount"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_prometheus_finds_the_metrics_and_calls_the_job_triton(overlay):
    objects = list(rendered(overlay))
    monitor = one(objects, "ServiceMonitor")["spec"]
    services = [
        each
        for each in objects
        if each["kind"] == "Service"
        and selected(monitor["selector"]["matchLabels"], each["metadata"]["labels"])
    ]
    assert [each["metadata"]["name"] for each in services] == ["triton-metrics"]
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in services[0]["spec"]["ports"]}
    assert services[0]["metadata"]["labels"][monitor["jobLabel"]] == "triton"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_grafanas_sidecar_gets_the_dashboard(overlay):
    config = one(list(rendered(overlay)), "ConfigMap", "triton-dashboard")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    file = MONITORING / "grafana" / "triton.json"
    assert json.loads(config["data"][file.name]) == json.loads(file.read_text())
