#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The command q8k, as scripts use it. Needs: Q8K (the command), Q8K_TEST_DATA (this folder), Q8K_BACKEND_DIR.

bats_require_minimum_version 1.5.0

setup() {
    : "${Q8K:?}" "${Q8K_TEST_DATA:?}"
    vectors=$Q8K_TEST_DATA/vectors
    real=$Q8K_TEST_DATA/real
    cd "$BATS_TEST_TMPDIR" || exit 1
}

# usage_error FRAGMENT ARGUMENT...: exit status 2, the fragment on standard error, nothing on standard output.
usage_error() {
    local fragment=$1 status=0
    shift
    "$Q8K" "$@" >out 2>err || status=$?
    [ "$status" -eq 2 ] || { echo "status $status of: q8k $*"; cat err; return 1; }
    [ ! -s out ] || { echo "on standard output:"; cat out; return 1; }
    grep -qF -- "$fragment" err || { echo "no '$fragment' in:"; cat err; return 1; }
}

# failure FRAGMENT ARGUMENT...: exit status 1, one line on standard error with the fragment.
failure() {
    local fragment=$1 status=0
    shift
    "$Q8K" "$@" >out 2>err || status=$?
    [ "$status" -eq 1 ] || { echo "status $status of: q8k $*"; cat err; return 1; }
    grep -qF -- "$fragment" err || { echo "no '$fragment' in:"; cat err; return 1; }
    [ "$(wc -l <err)" -eq 1 ] || { echo "more than one line:"; cat err; return 1; }
}

# npy DESCR SHAPE BYTES: a file of zeros on standard output.
npy() {
    local header="{'descr': '$1', 'fortran_order': False, 'shape': $2, }"
    printf '\223NUMPY\001\000%b%s' "$(printf '\\0%03o\\0%03o' $((${#header} % 256)) $((${#header} / 256)))" "$header"
    head -c "$3" /dev/zero
}

# ---- the command line ----

