#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# q8k quantize, dequantize and matmul on GGUF files. What becomes of a matrix is what becomes of it in a .npy file, which
# command.bats holds against the vectors. Needs: Q8K (the command), Q8K_TEST_DATA (this folder).

bats_require_minimum_version 1.5.0

setup() {
    : "${Q8K:?}" "${Q8K_TEST_DATA:?}"
    real=$Q8K_TEST_DATA/real/projection.npy
    # shellcheck source-path=SCRIPTDIR source=gguf.bash
    . "$Q8K_TEST_DATA/gguf.bash"
    cd "$BATS_TEST_TMPDIR" || exit 1
}

# failure FRAGMENT ARGUMENT...: exit status 1, the last line on standard error has the fragment, nothing is left.
failure() {
    local fragment=$1 status=0
    shift
    "$Q8K" "$@" >out 2>err || status=$?
    [ "$status" -eq 1 ] || { echo "status $status of: q8k $*"; cat err; return 1; }
    [ ! -s out ] || { echo "on standard output:"; cat out; return 1; }
    tail -n 1 err | grep -qF -- "$fragment" || { echo "no '$fragment' in:"; cat err; return 1; }
    [ -z "$(find . -name '*.tmp')" ]
}

# weights FIRST COUNT: some of the real weights, float32.
weights() {
    tail -c +$((129 + 4 * $1)) "$real" | head -c $((4 * $2))
}

# bfloats FIRST COUNT: the same, cut off to bfloat16.
bfloats() {
    # shellcheck disable=SC2059
    printf "$(weights "$1" "$2" | od -An -v -tx1 -w4 | awk '{ printf "\\x%s\\x%s", $3, $4 }')"
}

# eights COUNT: blocks of Q8_0, with factors 1, 2^-1, 2^-2, ... and quants of all values.
eights() {
    local i
    for ((i = 0; i < $1; i++)); do
        number 2 $((0x3c00 - i % 8 * 0x400))
        # shellcheck disable=SC2059
        printf "$(printf '\\x%02x' $(seq $((i % 8 * 32)) $((i % 8 * 32 + 31))))"
    done
}

# A model in small: each source, and each reason to be left as it is. Data of a tensor is padded to 64.
# shellcheck disable=SC2129
make_model() {
    {
        first_fields 9 5
        key_text general.architecture llama
        key general.file_type 4 && number 4 0
        key general.alignment 4 && number 4 64
        key tokenizer.ggml.scores 9 && number 4 6 && number 8 3 && number 4 0 && number 4 1 && number 4 2
        key_text last 'the last one'
        tensor token_embd.weight 0 0 512 48
        tensor blk.0.attn_norm.weight 0 98304 512
        tensor blk.0.attn_q.weight 30 100352 256 4
        tensor blk.0.attn_k.weight 1 102400 256 2
        tensor blk.0.attn_v.weight 8 103424 256 2
        tensor blk.0.exps.weight 0 104000 256 2 3
        tensor odd.weight 0 110144 96 2
        tensor ids 26 110912 256 2
        tensor output.weight 14 112960 256 1
    } >model.gguf
    pad model.gguf 64 0
    weights 0 24576 >>model.gguf
    weights 24576 512 >>model.gguf
    bfloats 30000 1024 >>model.gguf
    # Halves: the upper bytes make ordinary numbers of either sign.
    for _ in {1..256}; do printf '\001\044\377\244'; done >>model.gguf
    eights 16 >>model.gguf
    pad model.gguf 64 0
    weights 40000 1536 >>model.gguf
    weights 42000 192 >>model.gguf
    head -c 2048 "$Q8K" >>model.gguf
    head -c 210 "$Q8K" >>model.gguf
    pad model.gguf 64 0
}

# field TENSOR KEY [FILE]: of the tensor in the report of a file.
field() {
    "$Q8K" inspect --json "${3:-out.gguf}" | tr -d ' \n' |
        grep -o "{\"name\":\"$1\",[^}]*}" | grep -o "\"$2\":[^,}]*" | cut -d: -f2
}

# data TENSOR [FILE]: its bytes.
data() {
    local file=${2:-out.gguf}
    tail -c +$(($(field "$1" offset "$file") + 1)) "$file" | head -c "$(field "$1" bytes "$file")"
}

# npy ROWS COLS <DATA: float32 as a .npy file.
npy() {
    local header="{'descr': '<f4', 'fortran_order': False, 'shape': ($1, $2), }"
    printf '\223NUMPY\001\000%b%s' "$(printf '\\0%03o\\0000' ${#header})" "$header"
    cat
}

