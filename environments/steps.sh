# Sourced: what the scripts of the environments share. With --dry-run they print what they would do, and do none of it.
# shellcheck shell=bash
DRY_RUN=''

step() { printf '\n== %s\n' "$*"; }
say() { printf '   %s\n' "$*"; }
fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# The comment at the head of the script is its help.
usage() {
  awk 'NR > 1 && !/^#/ {exit} NR > 1 {sub(/^# ?/, ""); print}' "$0"
  exit "${1:-0}"
}

# run COMMAND…: says it, and does it.
run() {
  printf '+ %s\n' "$(quoted "$@")"
  [ -n "$DRY_RUN" ] || "$@"
}

# run_with [--retry SECONDS] TEXT COMMAND…: the same, with TEXT on its standard input.
run_with() {
  local patience=0 text
  [ "$1" = --retry ] && patience=$2 && shift 2
  text=$1
  shift
  printf '+ %s <<END\n%s\nEND\n' "$(quoted "$@")" "$text"
  [ -n "$DRY_RUN" ] || retry "$patience" fed "$text" "$@"
}

fed() {
  local text=$1
  shift
  "$@" <<<"$text"
}

# quoted WORD…: as one would type them.
quoted() {
  local word words=()
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]] || word=${word@Q}
    words+=("$word")
  done
  echo "${words[*]}"
}

# retry SECONDS COMMAND…: until it succeeds; for what a webhook refuses until it is up.
retry() {
  local until=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$until" ] || return 1
    sleep 3
  done
}

# need PROGRAM WHAT-FOR: it is on this machine. A dry run only tells.
need() {
  command -v "$1" >/dev/null && return
  [ -n "$DRY_RUN" ] && say "needs $1 ($2), which is not on this machine" && return
  fail "needs $1 ($2)"
}

# at_least HAVE WANT: versions, compared number by number.
at_least() { [ "$(printf '%s\n%s\n' "${2#v}" "${1#v}" | sort -V | head -n 1)" = "${2#v}" ]; }
