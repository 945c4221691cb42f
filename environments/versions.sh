# Sourced: the versions that the scripts install, in one place. KServe 0.17 names these as the ones it was tested with.
# shellcheck shell=bash disable=SC2034
KIND_VERSION=0.30.0
KIND_NODE=kindest/node:v1.34.0
KUBERNETES_MINIMUM=1.33
CERT_MANAGER_VERSION=1.17.0
ISTIO_VERSION=1.27.1
KNATIVE_VERSION=1.21.1
KSERVE_VERSION=0.17.0
# Where the releases' manifests are: a mirror of that host for machines that do not reach it.
RELEASES=${KELP_RELEASES:-https://github.com}