# sums FILE: the totals of its types.
sums() {
    "$Q8K" inspect "$1" | sed -n '/^type  /,$p' | awk 'NR > 1 { printf "%s:%s ", $1, $3 }'
}

@test "each source is quantized, and what cannot be is copied as it is and named" {
    make_model
    run -0 --separate-stderr "$Q8K" quantize model.gguf out.gguf --format q4_k
    [ -z "$output" ]
    # shellcheck disable=SC2154
    grep -qE '^token_embd.weight +48x512 +f32 -> q4_k, 98304 -> 13824 bytes$' <<<"$stderr"
    grep -qE '^blk.0.attn_norm.weight +512 +f32, copied: one-dimensional$' <<<"$stderr"
    grep -qE '^blk.0.attn_q.weight +4x256 +bf16 -> q4_k, 2048 -> 576 bytes$' <<<"$stderr"
    grep -qE '^blk.0.attn_k.weight +2x256 +f16 -> q4_k, 1024 -> 288 bytes$' <<<"$stderr"
    grep -qE '^blk.0.attn_v.weight +2x256 +q8_0 -> q4_k, 544 -> 288 bytes$' <<<"$stderr"
    grep -qE '^blk.0.exps.weight +3x2x256 +f32 -> q4_k, 6144 -> 864 bytes$' <<<"$stderr"
    grep -qE '^odd.weight +2x96 +f32, copied: columns = 96 \(limit a multiple of 256\)$' <<<"$stderr"
    grep -qE '^ids +2x256 +i32, copied: no weights: i32$' <<<"$stderr"
    grep -qE '^output.weight +1x256 +q6_k, copied: already q6_k$' <<<"$stderr"
    grep -qE '^out.gguf: 5 quantized, 4 copied, [0-9]+ -> [0-9]+ bytes in [0-9.]+ s$' <<<"$stderr"
    [ "$(wc -l <<<"$stderr")" -eq 10 ]
    for name in blk.0.attn_norm.weight odd.weight ids output.weight; do
        cmp <(data $name) <(data $name model.gguf)
        [ "$(field $name type)" = "$(field $name type model.gguf)" ]
    done
    [ "$("$Q8K" inspect out.gguf | sed -n '/^tensor /,/^$/p' | awk '{ print $1 }')" = \
        "$("$Q8K" inspect model.gguf | sed -n '/^tensor /,/^$/p' | awk '{ print $1 }')" ]
}

@test "blocks are those that a .npy file of the same weights gets" {
    make_model
    weights 0 24576 | npy 48 512 >token_embd.weight.npy
    weights 40000 1536 | npy 6 256 >blk.0.exps.weight.npy
    # bfloat16 are the upper halves of float32.
    # shellcheck disable=SC2059
    printf "$(bfloats 30000 1024 | od -An -v -tx1 -w2 | awk '{ printf "\\x00\\x00\\x%s\\x%s", $1, $2 }')" |
        npy 4 256 >blk.0.attn_q.weight.npy
    for format in q4_k q5_k q6_k q8_k; do
        "$Q8K" quantize model.gguf out.gguf --format $format --quiet
        for name in token_embd.weight blk.0.exps.weight blk.0.attn_q.weight; do
            "$Q8K" quantize $name.npy blocks.npy --format $format --quiet
            cmp <(data $name) <(tail -c +129 blocks.npy)
        done
    done
}

@test "f16 and q8_0 are decoded as they are defined" {
    make_model
    "$Q8K" dequantize model.gguf out.gguf --quiet
    [ "$(field ids type)" = '"i32"' ]
    # 0x2401 and 0xa4ff: (1 + 1/1024) * 2^-6 and -(1 + 255/1024) * 2^-6.
    [ "$(data blk.0.attn_k.weight | od -An -v -tx4 -w8 | sort -u)" = " 3c802000 bc9fe000" ]
    # Block i has the quants of i mod 8, times 2^-(i mod 8): 0 to 31, 32 / 2 to 63 / 2, ...
    [ "$(data blk.0.attn_v.weight | od -An -v -tf4 -w128 | sed -n '1p;16p' | xargs)" = \
        "$(seq 0 31 | xargs) $(seq -32 -1 | awk '{ printf "%.7g ", $1 / 128 }' | xargs)" ]
}

