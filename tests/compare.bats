#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# q8k compare, on files made here byte by byte. Needs: Q8K (the command), Q8K_TEST_DATA (this folder); gnuplot for the
# pictures.

bats_require_minimum_version 1.5.0

setup() {
    : "${Q8K:?}" "${Q8K_TEST_DATA:?}"
    real=$Q8K_TEST_DATA/real/projection.npy
    # shellcheck source-path=SCRIPTDIR source=gguf.bash
    . "$Q8K_TEST_DATA/gguf.bash"
    cd "$BATS_TEST_TMPDIR" || exit 1
}

# repeat COUNT BYTES VALUE: a number, many times.
repeat() {
    local one i all=
    one=$(for ((i = 0; i < $2; i++)); do printf '\\x%02x' $((($3 >> (8 * i)) & 255)); done)
    for ((i = 0; i < $1; i++)); do all+=$one; done
    # shellcheck disable=SC2059
    printf "$all"
}

# a.gguf has ones as float32, b.gguf 1.5 as float16 but for one 3: 511 differences of 0.5, one of 2. Beside them what is
# the same, what is in one file only, and what cannot be compared.
make_pair() {
    { first_fields 5 0; tensor w 0 0 256 2; tensor same 0 2048 256; tensor shape 0 3072 256 2
      tensor mine 0 5120 256; tensor ids 26 6144 256; } >a.gguf
    pad a.gguf 32 0
    { repeat 512 4 0x3f800000; repeat 256 4 0x40000000; head -c 4096 /dev/zero; } >>a.gguf
    { first_fields 5 0; tensor same 0 0 256; tensor w 1 1024 256 2; tensor shape 0 2048 512
      tensor theirs 0 4096 256; tensor ids 26 5120 256; } >b.gguf
    pad b.gguf 32 0
    { repeat 256 4 0x40000000; repeat 511 2 0x3e00; number 2 0x4200; head -c 4096 /dev/zero; } >>b.gguf
}

@test "errors are what they are, and all tensors are told of" {
    make_pair
    run -0 --separate-stderr "$Q8K" compare a.gguf b.gguf
    # shellcheck disable=SC2154
    [ -z "$stderr" ]
    [ "${lines[0]}" = 'a: a.gguf' ] && [ "${lines[1]}" = 'b: b.gguf' ]
    # The square root of (511 * 0.25 + 4) / 512.
    grep -qE '^w +f32 +f16 +16\.000 +5\.07e-01 +2\.00e\+00 +5\.07e-01 +2\.00e\+00$' <<<"$output"
    grep -qE '^same +f32 +f32 +32\.000 +0\.00e\+00 +0\.00e\+00 +0\.00e\+00 +0\.00e\+00$' <<<"$output"
    grep -qE '^f32 +f16 +16\.000 +1 +512 +5\.07e-01$' <<<"$output"
    grep -qxF 'left out: shape: 2x256 in a, 1x512 in b' <<<"$output"
    grep -qxF 'left out: mine: not in b' <<<"$output"
    grep -qxF 'left out: theirs: not in a' <<<"$output"
    grep -qxF 'left out: ids: i32 cannot be decoded' <<<"$output"
    # Relative errors are by the first file's weights.
    run -0 "$Q8K" compare b.gguf a.gguf --tensor w
    grep -qE '^w +f16 +f32 +32\.000 +5\.07e-01 +2\.00e\+00 +3\.37e-01 +1\.33e\+00$' <<<"$output"
    [ "$(grep -c '^left out' <<<"$output")" -eq 0 ]
}

@test "--json has the keys that its help documents, and the same numbers" {
    make_pair
    run -0 --separate-stderr "$Q8K" compare a.gguf b.gguf --json
    for key in version a b tensors name type_a type_b rows cols bits_a bits_b magnitude rms worst relative_rms \
        relative_worst not_finite types weights left_out reason; do
        [[ $output == *"\"$key\":"* ]]
        [[ $("$Q8K" compare --help) == *"$key"* ]]
    done
    local flat
    flat=$(tr -d ' \n' <<<"$output")
    [[ $flat == *'"name":"w","type_a":"f32","type_b":"f16","rows":2,"cols":256,"bits_a":32.0,"bits_b":16.0,'* ]]
    [[ $flat == *'"magnitude":1.0,"rms":0.507271'*',"worst":2.0,"relative_rms":0.507271'*',"relative_worst":2.0,'* ]]
    [[ $flat == *'{"name":"theirs","reason":"notina"}'* ]]
}

