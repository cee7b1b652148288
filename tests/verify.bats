#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# `q8k verify` finds wrong backends. Needs: Q8K (the command), Q8K_TEST_DATA (this folder), Q8K_BACKEND_DIR with the
# scalar plugin, and a C compiler (CC).

bats_require_minimum_version 1.5.0

setup() {
    : "${Q8K:?}" "${Q8K_TEST_DATA:?}" "${Q8K_BACKEND_DIR:?}"
    # shellcheck source-path=SCRIPTDIR source=gguf.bash
    . "$Q8K_TEST_DATA/gguf.bash"
    cd "$BATS_TEST_TMPDIR" || exit 1
    cp "$Q8K_BACKEND_DIR/libq8k-scalar.so" .
    export Q8K_BACKEND_DIR=$PWD
}

# build_wrong KIND: the backend "wrong", with one of its errors.
build_wrong() {
    # shellcheck disable=SC2086
    ${CC:-cc} ${CFLAGS:-} -fPIC -shared -DWRONG_KIND="$1" -I"$Q8K_TEST_DATA/../include" -o libq8k-wrong.so \
        "$Q8K_TEST_DATA/wrong_backend.c" -ldl
}

# wrong KIND: runs verify on it, which must fail.
wrong() {
    build_wrong "$1"
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

# A model of one tensor in each format, and two that libq8k does not multiply.
make_model() {
    local format real=$Q8K_TEST_DATA/real/projection.npy
    { first_fields 6 0; for ((i = 0; i < 4; i++)); do tensor blk.$i.weight 0 $((i * 786432)) 256 768; done
      tensor norm 0 3145728 256; tensor ids 26 3146752 256 2; } >floats.gguf
    pad floats.gguf 32 0
    { for _ in {1..4}; do tail -c +129 "$real"; done; head -c 3072 /dev/zero; } >>floats.gguf
    i=0
    for format in q4_k q5_k q6_k q8_k; do
        "$Q8K" quantize floats.gguf model.gguf --format $format --tensor blk.$i.weight --quiet
        mv model.gguf floats.gguf
        i=$((i + 1))
    done
    mv floats.gguf model.gguf
}

@test "a file: the errors of every tensor in every precision" {
    make_model
    run -0 --separate-stderr "$Q8K" verify model.gguf --seed 3
    # shellcheck disable=SC2154
    [ -z "$stderr" ]
    [[ $output == *", seed 3, model.gguf, on scalar builtin"* ]]
    grep -q '^4 tensors, 2 left out\.' <<<"$output"
    [[ $output == *"All promises are kept."* ]]
    # What 24, 12 and 7 bits of activations come to.
    awk '/^blk\.[0-3]\.weight +q[4568]_k +768x256 / && $NF == "same" {
             if ($4 > 0 && $4 < 1e-6 && $5 < 5e-6 && $6 > 1e-5 && $6 < 1e-3 && $8 > 1e-3 && $8 < 3e-2) good++
         }
         END { exit good != 4 }' <<<"$output" || { echo "$output"; return 1; }
    # Others take other activations, and one tensor is one line.
    [ "$("$Q8K" verify model.gguf --seed 4 --tensor blk.2.weight | grep -c ' same$')" -eq 1 ]
    [ "$("$Q8K" verify model.gguf --seed 4 | grep ^blk.2)" != "$(grep ^blk.2 <<<"$output")" ]
}

@test "a file: wrong backends are found" {
    make_model
    local kind
    for kind in 1 2 3 4; do
        build_wrong $kind
        run -1 --separate-stderr "$Q8K" verify model.gguf --backend wrong
        [[ $output == *"PROMISES ARE BROKEN"* ]]
        [ "$(grep -c ' WRONG$' <<<"$output")" -eq 1 ]
        grep -qE '^blk.1.weight +q5_k .* WRONG$' <<<"$output"
        [[ $stderr == "q8k verify: blk.1.weight: "*" values are not what is promised; first: wrong, float, row 0: "* ]]
    done
}

@test "a file: what is not finite is counted and compared" {
    make_model
    local offset
    offset=$("$Q8K" inspect model.gguf | awk '/^blk.0.weight/ { print $NF }')
    # NaN in d of a block of row 2, infinity in dmin of one of row 5.
    printf '\001\176' | dd of=model.gguf bs=1 seek=$((offset + 2 * 144)) conv=notrunc status=none
    printf '\000\174' | dd of=model.gguf bs=1 seek=$((offset + 5 * 144 + 2)) conv=notrunc status=none
    run -0 "$Q8K" verify model.gguf
    grep -qE '^blk.0.weight .* same, 34 of 13056 products not finite$' <<<"$output"
    [ "$(grep -cE ' same$' <<<"$output")" -eq 3 ]
}

@test "a file: what there is nothing to verify of is no success" {
    cp "$Q8K_TEST_DATA/real/projection.npy" w.npy
    run -1 --separate-stderr "$Q8K" verify w.npy
    # shellcheck disable=SC2154
    [ "$stderr" = 'q8k verify: w.npy: is a .npy file (limit GGUF, which says in what format its tensors are)' ]
    make_model
    run -1 --separate-stderr "$Q8K" verify model.gguf --tensor norm
    [[ $stderr == *"model.gguf: none of its tensors that --tensor chooses has a format of libq8k (limit one at least)" ]]
    head -c 100000 model.gguf >cut.gguf
    run -1 --separate-stderr "$Q8K" verify cut.gguf
    [[ $stderr == *"cut.gguf: tensor["*"].offset = "* ]]
    run -2 --separate-stderr "$Q8K" verify --tensor norm
    [[ $stderr == *"--tensor is given without FILE.gguf" ]]
}
