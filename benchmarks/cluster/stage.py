"""The namespace that is measured in: models on one volume, a stock predictor beside them, a pod to ask from."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import yaml

from kelp.card import parse_card
from kelp.deploy import Images as RenderImages
from kelp.deploy import RenderOptions, deployed_weights, render, runtimes
from tests.cluster.support import cards, toolbox
from tests.cluster.support.cluster import RESTRICTED, Cluster, Object, wait_for
from tests.cluster.support.images import Images
from tests.cluster.support.shell import ROOT
from tests.cluster.support.volumes import Volumes

CLAIM = "weights"
INSIDE = ROOT / "tests" / "cluster" / "inside"
BURST = "autoscaling.knative.dev/target-burst-capacity"


class Stage:
    """`asleep` models: their window is Knative's shortest; `awake` ones keep a pod."""

    def __init__(self, cluster: Cluster, images: Images, volumes: Volumes, ns: str) -> None:
        self.cluster = cluster
        self.images = images
        self.volumes = volumes
        self.ns = ns

    def set_up(self) -> None:
        self.cluster.namespace(self.ns, RESTRICTED)
        self.volumes.add(self.ns)
        self.cluster.apply(self._claim(), *toolbox.toolbox_objects(self.images), *self._writer(), ns=self.ns)
        for name in ("toolbox", "writer"):
            self.cluster.wait_ready("pod", name, self.ns)
        self._put_weights()
        self.cluster.apply(*runtimes(self.options))
        models = [self.model("rest"), self.model("grpc", protocol="grpc")]
        awake = {"min": 1, "concurrency": 8}
        for name, protocol in (("warm-rest", "rest"), ("warm-grpc", "grpc")):
            models.append(self.model(name, protocol=protocol, scale=awake, burst="0"))
        models.append(self.model("activator", scale=awake, burst="-1"))
        for objects in models:
            self.cluster.apply(*objects)
        self.cluster.apply(self.stock(), ns=self.ns)
        for name in ("rest", "grpc", "warm-rest", "warm-grpc", "activator", "stock"):
            self.cluster.wait_ready("isvc", name, self.ns, 240)

    def close(self) -> None:
        self.cluster.remove_namespace(self.ns)
        self.volumes.close()

    @property
    def options(self) -> RenderOptions:
        return RenderOptions(
            namespace=self.ns,
            images=RenderImages(prefix=self.images.prefix, tag=self.images.tag),
            storage=f"pvc://{CLAIM}",
            gpu=False,
            runtime_scope="Namespace",
        )

    def model(self, name: str, *, burst: str = "", **changes: Any) -> list[Object]:
        """The objects of the shipped card as `name`. `burst`: -1 keeps the activator in the way, 0 takes it out."""
        card = parse_card(yaml.safe_dump(cards.card(name, **changes)), source=name)
        objects = render(card, self.options)
        for found in objects:
            if burst and found["kind"] == "InferenceService":
                found["metadata"]["annotations"][BURST] = burst
        return objects

    def stock(self) -> Object:
        """A stock kserve predictor with the same file, of the same size, as quick to fall asleep."""
        source = (INSIDE / "stock.py").read_text(encoding="utf-8")
        container = {
            "name": "kserve-container",
            "image": self.images.of("kelp-test"),
            "command": ["python", "-c", source],
            "args": ["--model_name", "stock", "/mnt/models"],
            "env": [{"name": "STORAGE_URI", "value": self.storage_uri}, {"name": "HOME", "value": "/tmp"}],
            "ports": [{"name": "http1", "containerPort": 8080, "protocol": "TCP"}],
            "readinessProbe": {"httpGet": {"path": "/v2/models/stock/ready", "port": 8080}, "successThreshold": 1},
            "resources": cards.SMALL,
            "securityContext": toolbox.SECURITY,
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        }
        annotations = {
            "serving.kserve.io/deploymentMode": "Serverless",
            "autoscaling.knative.dev/window": "6s",
            "autoscaling.knative.dev/initial-scale": "0",
        }
        return {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {
                "name": "stock",
                "annotations": annotations,
                "labels": {"networking.knative.dev/visibility": "cluster-local"},
            },
            "spec": {
                "predictor": {
                    "minReplicas": 0,
                    "maxReplicas": 1,
                    "containerConcurrency": 8,
                    "automountServiceAccountToken": False,
                    "containers": [container],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                }
            },
        }

    def script(self, name: str) -> Object:
        """A pod of Kelp's image that runs the bare script on Kelp's volume, once."""
        source = (INSIDE / "script.py").read_text(encoding="utf-8")
        made = toolbox.pod(
            name,
            self.images.of("kelp-yolo-onnx"),
            command=["python", "-c", source, "/mnt/models"],
            resources=cards.SMALL,
            volumes=[{"name": "weights", "persistentVolumeClaim": {"claimName": CLAIM, "readOnly": True}}],
            volumeMounts=[{"name": "weights", "mountPath": "/mnt/models", "readOnly": True, "subPath": self.folder}],
        )
        made["spec"]["restartPolicy"] = "Never"
        return made

    @property
    def folder(self) -> str:
        return self.storage_uri.rpartition("/")[2]

    @property
    def storage_uri(self) -> str:
        card = parse_card(yaml.safe_dump(cards.card("rest")), source="rest")
        return deployed_weights(card, self.options).weights.uri

    def host(self, name: str) -> str:
        return f"{name}.{self.ns}.svc.cluster.local"

    def pods(self, name: str) -> list[Object]:
        return self.cluster.pods(self.ns, f"serving.kserve.io/inferenceservice={name}")

    def wait_asleep(self, name: str) -> None:
        wait_for(lambda: not self.pods(name), f"{name} asleep", 240, 0.5)

    def inside(self, script: str, *arguments: Any, timeout_s: float = 400.0) -> Any:
        return toolbox.run_inside(self.cluster, self.ns, script, *map(str, arguments), timeout_s=timeout_s)

    def _claim(self) -> Object:
        spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        if self.volumes.storage_class:
            spec["storageClassName"] = self.volumes.storage_class
        return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": CLAIM}, "spec": spec}

    def _writer(self) -> list[Object]:
        return [
            toolbox.pod(
                "writer",
                self.images.of("kelp-test"),
                command=["sleep", "86400"],
                volumes=[{"name": "weights", "persistentVolumeClaim": {"claimName": CLAIM}}],
                volumeMounts=[{"name": "weights", "mountPath": "/weights"}],
            )
        ]

    def _put_weights(self) -> None:
        """What `kelp deploy` does, without a platform."""
        card = parse_card(yaml.safe_dump(cards.card("rest")), source="rest")
        deployed = deployed_weights(card, self.options)
        assert deployed.manifest is not None
        assert deployed.local is not None
        files = {"kelp-weights.json": deployed.manifest}
        files |= {deployed.weights.files[role].file: Path(path).read_bytes() for role, path in deployed.local.items()}
        packed = json.dumps({name: base64.b64encode(content).decode() for name, content in files.items()})
        write = (
            "import base64, json, os, sys\n"
            "os.makedirs(sys.argv[1], exist_ok=True)\n"
            "for name, content in json.load(sys.stdin).items():\n"
            "    open(f'{sys.argv[1]}/{name}', 'wb').write(base64.b64decode(content))\n"
        )
        self.cluster.exec(
            "writer", self.ns, "python", "-c", write, f"/weights/{self.folder}", stdin=packed, container="main"
        )