@test "a quantized file: as its own decoding, on any number of threads" {
    { first_fields 2 0; tensor one 0 0 256 768; tensor norm 0 786432 256; } >floats.gguf
    pad floats.gguf 32 0
    { tail -c +129 "$real"; repeat 256 4 0x3f800000; } >>floats.gguf
    for format in q4_k q8_k; do
        "$Q8K" quantize floats.gguf $format.gguf --format $format --quiet
        "$Q8K" dequantize $format.gguf decoded.gguf --quiet
        run -0 "$Q8K" compare floats.gguf $format.gguf --json --tensor one
        [[ $(tr -d ' \n' <<<"$output") == *"\"type_b\":\"$format\""* ]]
        # All but the names, types and bits.
        diff <(grep -E '"(rms|worst|relative_[a-z]*)"' <<<"$output") \
            <("$Q8K" compare floats.gguf decoded.gguf --json --tensor one --threads 1 | grep -E '"(rms|worst|relative_[a-z]*)"')
        run -0 "$Q8K" compare $format.gguf decoded.gguf
        grep -qE "^one +$format +f32 +32\.000( +0\.00e\+00){4}$" <<<"$output"
    done
    # Four bits more are about sixteen times less.
    "$Q8K" compare floats.gguf q4_k.gguf | awk '/^one/ { exit !($7 > 0.05 && $7 < 0.12) }'
    "$Q8K" compare floats.gguf q8_k.gguf | awk '/^one/ { exit !($7 > 0.002 && $7 < 0.008) }'
}

@test ".npy files are compared too" {
    "$Q8K" quantize "$real" blocks.npy --format q5_k --quiet
    "$Q8K" dequantize blocks.npy floats.npy --format q5_k --quiet
    run -0 "$Q8K" compare "$real" floats.npy
    awk '/^projection +f32 +f32/ { exit !($7 > 0.02 && $7 < 0.06) }' <<<"$output"
    diff <("$Q8K" compare "$real" blocks.npy --format q5_k | awk '/^projection/ { print $5, $6, $7, $8 }') \
        <(awk '/^projection/ { print $5, $6, $7, $8 }' <<<"$output")
    make_pair
    run -1 --separate-stderr "$Q8K" compare a.gguf floats.npy
    # shellcheck disable=SC2154
    [[ $stderr == *"a.gguf: 5 tensors for the one of a .npy file (limit 1, which --tensor chooses)" ]]
    run -1 --separate-stderr "$Q8K" compare a.gguf floats.npy --tensor w
    [[ $output == *"left out: w: 2x256 in a, 768x256 in b"* ]]
    [[ $stderr == *"a.gguf: no tensor could be compared (limit one at least)" ]]
    run -2 --separate-stderr "$Q8K" compare floats.npy blocks.npy
    [[ $stderr == *"--format is missing, for blocks in a .npy file"* ]]
    run -1 --separate-stderr "$Q8K" compare floats.npy missing.npy
    [[ $stderr == *"missing.npy: cannot be opened: "* ]]
}

# npy DESCR FORTRAN ROWS COLS: a .npy file's header.
npy() {
    local header
    printf -v header '%-117s\n' "{'descr': '$1', 'fortran_order': $2, 'shape': ($3, $4), }"
    printf '\x93NUMPY\x01\x00\x76\x00%s' "$header"
}

