"""compose.yaml: what the Compose specification allows, and listening no further than is meant."""

import re

import pytest
from compose_spec import PyCompose

from tests.deploy.support import DEPLOY, base_objects, container_of, documents, flag, one

FILE = DEPLOY / "compose.yaml"
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
UNIT_S = {"s": 1, "m": 60}


@pytest.fixture(scope="module")
def text():
    """The file with the default of each variable, as with an empty environment."""
    replaced = VARIABLE.sub(r"\2", FILE.read_text())
    assert "${" not in replaced, "a variable has no default"
    return replaced


@pytest.fixture(scope="module")
def services(text):
    return PyCompose.from_yaml(text).to_dict()["services"]


def seconds(duration):
    return int(duration[:-1]) * UNIT_S[duration[-1]]


def test_it_is_a_compose_file_whose_references_hold(text):
    PyCompose.from_yaml(text).validate()


@pytest.mark.parametrize(
    ("good", "bad"), [("healthcheck:", "healthchek:"), ("count: all", "counts: all")]
)
def test_the_checker_refuses_what_compose_would(text, good, bad):
    assert good in text
    with pytest.raises(ValueError, match=bad[:-1].split(":", maxsplit=1)[0]):
        PyCompose.from_yaml(text.replace(good, bad))


def test_every_variable_is_explained_at_the_top():
    text = FILE.read_text()
    preamble = text.partition("\nname:")[0]
    unexplained = {name for name, _ in VARIABLE.findall(text)} - set(re.findall(r"\w+", preamble))
    assert unexplained == set()


def test_only_grpc_and_grafana_are_published_and_only_on_this_machine(text):
    published = re.findall(r"^ +- (\S+):(\d+):(\d+)$", text, re.MULTILINE)
    assert published == [("127.0.0.1", "8001", "8001"), ("127.0.0.1", "3000", "3000")]
    (file,) = documents(FILE)
    assert [name for name, service in file["services"].items() if "ports" in service] == [
        "triton",
        "grafana",
    ]


def test_every_file_mounted_is_there_and_read_only(text):
    mounts = re.findall(r"^ +- (\.\S+?):(\S+?)(?::(\w+))?$", text, re.MULTILINE)
    assert len(mounts) == 6
    for source, _, mode in mounts:
        assert (FILE.parent / source).exists(), source
        assert mode == "ro", source


def test_every_named_volume_is_declared(text):
    (file,) = documents(FILE)
    assert set(re.findall(r"^ +- (\w+):/", text, re.MULTILINE)) == file["volumes"].keys()


def test_prometheus_and_grafana_find_their_files_where_they_are_mounted(text):
    (prometheus,) = documents(DEPLOY / "monitoring" / "prometheus.yaml")
    folder = "/etc/prometheus/"
    assert all(f":{folder}{name}:ro" in text for name in prometheus["rule_files"])
    (datasource,) = documents(DEPLOY / "monitoring" / "grafana" / "datasource.yaml")
    assert datasource["datasources"][0]["url"] == "http://prometheus:9090"
    (provider,) = documents(DEPLOY / "monitoring" / "grafana" / "dashboards.yaml")
    assert f":{provider['providers'][0]['options']['path']}/triton.json:ro" in text


def test_prometheus_scrapes_the_service_by_its_name(services):
    (prometheus,) = documents(DEPLOY / "monitoring" / "prometheus.yaml")
    (job,) = prometheus["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    host, _, port = target.partition(":")
    assert host in services
    assert port == "8002"


def test_no_service_runs_with_more_rights_than_it_needs(services):
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert services["triton"]["user"] == "1000:1000"


def test_docker_waits_longer_than_triton_drains():
    (file,) = documents(FILE)
    triton = file["services"]["triton"]
    assert seconds(triton["stop_grace_period"]) > int(flag(triton["command"], "exit-timeout-secs"))


def test_compose_and_kubernetes_start_the_same_server():
    """But for where the models are, and what only a fleet of servers needs."""
    (file,) = documents(FILE)
    container = container_of(one(base_objects(), "Deployment"))
    assert VARIABLE.sub(r"\2", file["services"]["triton"]["image"]) == container["image"]
    different = set(file["services"]["triton"]["command"]) ^ set(container["args"])
    names = {argument.partition("=")[0] for argument in different}
    assert names == {"--model-repository", "--grpc-max-connection-age"}