@test "metadata goes along, and what it says of types is true" {
    make_model
    "$Q8K" quantize model.gguf out.gguf --format q5_k --quiet
    "$Q8K" inspect out.gguf | sed -n '/^general/,/^$/p' | awk 'NF { print $1, $3 }' >keys
    cat >expected <<TEXT
general.architecture "llama"
general.alignment 64
tokenizer.ggml.scores 3:
last "the
general.file_type 16
general.quantization_version 2
TEXT
    diff expected keys
    # Of a file that is still mostly of what it was, the type stays as well.
    "$Q8K" quantize model.gguf out.gguf --format q5_k --quiet --tensor '*.exps.*'
    "$Q8K" inspect out.gguf | grep -qE '^general.file_type +uint32 +0$'
    "$Q8K" inspect out.gguf | grep -qE '^general.quantization_version +uint32 +2$'
    # There is no number for Q8_K.
    "$Q8K" quantize model.gguf out.gguf --format q8_k --quiet
    [ "$("$Q8K" inspect out.gguf | grep -c '^general.file_type')" -eq 0 ]
    [ "$(field token_embd.weight format)" = '"q8_k"' ]
    # Decoded, it is a float32 file again.
    "$Q8K" dequantize out.gguf floats.gguf --quiet
    "$Q8K" inspect floats.gguf | grep -qE '^general.file_type +uint32 +0$'
    [ "$("$Q8K" inspect floats.gguf | grep -c '^q8k.tensor')" -eq 0 ]
}

@test "--tensor and --keep choose, and a file can be quantized in several steps" {
    make_model
    "$Q8K" quantize model.gguf one.gguf --format q6_k --tensor 'blk.*' --tensor 'token*' --keep '*attn_[kv]*' 2>err
    [ "$(sums one.gguf)" = "q6_K:4 f32:2 f16:1 q8_0:1 i32:1 " ]
    grep -qE '^blk.0.attn_v.weight +2x256 +q8_0, copied: --keep$' err
    grep -qE '^ids +2x256 +i32, copied: not in --tensor$' err
    "$Q8K" quantize one.gguf two.gguf --format q4_k 2>err
    [ "$(sums two.gguf)" = "q6_K:4 f32:2 q4_K:2 i32:1 " ]
    grep -qE '^token_embd.weight +48x512 +q6_k, copied: already q6_k$' err
    cmp <(data token_embd.weight one.gguf) <(data token_embd.weight two.gguf)
    # Once more changes nothing.
    "$Q8K" quantize two.gguf three.gguf --format q4_k --quiet
    cmp two.gguf three.gguf
    failure "--tensor = 'blk.1.*' (limit the name of a tensor of model.gguf)" \
        quantize model.gguf none.gguf --format q4_k --tensor 'blk.1.*'
    failure "--keep = '\\x07' (limit the name" quantize model.gguf none.gguf --format q4_k --keep $'\a'
    [ ! -e none.gguf ]
}

@test "tensors go to .npy files and come from them" {
    make_model
    "$Q8K" quantize model.gguf out.gguf --format q4_k --quiet
    "$Q8K" quantize model.gguf one.npy --format q4_k --quiet --tensor token_embd.weight
    cmp <(data token_embd.weight) <(tail -c +129 one.npy)
    "$Q8K" dequantize out.gguf floats.npy --quiet --tensor token_embd.weight
    "$Q8K" dequantize one.npy same.npy --quiet --format q4_k
    cmp floats.npy same.npy
    "$Q8K" dequantize model.gguf norm.npy --quiet --tensor '*norm*'
    cmp <(tail -c +129 norm.npy) <(weights 24576 512)
    "$Q8K" quantize same.npy made.gguf --quiet --format q8_k
    [ "$(field same format made.gguf)" = '"q8_k"' ]
    "$Q8K" quantize same.npy blocks.npy --quiet --format q8_k
    cmp <(data same made.gguf) <(tail -c +129 blocks.npy)
    # What has another name, or none, is what the input is.
    "$Q8K" quantize same.npy blocks --quiet --format q8_k
    cmp blocks blocks.npy
    "$Q8K" quantize model.gguf model.tmp2 --quiet --format q4_k
    cmp model.tmp2 out.gguf
    failure "model.gguf: 9 tensors for a .npy file (limit 1, which --tensor selects)" \
        quantize model.gguf none.npy --format q4_k
    failure "model.gguf: ids: no weights: i32" quantize model.gguf none.npy --format q4_k --tensor ids
    failure "model.gguf: output.weight: already q6_k" quantize model.gguf none.npy --format q4_k --tensor 'out*'
    run -2 --separate-stderr "$Q8K" dequantize model.gguf none.gguf --format q4_k
    # shellcheck disable=SC2154
    [[ $stderr == *"--format = 'q4_k' (limit none: a GGUF file itself says what its tensors are)" ]]
    run -2 --separate-stderr "$Q8K" dequantize one.npy none.npy
    [[ $stderr == *"--format is missing, for blocks in a .npy file (limit "* ]]
    local long
    long=$(printf 'x%.0s' {1..64})
    cp same.npy "$long.npy"
    failure "its name without .npy, which the tensor is to have, is of 64 bytes (limit 63)" \
        quantize "$long.npy" none.gguf --format q4_k
    [ ! -e none.npy ] && [ ! -e none.gguf ]
}

