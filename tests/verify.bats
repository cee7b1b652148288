#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# `q8k verify` finds wrong backends. Needs: Q8K (the command), Q8K_TEST_DATA (this folder), Q8K_BACKEND_DIR with the
# scalar plugin, and a C compiler (CC).

bats_require_minimum_version 1.5.0

setup() {
    : "${Q8K:?}" "${Q8K_TEST_DATA:?}" "${Q8K_BACKEND_DIR:?}"
    cd "$BATS_TEST_TMPDIR" || exit 1
    cp "$Q8K_BACKEND_DIR/libq8k-scalar.so" .
    export Q8K_BACKEND_DIR=$PWD
}

# wrong KIND: builds the backend "wrong" with one of its errors and runs verify on it, which must fail.
wrong() {
    # shellcheck disable=SC2086
    ${CC:-cc} ${CFLAGS:-} -fPIC -shared -DWRONG_KIND="$1" -I"$Q8K_TEST_DATA/../include" -o libq8k-wrong.so \
        "$Q8K_TEST_DATA/wrong_backend.c" -ldl
    run -1 --separate-stderr "$Q8K" verify --backend wrong
    [[ $output == *"PROMISES ARE BROKEN"* ]]
    [ "$(grep -c DIFFERENT <<<"$output")" -eq 3 ]
    # shellcheck disable=SC2154
    [ "$(wc -l <<<"$stderr")" -eq 3 ]
    [[ $stderr == "q8k verify: wrong, q5_k, float: "*"random case, batch 17, weight row 0, batch row 0: "* ]]
}

@test "one bit" {
    wrong 1
    [[ $stderr == *" values with other bits, "* ]]
}

@test "NaN where the exact product is finite" {
    wrong 2
    [ "$(grep -c ' inf BROKEN' <<<"$output")" -eq 3 ]
    [[ $stderr == *"batch row 0: nan (0x7fc00000), not "* ]]
}

@test "an output that is half as large again" {
    wrong 3
    [ "$(grep -c ' BROKEN$\| BROKEN ' <<<"$output")" -eq 3 ]
}

@test "an output that is not written" {
    wrong 4
    [[ $stderr == *"batch row 0: -12345 (0x"* ]]
}

@test "several backends: what is left out is told, the selected one comes first" {
    printf 'no plugin' >libq8k-scalar.so
    run -0 "$Q8K" verify
    [[ $output == *"left out: scalar: "* ]]
    [[ $output == *"All promises are kept."* ]]
}
