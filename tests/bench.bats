#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# `q8k bench`: what it reports, and whom it believes. Figures are held against one another, not against a machine.
# Needs: Q8K (the command), Q8K_TEST_DATA (this folder), Q8K_TEST_BUILD (the built tests), Q8K_BACKEND_DIR, and a C
# compiler (CC).

bats_require_minimum_version 1.5.0

# One run with every format and precision, for several tests.
setup_file() {
    : "${Q8K:?}" "${Q8K_TEST_DATA:?}"
    cd "$BATS_FILE_TMPDIR" || exit 1
    openblas 0
    OPENBLAS_CORETYPE=Prescott "$Q8K" bench --quick --repeat 2 --threads 1 --shape 48x512 --batch 3,1 --json \
        --backend scalar --parts 5 >report
}

setup() {
    : "${Q8K_TEST_BUILD:?}"
    cd "$BATS_TEST_TMPDIR" || exit 1
}

# usage_error FRAGMENT ARGUMENT...: exit status 2, the fragment on standard error, nothing on standard output.
usage_error() {
    local fragment=$1 status=0
    shift
    "$Q8K" bench "$@" >out 2>err || status=$?
    [ "$status" -eq 2 ] || { echo "status $status of: q8k bench $*"; cat err; return 1; }
    [ ! -s out ] || { echo "on standard output:"; cat out; return 1; }
    grep -qF -- "$fragment" err || { echo "no '$fragment' in:"; cat err; return 1; }
}

# small ARGUMENT...: a run that takes no time, on one thread, with the scalar backend.
small() {
    "$Q8K" bench --quick --repeat 1 --threads 1 --shape 48x512 --format q8_k --backend scalar "$@"
}

