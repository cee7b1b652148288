#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# q8k inspect, on files made here byte by byte. Needs: Q8K (the command), Q8K_TEST_DATA (this folder).

bats_require_minimum_version 1.5.0

setup() {
    : "${Q8K:?}" "${Q8K_TEST_DATA:?}"
    unset COLUMNS
    # shellcheck source-path=SCRIPTDIR source=gguf.bash
    . "$Q8K_TEST_DATA/gguf.bash"
    cd "$BATS_TEST_TMPDIR" || exit 1
}

# failure FRAGMENT FILE: exit status 1, one line on standard error with the fragment, within a second and 400 MB.
failure() {
    local option status
    for option in --json --mmap; do
        status=0
        timeout 5 "$Q8K" inspect "$2" $option >out 2>err || status=$?
        [ "$status" -eq 1 ] || { echo "status $status of: q8k inspect $2 $option"; cat err; return 1; }
        [ ! -s out ] || { echo "on standard output:"; cat out; return 1; }
        grep -qF -- "$1" err || { echo "no '$1' in:"; cat err; return 1; }
        [ "$(wc -l <err)" -eq 1 ] || { echo "more than one line:"; cat err; return 1; }
    done
}

# A model in small: the types that there are in real files, and some that there should not be.
make_model() {
    {
        first_fields 6 10
        key_text general.architecture llama
        key general.alignment 4 && number 4 64
        key llama.context_length 4 && number 4 4096
        key llama.rope.freq_base 6 && number 4 0x461c4000
        key tokenizer.ggml.tokens 9 && number 4 8 && number 8 8
        for token in '<unk>' '<s>' '</s>' $'\n' a b c $'\377'; do text "$token"; done
        key tokenizer.ggml.scores 9 && number 4 6 && number 8 3
        number 4 0 && number 4 0xbf800000 && number 4 0x7f800000
        key huge 10 && number 8 -1
        key_text long "$(printf 'x%.0s' {1..100})"
        key_text q8k.tensor.output.weight.format q8_k
        key q8k.tensor.output.weight.cols 10 && number 8 512
        tensor token_embd.weight 12 0 512 32
        tensor blk.0.attn_norm.weight 0 9216 512
        tensor blk.0.ffn_gate_exps.weight 14 11264 512 6 4
        tensor output.weight 24 21376 584 32
        tensor a.new.one 99 40064 77
        tensor an.old.one 4 40128 32 2
    } >model.gguf
    pad model.gguf 64 40200
}

@test "the report has metadata, tensors and totals" {
    make_model
    run -0 --separate-stderr "$Q8K" inspect model.gguf
    # shellcheck disable=SC2154
    [ -z "$stderr" ]
    [ "${lines[0]}" = "model.gguf: GGUF version 3, $(stat -c %s model.gguf) bytes" ]
    [[ ${lines[1]} == "10 keys, 6 tensors, data from byte "*" on, alignment 64" ]]
    grep -qE '^general.architecture +string +"llama"$' <<<"$output"
    grep -qE '^llama.rope.freq_base +float32 +10000$' <<<"$output"
    grep -qF 'string[]   8: "<unk>", "<s>", "</s>", "\x0a", "a", "b", ...' <<<"$output"
    grep -qE '^tokenizer.ggml.scores +float32\[\] +3: 0, -1, inf$' <<<"$output"
    grep -qE '^huge +uint64 +18446744073709551615$' <<<"$output"
    grep -qE '^long +string +"x{60}..."$' <<<"$output"
    grep -qE '^token_embd.weight +q4_k +q4_K +32x512 +9216 ' <<<"$output"
    grep -qE '^blk.0.attn_norm.weight +- +f32 +512 +2048 ' <<<"$output"
    grep -qE '^blk.0.ffn_gate_exps.weight +q6_k +q6_K +4x6x512 +10080 ' <<<"$output"
    grep -qE '^output.weight +q8_k +i8 +32x512 +18688 ' <<<"$output"
    grep -qE '^a.new.one +- +99 \(unknown\) +77 +\? ' <<<"$output"
    grep -qE '^an.old.one +- +q4_2 \(removed\) +2x32 +\? ' <<<"$output"
    grep -qE '^i8 +q8_k +1 +18688$' <<<"$output"
    grep -qE '^unknown +- +1 +0$' <<<"$output"
}

@test "mapped or read, the report is the same" {
    make_model
    cmp <("$Q8K" inspect model.gguf) <("$Q8K" inspect --mmap model.gguf)
    cmp <("$Q8K" inspect --json model.gguf) <("$Q8K" inspect --json --mmap model.gguf)
}

@test "the report fits the width" {
    make_model
    for width in 64 72 80 100; do
        COLUMNS=$width run -0 "$Q8K" inspect model.gguf
        [ "$(wc -L <<<"$output")" -le $width ]
        grep -qE '^blk.0.* q6_k +q6_K +4x6x512 +10080 ' <<<"$output"
    done
    COLUMNS=64 run -0 "$Q8K" inspect model.gguf
    grep -qE '^blk\.0\.[a-z_]*\.\.\.[a-z_.]*weight +- ' <<<"$output"
    # Nothing is too narrow, and what is no width is none.
    for width in 0 1 999999999999999999999 -5 x ''; do
        COLUMNS=$width run -0 "$Q8K" inspect model.gguf
        grep -qE ' q6_k +q6_K +4x6x512 +10080 ' <<<"$output"
    done
}

