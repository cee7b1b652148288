# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# For the scripts that run tests in other ways than `make check`: jobs side by side, one per core.
#
#     scratch=$(mktemp -d)      set before this file is sourced; removed at the end
#     job NAME COMMAND...       runs COMMAND as soon as a core is free, with its output in $scratch/NAME.log
#     wait_jobs                 until all have ended
#     sum_up                    prints the total, and is false if anything failed
#
# Every line of a job's output that starts with "ok: " or "FAILED: " counts as a test; a job that ends with an error
# without a "FAILED: " fails too. The output of jobs that fail is shown.

cores=$(nproc 2>/dev/null || echo 1)
: >"${scratch:?}/verdicts"

clean_up() {
    trap - EXIT
    jobs -p | xargs -r kill 2>/dev/null
    wait
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

run_job() {
    local name=$1 log=$scratch/${1//[ \/]/-}.log started=$SECONDS status=0
    shift
    "$@" >"$log" 2>&1 </dev/null || status=$?
    if [ "$status" -ne 0 ] && ! grep -q '^FAILED: ' "$log"; then
        echo "FAILED: $name: exit status $status" >>"$log"
    fi
    grep -E '^(ok|FAILED): ' "$log" >>"$scratch/verdicts"
    if grep -q '^FAILED: ' "$log"; then
        # Which ones failed may stand far above the end.
        grep -vE '^(ok|FAILED): ' "$log" | tail -n 100
        grep '^FAILED: ' "$log"
        echo "$name: FAILED after $((SECONDS - started)) s"
    else
        grep -E '^SKIPPED' "$log"
        echo "$name: $(grep -c '^ok: ' "$log") ok in $((SECONDS - started)) s"
    fi
}

job() {
    while [ "$(jobs -rp | wc -l)" -ge "$cores" ]; do
        wait -n
    done
    run_job "$@" &
}

wait_jobs() {
    wait
}

sum_up() {
    local failed passed
    passed=$(grep -c '^ok: ' "$scratch/verdicts")
    failed=$(grep -c '^FAILED: ' "$scratch/verdicts")
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

# For the jobs themselves.

# verdict GOT WANTED WHAT
verdict() {
    if [ "$1" = "$2" ]; then
        echo "ok: $3"
    else
        echo "FAILED: $3: $1, not $2"
    fi
}

# expect WHAT COMMAND...: it must succeed.
expect() {
    local what=$1 status=0
    shift
    "$@" || status=$?
    verdict "exit status $status" 'exit status 0' "$what"
}

# expect_checks WHAT COMMAND...: a program of Check's must succeed, and have run tests.
expect_checks() {
    local what=$1 status=0 checks output
    shift
    output=$(mktemp "$scratch/checks.XXXXXX") || return
    "$@" >"$output" 2>&1 || status=$?
    cat "$output"
    checks=$(sed -n 's/^[0-9]*%: Checks: \([0-9]*\),.*/\1/p' "$output")
    verdict "exit status $status" 'exit status 0' "$what: ${checks:-no} tests"
    [ "${checks:-0}" -gt 0 ] || echo "FAILED: $what: it ran no test"
}