@test "single numbers, and tensors whose data is in another order" {
    { first_fields 3 0; tensor scalar 0 1024; tensor w 0 0 256 1; tensor half 1 1056; } >model.gguf
    pad model.gguf 32 0
    { weights 0 256; number 4 0x40490fdb; head -c 28 /dev/zero; number 2 0x4248; } >>model.gguf
    "$Q8K" quantize model.gguf out.gguf --format q8_k 2>err
    grep -qE '^scalar +scalar +f32, copied: scalar$' err
    [ "$(field scalar dimensions)$(field half dimensions)" = '[][]' ]
    "$Q8K" inspect out.gguf | grep -qE '^half +- +f16 +scalar +2 '
    cmp <(data scalar) <(number 4 0x40490fdb)
    cmp <(data half) <(number 2 0x4248)
    # They follow one another now.
    [ "$(field scalar offset)" -lt "$(field w offset)" ] && [ "$(field w offset)" -lt "$(field half offset)" ]
    "$Q8K" dequantize model.gguf out.gguf --quiet
    [ "$(field half type)$(field half dimensions)" = '"f32"[]' ]
    cmp <(data half) <(number 4 0x40490000)
}

@test "threads change nothing" {
    make_model
    "$Q8K" quantize model.gguf one.gguf --format q6_k --quiet --threads 1
    local status=0
    "$Q8K" quantize model.gguf two.gguf --format q6_k --quiet --threads 2 2>err || status=$?
    if grep -q 'limit 1: this q8k was built without OpenMP' err; then
        [ $status -ne 0 ]
        skip "built without OpenMP"
    fi
    cmp one.gguf two.gguf
    "$Q8K" quantize model.gguf many.gguf --format q6_k --quiet --threads 7
    cmp one.gguf many.gguf
    "$Q8K" dequantize one.gguf floats.gguf --quiet --threads 5
    "$Q8K" dequantize one.gguf alone.gguf --quiet --threads 1
    cmp floats.gguf alone.gguf
}

@test "--quiet says nothing, a terminal gets a bar, nothing else does" {
    command -v script >/dev/null || skip 'there is no command script'
    make_model
    run -0 "$Q8K" quantize model.gguf out.gguf --format q4_k --quiet
    [ -z "$output" ]
    # Large enough for a bar to be drawn at least once.
    { first_fields 1 0; tensor large 0 0 256 65536; } >large.gguf
    pad large.gguf 32 67108864
    for _ in {1..10}; do tail -c +129 "$real"; done | dd of=large.gguf bs=4096 seek=1 conv=notrunc status=none
    "$Q8K" quantize large.gguf plain.gguf --format q6_k 2>err
    [ "$(grep -c $'\r' err)" -eq 0 ]
    [ "$(wc -l <err)" -eq 2 ]
    script -qec "$Q8K quantize large.gguf out.gguf --format q6_k" typed </dev/null >shown
    grep -qE $'\r''\[#* *\] +[0-9]+%  [0-9.]+ MB/s  ETA [-0-9:]+  large' shown
    cmp plain.gguf out.gguf
    script -qec "$Q8K quantize large.gguf out.gguf --format q6_k --quiet" typed </dev/null >shown
    [ ! -s shown ]
}