# openblas FAULT: builds a libopenblas.so.0 with it, and lets q8k find that one.
openblas() {
    # shellcheck disable=SC2086
    ${CC:-cc} ${CFLAGS:-} -fPIC -shared -DFAULT="$1" -o libopenblas.so.0 "$Q8K_TEST_DATA/fake_openblas.c"
    export LD_LIBRARY_PATH=$PWD${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
}

# gnuplot_is LINE...: a program of these lines is the gnuplot that q8k finds.
gnuplot_is() {
    mkdir -p programs
    printf '%s\n' '#!/bin/sh' "$@" >programs/gnuplot
    chmod +x programs/gnuplot
    export PATH=$PWD/programs:$PATH
}

# without_gnuplot: all that is on PATH, but no gnuplot.
without_gnuplot() {
    local folder
    mkdir others
    while read -rd: folder; do
        find "$folder/" -mindepth 1 -maxdepth 1 ! -name gnuplot -exec ln -sft others {} + 2>/dev/null || :
    done <<<"$PATH:"
    export PATH=$PWD/others
}

@test "JSON: every case, with figures that fit each other" {
    cp "$BATS_FILE_TMPDIR/report" .
    "$Q8K_TEST_BUILD/bench_json" <report >cases
    for format in q8_k q4_k q5_k q6_k q2_k q3_k q8_0; do
        for precision in float half byte; do
            for case in 'batch 3 threads 1 cold' 'batch 1 threads 1 cold' 'batch 1 threads 1 hot'; do
                grep -cx "scalar $format $precision [0-9]*x512 $case: .*decode_loops.* decode_openblas openblas" cases
            done
        done
    done
    [ "$(wc -l <cases)" -eq 63 ]
    grep -q '"parts": 5' report
    [ "$(grep -c '"measurements": 2' report)" -eq 63 ]
}

@test "threads: limits and products for each number" {
    openblas 0
    if ! Q8K_BACKEND=scalar "$Q8K" bench --quick --repeat 1 --threads 2,1 --shape 48x512 --format q4_k \
        --precision byte --batch 2 --json >report 2>err; then
        grep -q 'built without OpenMP' err
        skip "q8k was built without OpenMP"
    fi
    "$Q8K_TEST_BUILD/bench_json" <report >cases
    [ "$(cut -d: -f1 cases)" = "scalar q4_k byte 48x512 batch 2 threads 2 cold
scalar q4_k byte 48x512 batch 2 threads 1 cold" ]
}

@test "the table has the same cases" {
    openblas 0
    small --precision half --batch 1,2 >table
    grep -q '^libq8k .* Limits of this machine' table
    [ "$(grep -c '^scalar ' table)" -eq 3 ]
    grep -q '^backend .* decode_loops .*decode_openblas  openblas$' table
}

@test "limits are measured with the widest registers of each backend" {
    for backend in $("$Q8K" info | awk '/^[a-z0-9]+ +(selected|available)/ { print $1 }'); do
        "$Q8K" bench --quick --repeat 1 --threads 1 --shape 48x512 --format q8_k --batch 1 --backend "$backend" --json \
            >report.json 2>messages || { cat messages; return 1; }
        for limit in read_cached_gbps f32_gflops i16_gops i8_gops; do
            # More than a million a second, also where it is emulated, and no more than a machine to come may have.
            awk -v key="\"$limit\":" '$1 == key { getline; sub(",", "", $2); found = $2 > 0.001 && $2 < 100000 }
                END { exit !found }' report.json || { echo "$backend, $limit:"; grep -A 2 "$limit" report.json; return 1; }
        done
    done
}

@test "a backend that cannot be had is an error" {
    run -1 --separate-stderr small --backend nonesuch
    # shellcheck disable=SC2154
    [[ $stderr == 'q8k bench: --backend = "nonesuch"'* ]]
}

@test "peers are timed at the batches where they make sense" {
    openblas 0
    small --precision byte --batch 16,17 --json | "$Q8K_TEST_BUILD/bench_json" >cases
    grep -q ' batch 16 .*decode_loops' cases
    grep -q ' batch 17 .*: decode_openblas openblas$' cases
}

@test "a peer whose product is wrong is left out, and that is said" {
    for fault in 1 2; do
        openblas "$fault"
        small --precision byte --batch 1,2 --json >report 2>err
        "$Q8K_TEST_BUILD/bench_json" <report >cases
        [ "$(wc -l <cases)" -eq 3 ]
        [ "$(grep -c openblas cases)" -eq 0 ]
        grep -q decode_loops cases
        grep -q '^q8k bench: openblas is left out at batch 2 on 1 threads (q8_k): its product is wrong by ' err
        grep -q '^q8k bench: decode_openblas is left out at batch 1 ' err
    done
}

@test "a peer that is not what it should be is left out, and that is said" {
    openblas 3
    small --precision byte --batch 2 --json >report 2>err
    "$Q8K_TEST_BUILD/bench_json" <report >cases
    [ "$(grep -c openblas cases)" -eq 0 ]
    [ "$(cat err)" = 'q8k bench: openblas is left out: libopenblas.so.0 has no cblas_sgemv' ]
}

@test "the environment cannot slow OpenBLAS down" {
    # The fake one computes nothing if it sees what the report was made with.
    "$Q8K_TEST_BUILD/bench_json" <"$BATS_FILE_TMPDIR/report" >cases
    grep -q ' openblas$' cases
}

@test "a folder without ggml is an error before anything is measured" {
    for folder in /nonexistent "$PWD" ''; do
        run -1 --separate-stderr small --ggml "$folder"
        [ -z "$output" ]
        [[ $stderr == "q8k bench: --ggml: "*libggml-base.so* ]]
    done
    run -1 --separate-stderr small --ggml $'\a'
    [[ $stderr == *'\x07/libggml-base.so'* ]]
}

@test "--plot: gnuplot gets a script with every figure, and what it prints is the file" {
    openblas 0
    # shellcheck disable=SC2016
    gnuplot_is 'cat >>script' 'printf "<svg>%s</svg>" "$*"'
    "$Q8K" bench --quick --repeat 1 --threads 1 --shape 48x512 --batch 2,3,1 --backend scalar --json \
        --plot "it's\"; \$(touch injected).svg" >report
    "$Q8K_TEST_BUILD/bench_json" <report >cases
    [ "$(wc -l <cases)" -eq 84 ]
    [ "$(cat "it's\"; \$(touch injected).svg")" = '<svg>-d</svg>' ]
    [ ! -e injected ]
    # Two panels, each with seven formats of three precisions and their peers.
    [ "$(grep -c '^plot ' script)" -eq 2 ]
    [ "$(grep -c '^[0-9].*%"$' script)" -eq 42 ]
    [ "$(grep -c '^[0-9].* NaN ' script)" -eq \
        "$(grep -E ' float .* batch (1 .*cold|3 )' cases | cut -d: -f2 | wc -w)" ]
    for text in 'backend scalar, weights 48 x 512, 1 thread' 'Batch 1: GB/s' 'Batch 3: GFLOP/s' 'libq8k byte' \
        'decode + plain loops'; do
        grep -qF "$text" script
    done
    run ! grep -q -e 'Batch 2' -e ggml -e injected script
}

@test "--plot: a picture by gnuplot itself" {
    command -v gnuplot >/dev/null || skip 'gnuplot is not installed'
    openblas 0
    small --batch 1,7 --plot picture.svg >table 2>err
    [ ! -s err ]
    head -n 3 picture.svg | grep -q '<svg'
    grep -qx '</svg>' picture.svg
    for text in 'Batch 1: ' 'Batch 7: ' q8_k 'libq8k half' 'OpenBLAS on float32'; do
        grep -q ">$text" picture.svg
    done
    [ "$(grep -c '>[0-9]*%<' picture.svg)" -eq 6 ]
    grep -q '^scalar ' table
}

@test "--plot without gnuplot is an error before anything is measured" {
    without_gnuplot
    run -1 --separate-stderr small --batch 2 --plot picture.svg
    [ -z "$output" ]
    [ "$stderr" = 'q8k bench: --plot needs gnuplot, which cannot be run: No such file or directory' ]
    [ ! -e picture.svg ]
}

@test "--plot with a gnuplot that fails leaves the file as it was" {
    echo old >picture.svg
    gnuplot_is 'echo "no such terminal" >&2' 'exit 3'
    run -1 --separate-stderr small --batch 2 --plot picture.svg
    [ -z "$output" ]
    [[ $stderr == *'q8k bench: gnuplot failed with exit status 3' ]]
    # This one fails when it is to draw.
    gnuplot_is 'echo "<svg>"' '! grep -q plot'
    run -1 --separate-stderr small --batch 2 --plot picture.svg
    [[ $output == *' Limits of this machine'* ]]
    [[ $stderr == *'q8k bench: gnuplot failed with exit status 1' ]]
    # shellcheck disable=SC2016
    gnuplot_is 'kill -KILL $$'
    run -1 --separate-stderr small --batch 2 --plot picture.svg
    [[ $stderr == *'q8k bench: gnuplot was ended by signal 9' ]]
    [ "$(cat picture.svg)" = old ]
    [ "$(find . -name '.q8k-*')" = '' ]
}

@test "--plot: a file that cannot be written is an error before anything is measured" {
    gnuplot_is 'cat'
    for name in none/picture.svg "$PWD" /dev/null ''; do
        run -1 --separate-stderr small --batch 2 --plot "$name"
        [ -z "$output" ]
        [[ $stderr == "q8k bench: --plot: $name: cannot "* ]]
    done
    for name in picture.png svg .svg; do
        run -1 --separate-stderr small --batch 2 --plot "$name"
        [ -z "$output" ]
        [ "$stderr" = "q8k bench: --plot: $name: the picture is SVG (limit a name that ends in .svg)" ]
        [ ! -e "$name" ]
    done
}

@test "wrong lists name their limits" {
    for list in '' '1,' ',1' 1,0 1x 16385 '1, 2' 1,4,1 "$(seq -s, 33)"; do
        usage_error "--batch = '$list' (limit 32 different numbers, 1 to 16384, separated by commas)" --batch "$list"
    done
    usage_error "--threads = '1,1025' (limit 32 different numbers, 1 to 1024, separated by commas)" --threads 1,1025
}

@test "wrong shapes name their limits" {
    for shape in '' 256 256x x256 0x256 16x255 16x0 16x256x1 1048577x256 1048576x512; do
        usage_error "--shape = '$shape' (limit ROWSxCOLS, 1 to 1048576 rows, columns a multiple of 256, " --shape "$shape"
    done
}

@test "other wrong values name their limits" {
    usage_error "--format = 'q9_k' (limit q8_k, q4_k, q5_k, q6_k, q2_k, q3_k, q8_0)" --format q9_k
    usage_error "--precision = 'double' (limit float, half, byte)" --precision double
    usage_error "--repeat = '0' (limit 1 to 64)" --repeat 0
    usage_error "--parts = '0' (limit 1 to 1048576)" --parts 0
    usage_error "q8k bench: 1 file names (limit 0)" weights.npy
    usage_error "q8k bench: wrong option '--seed'" --seed 1
}

@test "the manual names every subcommand, option and key of the JSON object" {
    local manual=$Q8K_TEST_DATA/../doc/q8k.1 name option key
    for name in info quantize dequantize matmul verify bench; do
        grep -q "^\.SS $name\$" "$manual"
        sed -n "/^\.SS $name\$/,/^\.S[SH]/p" "$manual" | sed 's/\\-/-/g' >section
        for option in $("$Q8K" "$name" --help | sed -n 's/^  --\([a-z]*\).*/\1/p'); do
            [ "$option" = help ] || grep -q "^\.BI* --$option" section || { echo "no --$option of $name"; return 1; }
        done
    done
    sed -n 's/^ *"\([a-z_0-9]*[a-z][a-z_0-9]*\)": .*/\1/p' "$BATS_FILE_TMPDIR/report" | sort -u >keys
    [ "$(wc -l <keys)" -gt 25 ]
    while read -r key; do
        grep -qw "$key" "$manual" || { echo "no key $key"; return 1; }
    done <keys
}
