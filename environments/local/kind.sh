# Sourced: what the scripts know of kind.
# shellcheck shell=bash disable=SC2034
NODE_PORT=31080 NODE_TLS_PORT=31443
# The gateway as CVAT calls it: the bridge's name on a cluster.
ALIAS=bridge.kelp

# clusters: the names of kind's clusters on this machine; none where there is no kind.
clusters() { command -v kind >/dev/null && kind get clusters 2>/dev/null || true; }

have_image() { command -v docker >/dev/null && docker image inspect "$1" >/dev/null 2>&1; }

# kind_cluster PORT TLS-PORT: the configuration of a cluster whose gateway is reached on these ports of this machine only.
kind_cluster() {
  cat <<END
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
  - role: control-plane
    extraPortMappings:
      - {containerPort: $NODE_PORT, hostPort: $1, listenAddress: 127.0.0.1}
      - {containerPort: $NODE_TLS_PORT, hostPort: $2, listenAddress: 127.0.0.1}
END
}