@test "NaN and infinity are named with their tensor, row and column" {
    { first_fields 2 0; tensor good 0 0 256; tensor bad.weight 0 1024 512 3; } >nan.gguf
    pad nan.gguf 32 $((1024 + 4 * (512 + 300)))
    number 4 0x7fc00000 >>nan.gguf
    head -c $((4 * (512 + 211))) /dev/zero >>nan.gguf
    failure "q8k quantize: nan.gguf: bad.weight = nan at row 1, column 300: must be finite" \
        quantize nan.gguf out.gguf --format q4_k
    for threads in 1 2; do
        number 4 0x7f000000 | dd of=nan.gguf bs=1 seek=$(($(stat -c %s nan.gguf) - 4)) conv=notrunc status=none
        failure "bad.weight = nan at row 1, column 300" quantize nan.gguf out.gguf --format q4_k --threads $threads || {
            grep -q 'limit 1: this' err
        }
    done
    [ ! -e out.gguf ]
    "$Q8K" quantize nan.gguf out.gguf --format q4_k --keep bad.weight --quiet
    # Too large for the format, and named with its limit.
    number 4 0 | dd of=nan.gguf bs=1 seek=$(($(stat -c %s nan.gguf) - 4 * 724)) conv=notrunc status=none
    failure "bad.weight = 1.70141183e+38 at row 2, column 511: q4_k holds at most " \
        quantize nan.gguf none.gguf --format q4_k
}

@test "what cannot be written leaves the old file" {
    make_model
    echo old >old.gguf
    failure "model.gguf: the output is the input (limit another file)" quantize model.gguf ./model.gguf --format q4_k
    failure "none/out.gguf: cannot make a file in its folder" quantize model.gguf none/out.gguf --format q4_k
    failure "/dev/null: cannot be written: it is there and not a regular file" \
        quantize model.gguf /dev/null --format q4_k
    (
        ulimit -f 8
        failure "old.gguf: cannot be written: File too large" quantize model.gguf old.gguf --format q8_k
        failure "old.gguf: cannot be written: File too large" dequantize model.gguf old.gguf
    )
    [ "$(cat old.gguf)" = old ]
    # A tensor that nobody knows the length of.
    { first_fields 1 0; tensor new 99 0 256 2; } >new.gguf
    pad new.gguf 32 4096
    failure "new.gguf: new: type = 99 (limit one whose size is known)" quantize new.gguf old.gguf --format q4_k
    head -c 60000 model.gguf >cut.gguf
    failure "cut.gguf: tensor[0].offset = 0 at byte " quantize cut.gguf old.gguf --format q4_k
    [ "$(cat old.gguf)" = old ]
}

@test "a signal leaves the old file or the whole new one, and nothing else" {
    { first_fields 1 0; tensor large 0 0 256 18432; } >large.gguf
    pad large.gguf 32 0
    for _ in {1..24}; do tail -c +129 "$real"; done >>large.gguf
    "$Q8K" quantize large.gguf whole.gguf --format q8_k --quiet
    echo old >old.gguf
    local interrupted=0
    for delay in 0.03 0.1 0.3; do
        for signal in INT TERM HUP; do
            timeout -s $signal $delay "$Q8K" quantize large.gguf old.gguf --format q8_k --quiet || :
            if [ "$(head -c 3 old.gguf)" = old ]; then
                interrupted=$((interrupted + 1))
            else
                cmp whole.gguf old.gguf
                echo old >old.gguf
            fi
            [ -z "$(find . -name '.*.tmp')" ]
        done
    done
    [ $interrupted -gt 0 ]
}

@test "files of gigabytes need no memory" {
    # If this build does, its sanitizers need not tell anyone.
    (ulimit -v 600000 && env -u ASAN_OPTIONS -u LSAN_OPTIONS -u UBSAN_OPTIONS "$Q8K" --version) ||
        skip "this build itself needs more (address sanitizer)"
    # 8 GiB, then a matrix of one row of a gigabyte, then real weights. Almost all of it is a hole.
    {
        first_fields 3 0
        tensor large 0 0 262144 8192
        tensor long 0 8589934592 268435456 1
        tensor last 0 9663676416 256 768
    } >sparse.gguf
    pad sparse.gguf 32 0
    local start
    start=$(stat -c %s sparse.gguf)
    truncate -s $((start + 9663676416)) sparse.gguf || skip "no room for a sparse file"
    tail -c +129 "$real" >>sparse.gguf
    (
        ulimit -v 600000
        "$Q8K" quantize sparse.gguf last.npy --format q5_k --tensor last --quiet --threads 1
        "$Q8K" quantize sparse.gguf long.npy --format q4_k --tensor long --quiet --threads 1
    )
    "$Q8K" quantize "$real" wanted.npy --format q5_k --quiet
    cmp wanted.npy last.npy
    [ "$(stat -c %s long.npy)" -eq $((128 + 1048576 * 144)) ]
}

