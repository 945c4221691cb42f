#!/usr/bin/env bash
# Builds Kelp's images, all of images/Dockerfile.
#   images/build.sh [--prefix P] [--tag T] [--base IMAGE] [--push] [--dry-run] [IMAGE...]
#   images/build.sh --list   each image with its target, its requirements and its rooms
#   IMAGE: kelp-bridge, kelp-yolo-onnx, kelp-yolo, kelp-coralscop, kelp-up, kelp-up-gpu; without any: those without
#   torch (CUDA's 5 GB)
# A registry goes into the prefix: --prefix registry.example.com/team/. The tag is kelp.__version__ unless given.
# What was pushed is printed as "IMAGE: sha256:…", for the chart's values images.digests.
# What else `docker build` should get stands in DOCKER_BUILD_ARGS, the program in DOCKER (docker).
set -euo pipefail
cd "$(dirname "$0")/.."

# image: target of the Dockerfile, requirements/NAME.txt, rooms of our code
declare -A table=(
  [kelp-bridge]="bridge image-bridge kelp,bridge"
  [kelp-yolo-onnx]="predictor yolo-onnx kelp,predictors"
  [kelp-yolo]="predictor yolo kelp,predictors"
  [kelp-coralscop]="predictor coralscop kelp,predictors"
  [kelp-up]="up image-up kelp,bridge,predictors"
  [kelp-up-gpu]="up image-up-gpu kelp,bridge,predictors"
)
default=(kelp-bridge kelp-yolo-onnx kelp-up)

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' kelp/__init__.py)
prefix='' tag=$version base='' push='' dry='' images=()
while [ $# -gt 0 ]; do
  case $1 in
    --prefix) prefix=${2?--prefix needs a value} && shift ;;
    --tag) tag=${2:?--tag needs a value} && shift ;;
    --base) base=${2:?--base needs a value} && shift ;;
    --push) push=yes ;;
    --dry-run) dry=yes ;;
    --list) for image in "${!table[@]}"; do echo "$image ${table[$image]}"; done | sort && exit ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0" && exit ;;
    *)
      if [ -z "${table[$1]:-}" ]; then
        echo "build.sh: no image $1; there are: $(printf '%s\n' "${!table[@]}" | sort | xargs)" >&2
        exit 2
      fi
      images+=("$1")
      ;;
  esac
  shift
done
[ ${#images[@]} -gt 0 ] || images=("${default[@]}")

run() {
  echo "+ $*" >&2
  [ -n "$dry" ] || "$@"
}

revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain -- kelp bridge predictors requirements images LICENSE 2>/dev/null)" ] || revision+=-dirty
read -ra more <<<"${DOCKER_BUILD_ARGS:-}"
for image in "${images[@]}"; do
  read -r target component rooms <<<"${table[$image]}"
  run "${DOCKER:-docker}" build -f images/Dockerfile --target "$target" -t "$prefix$image:$tag" \
    ${base:+--build-arg "BASE=$base"} --build-arg "COMPONENT=$component" --build-arg "ROOMS=${rooms//,/ }" \
    --build-arg "NAME=$image" --build-arg "VERSION=$version" --build-arg "REVISION=$revision" "${more[@]}" .
  [ -n "$push" ] || continue
  run "${DOCKER:-docker}" push "$prefix$image:$tag" >&2
  [ -n "$dry" ] || "${DOCKER:-docker}" image inspect -f "$image: {{index .RepoDigests 0}}" "$prefix$image:$tag" | sed 's/: .*@/: /'
done