@test "--json has all of it, whole" {
    make_model
    run -0 --separate-stderr "$Q8K" inspect --json model.gguf
    # shellcheck disable=SC2154
    [ -z "$stderr" ]
    for key in file kind version bytes alignment data_offset metadata key type element_type value tensors name \
        type_number dimensions rows cols offset format types; do
        [[ $output == *"\"$key\":"* ]]
        [[ $("$Q8K" inspect --help) == *"$key"* ]]
    done
    local flat
    flat=$(tr -d ' \n' <<<"$output")
    [[ $flat == *'{"key":"huge","type":"uint64","element_type":null,"value":"18446744073709551615"}'* ]]
    [[ $flat == *'"element_type":"string","value":["<unk>","<s>","</s>","\n","a","b","c","\\xff"]}'* ]]
    [[ $flat == *'"element_type":"float32","value":[0.0,-1.0,"inf"]}'* ]]
    [[ $flat == *"\"value\":\"$(printf 'x%.0s' {1..100})\"}"* ]]
    [[ $flat == *'"name":"output.weight","type":"i8","type_number":24,"dimensions":[584,32],"rows":32,"cols":512,'* ]]
    [[ $flat == *'"name":"a.new.one","type":null,"type_number":99,"dimensions":[77],"rows":1,"cols":77,'* ]]
    [[ $flat == *'"bytes":null,"format":null}'* ]]
    [[ $flat == *'{"type":"i8","format":"q8_k","tensors":1,"bytes":18688}'* ]]
}

@test ".npy files are told too" {
    local file=$Q8K_TEST_DATA/real/projection.npy
    run -0 "$Q8K" inspect "$file"
    [ "$output" = "$file: NumPy array of '<f4', 768 x 256, C order, 786432 bytes of data from byte 128 on" ]
    run -0 "$Q8K" inspect --json "$file"
    [ "$(tr -d ' \n' <<<"${output#*\"kind\"}")" = \
        ':"npy","descr":"<f4","fortran_order":false,"shape":[768,256],"data_offset":128,"data_bytes":786432}' ]
    printf '\223NUMPY\011\000' >new.npy
    failure "new.npy: file length = 8" new.npy
}

@test "an empty model is a model" {
    first_fields 0 0 2 >empty.gguf
    run -0 "$Q8K" inspect empty.gguf
    [ "$output" = "empty.gguf: GGUF version 2, 24 bytes
0 keys, 0 tensors, data from byte 32 on, alignment 32" ]
    run -0 "$Q8K" inspect --json empty.gguf
}

@test "what is malformed is told with its place and limit" {
    make_model
    : >nothing.gguf
    failure "q8k inspect: nothing.gguf: magic = the end of the file, 0 bytes on, at byte 0 (limit at least 4)" nothing.gguf
    printf 'GGML....' >old.gguf
    failure "old.gguf: magic = 'GGML' at byte 0 (limit 'GGUF')" old.gguf
    first_fields 0 0 1 >first.gguf
    failure "first.gguf: version = 1 at byte 4 (limit 2 to 3)" first.gguf
    { first_fields 0 1; key $'a\033[31m' 0; number 1 0; } >$'b\nc.gguf'
    failure "b\\x0ac.gguf: metadata[0].key = 'a\\x1b[31m' at byte 32 (limit no control characters)" $'b\nc.gguf'
    head -c 20000 model.gguf >cut.gguf
    failure "cut.gguf: tensor[2].offset = 11264 at byte " cut.gguf
    first_fields 1 0 >sparse.gguf
    truncate -s 8G sparse.gguf
    failure "sparse.gguf: tensor[0].name length = 0 at byte 24 (limit 1 to 64)" sparse.gguf
}

@test "what is neither GGUF nor .npy is told so, or what its name promises" {
    printf 'PK\003\004....' >model.safetensors
    failure "model.safetensors: magic = 'PK\x03\x04..' at byte 0 (limit 'GGUF' or '\x93NUMPY')" model.safetensors
    cp model.safetensors model.npy
    failure "model.npy: file length = 8 (limit at least 10, a .npy file's first fields)" model.npy
    : >nothing
    failure "nothing: magic = '' at byte 0 (limit 'GGUF' or '\x93NUMPY')" nothing
    make_model
    mv model.gguf model
    run -0 "$Q8K" inspect model
}

@test "what is no file is refused at once" {
    mkfifo fifo
    mkdir folder
    ln -s loop loop
    failure "fifo: is not a regular file" fifo
    failure "folder: is a directory" folder
    failure "loop: cannot be opened: " loop
    failure "missing: cannot be opened: No such file" missing
    failure "/dev/zero: is not a regular file" /dev/zero
}

@test "a full disk is told" {
    make_model
    for option in --json --mmap; do
        # shellcheck disable=SC2016
        run -1 --separate-stderr bash -c '"$Q8K" inspect model.gguf "$@" >/dev/full' q8k $option
        # shellcheck disable=SC2154
        [[ $stderr == "q8k inspect: cannot write to standard output: "* ]]
    done
}