@test "a tensor is multiplied as the same matrix in a .npy file" {
    local in=$Q8K_TEST_DATA/real/tokens.npy
    make_model
    { first_fields 1 0; tensor w 0 0 256 768; } >one.gguf
    pad one.gguf 32 0
    tail -c +129 "$real" >>one.gguf
    for format in q4_k q8_k; do
        "$Q8K" quantize one.gguf $format.gguf --format $format --quiet
        for precision in float byte; do
            "$Q8K" matmul "$real" "$in" wanted.npy --format $format --precision $precision
            # The only tensor needs no name; numbers are quantized first; the format may be said if it is true.
            "$Q8K" matmul $format.gguf "$in" out.npy --precision $precision
            cmp wanted.npy out.npy
            "$Q8K" matmul $format.gguf "$in" out.npy --tensor w --format $format --precision $precision --parts 5
            cmp wanted.npy out.npy
            "$Q8K" matmul one.gguf "$in" out.npy --format $format --precision $precision --threads 1
            cmp wanted.npy out.npy
        done
    done
    # Of tensors with more dimensions the rows of all matrices; numbers that are no weights are quantized first.
    "$Q8K" dequantize model.gguf floats.npy --tensor blk.0.exps.weight --quiet
    "$Q8K" matmul floats.npy "$in" wanted.npy --format q5_k
    "$Q8K" matmul model.gguf "$in" out.npy --tensor blk.0.exps.weight --format q5_k
    cmp wanted.npy out.npy
}

@test "rows are multiplied in steps" {
    # 6.6 MB of blocks, which are more than are read at once.
    { first_fields 1 0; tensor w 0 0 256 46080; } >large.gguf
    pad large.gguf 32 0
    for _ in {1..60}; do tail -c +129 "$real"; done >>large.gguf
    "$Q8K" matmul large.gguf "$Q8K_TEST_DATA/real/tokens.npy" out.npy --format q4_k --precision byte
    "$Q8K" matmul "$real" "$Q8K_TEST_DATA/real/tokens.npy" one.npy --format q4_k --precision byte
    # The first and the last row of outputs, 60 times the same.
    tail -c +129 one.npy | head -c 3072 >wanted
    tail -c 3072 one.npy >wanted-last
    [ "$(stat -c %s out.npy)" -eq $((128 + 32 * 46080 * 4)) ]
    cmp <(tail -c +129 out.npy | head -c 3072) wanted
    cmp <(tail -c +129 out.npy | head -c $((4 * 46080)) | tail -c 3072) wanted
    cmp <(tail -c 3072 out.npy) wanted-last
    cmp <(tail -c $((20 * 3072)) out.npy | head -c 3072) wanted-last
}

@test "what cannot be multiplied is told" {
    local in=$Q8K_TEST_DATA/real/tokens.npy
    make_model
    failure "--tensor = 'no' (limit the name of a tensor of model.gguf)" matmul model.gguf "$in" out.npy --tensor no
    failure "model.gguf: output.weight: --format = 'q4_k' (limit 'q6_k', which it has)" \
        matmul model.gguf "$in" out.npy --tensor output.weight --format q4_k
    failure "model.gguf: ids: type = i32 (limit a format of libq8k; numbers with --format)" \
        matmul model.gguf "$in" out.npy --tensor ids --format q4_k
    failure "model.gguf: blk.0.attn_q.weight: type = bf16 (limit" \
        matmul model.gguf "$in" out.npy --tensor blk.0.attn_q.weight
    failure "model.gguf: columns = 96 (limit a multiple of 256)" \
        matmul model.gguf "$in" out.npy --tensor odd.weight --format q4_k
    failure "tokens.npy: columns = 256 (limit 512, the columns of model.gguf: token_embd.weight)" \
        matmul model.gguf "$in" out.npy --tensor token_embd.weight --format q4_k
    run -2 --separate-stderr "$Q8K" matmul model.gguf "$in" out.npy
    # shellcheck disable=SC2154
    [[ $stderr == *"--tensor is missing (limit the name of one of the 9 tensors of model.gguf)" ]]
    run -2 --separate-stderr "$Q8K" matmul "$real" "$in" out.npy
    [[ $stderr == *"--format is missing, for a .npy file (limit "* ]]
    run -2 --separate-stderr "$Q8K" matmul "$real" "$in" out.npy --tensor w --format q4_k
    [[ $stderr == *"--tensor = 'w' (limit none: "*" holds one matrix)" ]]
    [ ! -e out.npy ]
}
