# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# For the scripts that hold two lists against each other. They end with [ "$failures" -eq 0 ].
failures=0

scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT

# fail LINE...: counts and tells it.
fail() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}

# same WHAT FILE WHAT FILE: both files must hold the same lines, and at least one.
same() {
    if [ -s "$2" ] && diff "$2" "$4" >"$scratch/diff"; then
        echo "ok: $(wc -l <"$2") in $1 and in $3"
    else
        fail "$1 (<) and $3 (>) differ, or have nothing:"
        cat "$scratch/diff"
    fi
}