@test "--help and --version succeed and print on standard output" {
    run -0 --separate-stderr "$Q8K" --help
    for name in info inspect quantize dequantize matmul verify compare bench; do
        [[ $output == *"  $name "* ]]
    done
    run -0 --separate-stderr "$Q8K" --version
    [[ $output =~ ^q8k\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}

@test "every subcommand has help" {
    for name in info inspect quantize dequantize matmul verify compare bench; do
        run -0 --separate-stderr "$Q8K" "$name" --help
        [[ ${lines[0]} == "usage: q8k $name"* ]]
        [[ $output == *--help* ]]
        # shellcheck disable=SC2154
        [ -z "$stderr" ]
    done
}

@test "help tells q8_k from ggml's block_q8_K wherever a format is chosen" {
    for name in quantize dequantize matmul compare bench; do
        run -0 "$Q8K" "$name" --help
        [[ $output == *"not ggml's block_q8_K"* ]]
    done
}

@test "no subcommand and a wrong one are usage errors" {
    usage_error "usage: q8k SUBCOMMAND"
    usage_error "q8k: subcommand = 'inspekt' (limit info, inspect, quantize, dequantize, matmul, verify, compare, bench)" inspekt
    usage_error "subcommand = 'a\\x1b[31m'" $'a\033[31m'
    usage_error "subcommand = ''" ""
}

@test "wrong options name the right ones" {
    usage_error "q8k info: wrong option '--jsn' (limit --json, --help)" info --jsn
    usage_error "q8k info: wrong option '--json=yes'" info --json=yes
    usage_error "q8k info: wrong option '-x'" info -x
    usage_error "q8k quantize: wrong option '--precision'" quantize --precision float a b
    usage_error "q8k matmul: option '--threads' needs a value" matmul a b c --format q4_k --threads
    usage_error "wrong option '--\\x07'" verify $'--\007'
    usage_error "Try 'q8k verify --help'." verify --sed 1 --x
}

@test "wrong values name the limits" {
    usage_error "q8k quantize: --format = 'q9_k' (limit q8_k, q4_k, q5_k, q6_k, q2_k, q3_k, q8_0)" quantize a b --format q9_k
    usage_error "q8k quantize: --format is missing (limit q8_k, q4_k, q5_k, q6_k, q2_k, q3_k, q8_0)" quantize a b
    usage_error "--precision = 'double' (limit float, half, byte)" matmul a b c --format q4_k --precision double
    for value in 0 1025 -1 1x 0x2 "" " 1" 99999999999999999999; do
        usage_error "--threads = '$value' (limit 1 to 1024)" matmul a b c --format q4_k --threads "$value"
    done
    usage_error "--parts = '0' (limit 1 to 1048576)" matmul a b c --format q4_k --parts 0
    usage_error "--seed = 'one' (limit 0 to 18446744073709551615)" verify --seed one
}

@test "wrong numbers of files are usage errors" {
    usage_error "q8k quantize: 1 file names (limit 2: IN.gguf|IN.npy OUT.gguf|OUT.npy)" quantize a --format q4_k
    usage_error "q8k dequantize: 3 file names (limit 2" dequantize a b c --format q4_k
    usage_error "q8k matmul: 0 file names (limit 3: WEIGHTS.gguf|WEIGHTS.npy INPUT.npy OUTPUT.npy)" matmul --format q4_k
    usage_error "q8k info: 1 file names (limit 0)" info a
}

@test "options may stand before, between and behind the files" {
    "$Q8K" quantize --format q4_k "$real/projection.npy" before.npy
    "$Q8K" quantize "$real/projection.npy" --format=q4_k between.npy
    "$Q8K" quantize "$real/projection.npy" behind.npy --format Q4_K
    cmp before.npy between.npy
    cmp before.npy behind.npy
    cp "$real/projection.npy" ./--odd
    "$Q8K" quantize --format q4_k -- --odd ended.npy
    cmp before.npy ended.npy
}

# ---- products ----

# product CASE PRECISION OPTION...: the product of a vector's case is what the vector says, to the byte.
product() {
    local case=$1 precision=$2
    shift 2
    "$Q8K" matmul "$vectors/$case/blocks.npy" "$vectors/$case/input.npy" out.npy --format "${case%-*}" \
        --precision "$precision" "$@"
    cmp out.npy "$vectors/$case/$precision.npy"
}

@test "matmul gives the vectors to the byte in every format and precision" {
    for format in q4_k q5_k q6_k q8_k q2_k q3_k q8_0; do
        for case in plain wild; do
            for precision in float half byte; do
                product $format-$case $precision
            done
        done
    done
}

@test "parts and backends change nothing" {
    for format in q4_k q5_k q6_k q8_k q2_k q3_k q8_0; do
        for parts in 1 3 64; do
            product $format-wild float --parts $parts
            product $format-plain byte --parts $parts --threads 1
        done
        product $format-wild float --backend builtin
        product $format-wild half --backend scalar
    done
}

@test "threads change nothing" {
    local status=0
    product q4_k-plain float --threads 2 2>err || status=$?
    if grep -q 'limit 1: this q8k was built without OpenMP' err; then
        [ $status -ne 0 ]
        skip "built without OpenMP"
    fi
    for format in q4_k q5_k q6_k q8_k q2_k q3_k q8_0; do
        product $format-plain byte --threads 2
        product $format-wild float --threads 7
        product $format-wild half --threads 3 --parts 64
    done
}

@test "the default precision is float" {
    "$Q8K" matmul "$vectors/q6_k-plain/blocks.npy" "$vectors/q6_k-plain/input.npy" out.npy --format q6_k
    cmp out.npy "$vectors/q6_k-plain/float.npy"
}

@test "dequantize gives the vectors to the byte" {
    for format in q4_k q5_k q6_k q8_k q2_k q3_k q8_0; do
        for case in plain wild; do
            "$Q8K" dequantize "$vectors/$format-$case/blocks.npy" out.npy --format $format
            cmp out.npy "$vectors/$format-$case/dequant.npy"
        done
    done
}

@test "float weights are quantized on the fly, to the same blocks" {
    for format in q4_k q5_k q6_k q8_k q2_k q3_k q8_0; do
        "$Q8K" quantize "$real/projection.npy" blocks.npy --format $format
        "$Q8K" matmul blocks.npy "$real/tokens.npy" from-blocks.npy --format $format --precision half
        "$Q8K" matmul "$real/projection.npy" "$real/tokens.npy" from-floats.npy --format $format --precision half
        cmp from-blocks.npy from-floats.npy
        [ "$(stat -c %s from-blocks.npy)" -eq $((128 + 32 * 768 * 4)) ]
    done
}

@test "quantized rows are as long as the formats say, and can be decoded" {
    for pair in q4_k:144 q5_k:176 q6_k:210 q8_k:292 q2_k:84 q3_k:110 q8_0:272; do
        "$Q8K" quantize "$real/projection.npy" blocks.npy --format "${pair%:*}"
        [ "$(stat -c %s blocks.npy)" -eq $((128 + 768 * ${pair#*:})) ]
        "$Q8K" dequantize blocks.npy floats.npy --format "${pair%:*}"
        [ "$(stat -c %s floats.npy)" -eq "$(stat -c %s "$real/projection.npy")" ]
    done
}

@test "no rows, no batch and no columns are products too" {
    npy '|u1' '(0, 144)' 0 >none.npy
    npy '<f4' '(2, 256)' 2048 >two.npy
    npy '<f4' '(0, 512)' 0 >nothing.npy
    npy '|u1' '(3, 0)' 0 >no-columns.npy
    npy '<f4' '(2, 0)' 0 >no-activations.npy
    "$Q8K" matmul none.npy two.npy out.npy --format q4_k
    grep -aqF "'shape': (2, 0), }" out.npy
    "$Q8K" matmul "$vectors/q4_k-plain/blocks.npy" nothing.npy out.npy --format q4_k
    grep -aqF "'shape': (0, 8), }" out.npy
    "$Q8K" matmul no-columns.npy no-activations.npy out.npy --format q4_k
    grep -aqF "'shape': (2, 3), }" out.npy
    cmp <(tail -c 24 out.npy) <(head -c 24 /dev/zero)
}

@test "the output is not the input" {
    cp "$real/projection.npy" same.npy
    ln -s same.npy link.npy
    ln same.npy hard.npy
    for output in same.npy ./same.npy link.npy hard.npy; do
        failure "q8k quantize: $output: the output is the input (limit another file)" \
            quantize same.npy $output --format q5_k
    done
    cmp same.npy "$real/projection.npy"
    "$Q8K" quantize same.npy blocks.npy --format q5_k
    failure "q8k dequantize: blocks.npy: the output is the input" dequantize blocks.npy blocks.npy --format q5_k
}

# ---- what does not fit ----

@test "shapes that do not fit are told with their numbers" {
    npy '|u1' '(2, 145)' 290 >odd.npy
    npy '<f4' '(2, 255)' 2040 >short.npy
    npy '<f4' '(2, 512)' 4096 >long.npy
    npy '|u1' '(2, 144)' 288 >one.npy
    failure "q8k dequantize: odd.npy: row bytes = 145 (limit a multiple of 144, the bytes of a q4_k block)" \
        dequantize odd.npy out.npy --format q4_k
    failure "q8k quantize: short.npy: columns = 255 (limit a multiple of 256)" quantize short.npy out.npy --format q6_k
    failure "q8k matmul: short.npy: columns = 255 (limit a multiple of 256)" \
        matmul short.npy long.npy out.npy --format q6_k
    failure "q8k matmul: long.npy: columns = 512 (limit 256, the columns of one.npy)" \
        matmul one.npy long.npy out.npy --format q4_k
    failure "one.npy: row bytes = 144 (limit a multiple of 292" matmul one.npy long.npy out.npy --format q8_k
    [ ! -e out.npy ]
}

@test "blocks and numbers are not mixed up" {
    npy '<f4' '(2, 256)' 2048 >floats.npy
    npy '|u1' '(2, 144)' 288 >blocks.npy
    failure "blocks.npy: descr = '|u1'" quantize blocks.npy out.npy --format q4_k
    failure "floats.npy: descr = a float type (limit '|u1'" dequantize floats.npy out.npy --format q4_k
    failure "blocks.npy: descr = '|u1'" matmul blocks.npy blocks.npy out.npy --format q4_k
    [ ! -e out.npy ]
}

@test "NaN and infinity in weights are refused with their place" {
    # Column 4 of row 1 of 2 x 256 becomes infinite.
    { npy '<f4' '(2, 256)' 1040; printf '\000\000\200\177'; head -c 1004 /dev/zero; } >infinite.npy
    failure "q8k quantize: infinite.npy: " quantize infinite.npy out.npy --format q4_k
    grep -q 'row 1' err
    grep -q 'column 4' err
    [ ! -e out.npy ]
}

@test "backends that cannot be had are errors" {
    local files=("$vectors/q4_k-plain/blocks.npy" "$vectors/q4_k-plain/input.npy" out.npy --format q4_k)
    failure "q8k matmul: " matmul "${files[@]}" --backend nonesuch
    grep -qF nonesuch err
    failure "q8k verify: " verify --backend nonesuch
    export Q8K_BACKEND=nonesuch
    failure "q8k matmul: " matmul "${files[@]}"
    failure "q8k verify: " verify
    [ ! -e out.npy ]
    # The option comes before the environment.
    "$Q8K" matmul "${files[@]}" --backend builtin
}

# ---- hostile files ----

@test "hostile files are refused at once, by every subcommand that reads" {
    local good=$vectors/q4_k-plain/input.npy
    npy '<f4' '(1048576, 1048576)' 64 >huge.npy
    npy '<f4' '(4611686018427387904, 4)' 64 >overflow.npy
    npy '|O' '(2, 256)' 64 >object.npy
    npy '>f4' '(2, 256)' 2048 >big-endian.npy
    npy '<f4' '(2, 256)' 2047 >short.npy
    npy '<f4' '(2, 256)' 2049 >long.npy
    npy '<f4' '(2, -256)' 2048 >negative.npy
    npy $'<f4\033[31m' '(2, 256)' 2048 >escape.npy
    printf '\223NUMPY\002\000\377\377\377\377{' >header.npy
    : >empty.npy
    head -c 1000 /dev/urandom >noise.npy
    mkfifo fifo.npy
    mkdir folder.npy
    ln -s loop.npy loop.npy
    for name in huge overflow object big-endian short long negative escape header empty noise fifo folder loop missing; do
        failure "q8k quantize: $name.npy: " quantize $name.npy out.npy --format q4_k
        failure "q8k dequantize: $name.npy: " dequantize $name.npy out.npy --format q4_k
        failure "q8k matmul: $name.npy: " matmul $name.npy "$good" out.npy --format q4_k
        failure "q8k matmul: $name.npy: " matmul "$vectors/q4_k-plain/blocks.npy" $name.npy out.npy --format q4_k
        [ ! -e out.npy ]
    done
    failure "/dev/zero: is not a regular file" quantize /dev/zero out.npy --format q4_k
    [ -z "$(find . -name '*.tmp')" ]
}

@test "messages name field, value, place and limit, without control characters" {
    npy $'<f4\033[31m' '(2, 256)' 2048 >$'a\nb.npy'
    failure "a\\x0ab.npy: descr = '<f4\\x1b[31m' at byte 21 (limit '<f2', '<f4', '<f8', '|u1')" \
        quantize $'a\nb.npy' out.npy --format q4_k
}

@test "a hostile file needs no memory" {
    # If it does, its sanitizers need not tell anyone.
    (ulimit -v 400000 && env -u ASAN_OPTIONS -u LSAN_OPTIONS -u UBSAN_OPTIONS "$Q8K" --version) ||
        skip "this build itself needs more (address sanitizer)"
    npy '<f4' '(1048576, 1048576)' 64 >huge.npy
    (ulimit -v 400000 && failure "huge.npy: data = 64 bytes at byte" quantize huge.npy out.npy --format q4_k)
}

# ---- output ----

@test "outputs that cannot be written leave nothing" {
    local in=$real/projection.npy
    echo old >old.npy
    (
        ulimit -f 64
        failure "q8k quantize: old.npy: cannot be written: File too large" quantize "$in" old.npy --format q8_k
    )
    [ "$(cat old.npy)" = old ]
    failure "out.npy: cannot make a file in its folder: No such file" quantize "$in" none/out.npy --format q4_k
    failure "/dev/null: cannot be written: it is there and not a regular file" quantize "$in" /dev/null --format q4_k
    [ -c /dev/null ]
    [ -z "$(find . -name '*.tmp')" ]
}

@test "a read-only folder is told" {
    mkdir sealed
    chmod 555 sealed
    if touch sealed/probe 2>/dev/null; then
        skip "this user may write to read-only folders"
    fi
    failure "sealed/out.npy: cannot make a file in its folder: Permission denied" \
        quantize "$real/projection.npy" sealed/out.npy --format q4_k
}

@test "closed standard output is a failure" {
    for arguments in "--help" "info" "info --json"; do
        # shellcheck disable=SC2016,SC2086
        run -1 --separate-stderr bash -c '"$Q8K" "$@" >&-' q8k $arguments
        # shellcheck disable=SC2154
        [[ $stderr == *"cannot write to standard output"* ]]
    done
    # shellcheck disable=SC2016
    run -1 --separate-stderr bash -c '"$Q8K" info >/dev/full'
    [[ $stderr == *"cannot write to standard output: No space left on device"* ]]
}

@test "a signal at any time leaves the old file or the whole new one, and nothing else" {
    # 24 copies of the projection: some 5 million weights, long enough to be interrupted.
    { npy '<f4' '(18432, 256)' 0; for _ in {1..24}; do tail -c +129 "$real/projection.npy"; done; } >large.npy
    "$Q8K" quantize large.npy whole.npy --format q8_k
    echo old >old.npy
    local interrupted=0
    for delay in 0.01 0.03 0.1 0.2 0.3; do
        for signal in INT TERM HUP; do
            timeout -s $signal $delay "$Q8K" dequantize old.npy old.npy --format q4_k 2>/dev/null || :
            status=0
            timeout -s $signal $delay "$Q8K" quantize large.npy old.npy --format q8_k || status=$?
            if [ "$(head -c 4 old.npy)" = old ]; then
                [ $status -eq 124 ]
                interrupted=$((interrupted + 1))
            else
                # The signal came too late: after the new file had its name, if at all.
                [ $status -eq 0 ] || [ $status -eq 124 ]
                cmp whole.npy old.npy
                echo old >old.npy
            fi
            [ -z "$(find . -name '.*.tmp')" ]
        done
    done
    [ $interrupted -gt 0 ]
}

# ---- info and verify ----

@test "info tells the version, the CPU, the folder and every backend" {
    run -0 --separate-stderr "$Q8K" info
    [[ ${lines[0]} == "libq8k $("$Q8K" --version | cut -d' ' -f2)" ]]
    [[ $output == *"plugins     $Q8K_BACKEND_DIR (Q8K_BACKEND_DIR)"* ]]
    [[ $output == *"builtin "* ]]
    [ "$(grep -c ' selected$' <<<"$output")" -eq 1 ]
    # shellcheck disable=SC2154
    [ -z "$stderr" ]
}

@test "info tells the overrides and what a broken folder means" {
    mkdir empty
    Q8K_BACKEND_DIR=$PWD/empty run -0 "$Q8K" info
    [[ $output == *"Q8K_BACKEND not set, Q8K_BACKEND_DIR=$PWD/empty, Q8K_VERBOSE not set"* ]]
    [[ $output == *"scalar      rejected: "* ]]
    [[ $output =~ builtin\ +selected ]]
    Q8K_BACKEND_DIR=relative run -0 "$Q8K" info
    [[ $output == *"refused: "* ]]
}

@test "info fails, with its report, if the backend asked for cannot be had" {
    Q8K_BACKEND=nonesuch run -1 --separate-stderr "$Q8K" info
    [[ $output == *"Q8K_BACKEND=nonesuch"* ]]
    # shellcheck disable=SC2154
    [[ $stderr == "q8k info: "*nonesuch* ]]
    Q8K_BACKEND=nonesuch run -1 --separate-stderr "$Q8K" info --json
    [[ $output == *'"backend": null'* ]]
    [[ $output == *'"error": "'*nonesuch* ]]
}

@test "info --json has the keys that its help documents" {
    run -0 --separate-stderr "$Q8K" info --json
    for key in version backend error cpu vendor model features seen usable plugin_directory path source problem \
        backends name state reason file needs overrides Q8K_BACKEND Q8K_BACKEND_DIR Q8K_VERBOSE; do
        [[ $output == *"\"$key\":"* ]]
        [[ $("$Q8K" info --help) == *"$key"* ]]
    done
    # Values that are not text are escaped, since JSON is UTF-8.
    Q8K_VERBOSE=$'\377\033' run -0 --separate-stderr "$Q8K" info --json
    [[ $output == *'"Q8K_VERBOSE": "\\xff\\x1b"'* ]]
}

@test "verify finds every promise kept on every backend" {
    run -0 --separate-stderr "$Q8K" verify
    [[ $output == *"seed 1"* ]]
    [[ $output == *"All promises are kept."* ]]
    for backend in scalar builtin; do
        for format in q4_k q5_k q6_k q8_k q2_k q3_k q8_0; do
            for precision in decode float half byte; do
                grep -Eq "^$backend +$format +$precision +[1-9][0-9]+ +same" <<<"$output"
            done
        done
    done
    # Lines about backends that are not there hold paths of any length.
    [ "$(grep -v '^left out: ' <<<"$output" | wc -L)" -le 100 ]
}

@test "verify takes a backend and a seed" {
    run -0 "$Q8K" verify --backend builtin --seed 12345
    [[ $output == *"seed 12345"* ]]
    [[ $output != *"scalar"* ]]
    run -0 "$Q8K" verify --backend builtin --seed 12345
    first=$output
    run -0 "$Q8K" verify --seed 12345 --backend builtin
    [ "$output" = "$first" ]
}
