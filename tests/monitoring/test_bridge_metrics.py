"""What the bridge counts, seen from outside: how runs end, how long they wait, how the models of a cluster are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tests.bridge.reef import labels, pngs
from tests.support.bridge import BridgeProcess
from tests.support.cvat import Cvat, wait_for
from tests.support.kube_api import KubeApiServer
from tests.support.predictor import Predictor, numpy_card


def service(name: str, ready: str) -> dict[str, Any]:
    """An InferenceService whose condition Ready is `ready`."""
    status = {
        "observedGeneration": 1,
        "address": {"url": f"http://{name}.reef.svc.cluster.local"},
        "conditions": [{"type": "Ready", "status": ready}],
    }
    metadata = {"name": name, "generation": 1, "annotations": {"kelp.dev/card": f"kelp-card-{name}"}}
    return {"kind": "InferenceService", "metadata": metadata, "status": status}


def samples(bridge: BridgeProcess) -> dict[str, float]:
    """Each sample by its name and labels."""
    lines = [line for line in bridge.metrics().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_how_runs_end_is_counted_from_zero(folder: Path, cvat: Cvat, tmp_path: Path) -> None:
    completed = 'kelp_runs_ended_total{kind="detect",state="completed"}'
    with (
        Predictor(tmp_path / "predictor") as predictor,
        BridgeProcess(folder, cvat=cvat.server, v2_url=predictor.url) as bridge,
    ):
        before = samples(bridge)
        ended = {name: value for name, value in before.items() if name.startswith("kelp_runs_ended_total")}
        assert set(re.findall(r'state="(\w+)"', " ".join(ended))) == {
            "completed", "completed_with_errors", "failed", "cancelled", "skipped"
        }  # fmt: skip
        assert set(ended.values()) == {0.0}
        assert before['kelp_webhooks_total{kind="detect",outcome="accepted"}'] == 0
        project = cvat.project(labels())
        cvat.webhook(project, bridge.webhook_url(f"model_name={predictor.name}"))
        (job,) = cvat.task(project, pngs(1)).jobs
        cvat.start(job)
        bridge.wait_run(job=job)
        wait_for(lambda: samples(bridge)[completed] == 1)
        assert samples(bridge)['kelp_webhooks_total{kind="detect",outcome="accepted"}'] == 1


def test_runs_without_a_place_are_seen_to_wait(folder: Path, cvat: Cvat) -> None:
    age = 'kelp_queue_age_seconds{priority="interactive"}'
    with BridgeProcess(folder, cvat=cvat.server) as bridge:
        project = cvat.project(labels())
        cvat.webhook(project, bridge.webhook_url("model_name=away"))
        task = cvat.task(project, pngs(6), segment_size=1)
        for job in task.jobs:
            cvat.start(job)
        wait_for(lambda: samples(bridge).get(age, 0) > 0.5)
        first = samples(bridge)
        assert first['kelp_runs{state="queued"}'] > 0
        assert first['kelp_queue_age_seconds{priority="batch"}'] == 0
        wait_for(lambda: samples(bridge)[age] > first[age] + 0.5)


def test_a_clusters_models_are_told_with_what_they_hold(folder: Path, cvat: Cvat) -> None:
    gpus = {"requests": {"memory": "1Gi"}, "limits": {"nvidia.com/gpu": "2"}}
    with KubeApiServer() as cluster:
        for name, ready, card in (
            ("corals", "True", {"resources": gpus}),
            ("grid", "Unknown", {"scale": {"min": 1}, "resources": {"limits": {}}}),
        ):
            text = yaml.safe_dump(numpy_card(name, **card))
            cluster.put_map(f"kelp-card-{name}", {"card.yaml": text})
            cluster.put(service(name, ready))
        env = {"KUBECONFIG": str(cluster.kubeconfig(folder / "kube"))}
        with BridgeProcess(folder, cvat=cvat.server, v2_url="kubernetes", env=env) as bridge:
            wait_for(lambda: len([name for name in samples(bridge) if name.startswith("kelp_model_gpus{")]) == 2)
            told = samples(bridge)
            assert told['kelp_model_gpus{model="corals"}'] == 2
            assert told['kelp_model_gpus{model="grid"}'] == 0
            assert told['kelp_model_min_replicas{model="corals"}'] == 0
            assert told['kelp_model_min_replicas{model="grid"}'] == 1
            states = {name for name, value in told.items() if name.startswith("kelp_model_state{") and value}
            assert states == {
                'kelp_model_state{model="corals",state="asleep"}', 'kelp_model_state{model="grid",state="starting"}'
            }  # fmt: skip
            # A first cold start would be lost if the series began with it.
            wait_for(lambda: samples(bridge).get('kelp_cold_start_seconds_count{model="corals"}') == 0)
            cluster.delete("corals")
            wait_for(lambda: not [name for name in samples(bridge) if 'kelp_model_gpus{model="corals"' in name])