@test "float64, and arrays in another order, are the same numbers" {
    # Two rows of 256: ones and twos.
    { npy '<f4' False 2 256; repeat 256 4 0x3f800000; repeat 256 4 0x40000000; } >w.npy
    { npy '<f8' False 2 256; repeat 256 8 0x3ff0000000000000; repeat 256 8 0x4000000000000000; } >double.npy
    { npy '<f4' True 2 256; for ((i = 0; i < 256; i++)); do number 4 0x3f800000; number 4 0x40000000; done; } >turned.npy
    for file in double turned; do
        run -0 "$Q8K" compare w.npy $file.npy --json
        grep -q '"worst": 0.0,' <<<"$output"
        "$Q8K" quantize --quiet --format q8_k $file.npy $file-q8_k.npy
    done
    "$Q8K" quantize --quiet --format q8_k w.npy w-q8_k.npy
    cmp w-q8_k.npy double-q8_k.npy
    cmp w-q8_k.npy turned-q8_k.npy
    { npy '<f8' False 1 256; repeat 255 8 0x3ff0000000000000; number 8 0x7e37e43c8800759c; } >large.npy
    run -1 "$Q8K" compare large.npy large.npy
    [ "$output" = "q8k compare: large.npy: data[255] = 1e+300 at byte 2168 (limit 3.4028235e+38 in float32)" ]
    { first_fields 1 0; tensor w 28 0 256; } >large.gguf
    pad large.gguf 32 0
    { repeat 255 8 0x3ff0000000000000; number 8 0x7e37e43c8800759c; } >>large.gguf
    run -1 "$Q8K" compare large.gguf large.gguf
    [[ $output == "q8k compare: large.gguf: w[255] = 1e+300 at byte "*" (limit 3.4028235e+38 in float32)" ]]
}

@test "options that choose nothing are refused" {
    make_pair
    cp "$real" w.npy
    run -2 "$Q8K" compare a.gguf b.gguf --format q4_k
    [ "${lines[0]}" = "q8k compare: --format = 'q4_k' (limit none: a GGUF file itself says what its tensors are)" ]
    run -1 "$Q8K" compare w.npy w.npy --tensor x
    [ "$output" = "q8k compare: --tensor = 'x' (limit the name of a tensor of w.npy)" ]
    run -0 "$Q8K" compare w.npy w.npy --tensor w
}

@test "what is not finite is counted and left out" {
    make_pair
    # The 1 at the end of w in a becomes NaN, and with it goes the difference of 2.
    number 4 0x7fc00000 | dd of=a.gguf bs=1 seek=$(($(stat -c %s a.gguf) - 4096 - 1024 - 4)) conv=notrunc status=none
    run -0 "$Q8K" compare a.gguf b.gguf --tensor w
    grep -qE '^w +f32 +f16 +16\.000( +5\.00e-01){4}  1 not finite$' <<<"$output"
}

@test "--plot draws each tensor and each type" {
    command -v gnuplot >/dev/null || skip 'there is no gnuplot'
    { first_fields 3 0; for i in 0 1 2; do tensor blk.$i.weight 0 $((i * 786432)) 256 768; done; } >floats.gguf
    pad floats.gguf 32 0
    for _ in 0 1 2; do tail -c +129 "$real"; done >>floats.gguf
    "$Q8K" quantize floats.gguf one.gguf --format q6_k --tensor blk.1.weight --quiet
    "$Q8K" quantize one.gguf both.gguf --format q4_k --tensor blk.0.weight --quiet
    run -0 --separate-stderr "$Q8K" compare floats.gguf both.gguf --plot picture.svg
    # shellcheck disable=SC2154
    [ -z "$stderr" ]
    [[ $output == *"blk.2.weight"* ]]
    [ "$(head -c 5 picture.svg)" = '<?xml' ] && grep -q '</svg>' picture.svg
    for text in 'both.gguf against floats.gguf' 'q4_k: [0-9.]*%' 'q6_k: [0-9.]*%' 'bits per weight' \
        'error is that of blk.0.weight' '1 of 3 tensors are the same'; do
        grep -q "$text" picture.svg || { echo "no $text"; return 1; }
    done
    # Nothing to be seen is no failure; a file that cannot be written is one, told before any work.
    "$Q8K" compare floats.gguf floats.gguf --plot same.svg
    grep -q '3 of 3 tensors are the same' same.svg
    run -1 --separate-stderr "$Q8K" compare floats.gguf both.gguf --plot none/picture.svg
    [ -z "$output" ]
    [[ $stderr == *"--plot: none/picture.svg: cannot make a file in its folder: "* ]]
}
