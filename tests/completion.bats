#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Completion of the command q8k in bash and zsh, against the command's own help.

bats_require_minimum_version 1.5.0

setup() {
    completions=${srcdir:?}/completions
    PATH=${Q8K%/*}:$PATH
    cd "$BATS_TEST_TMPDIR" || return
    mkdir folder
    : >a.npy
    : >b.svg
    : >c.txt
}

# help_words [SUBCOMMAND]: the options of a help, and without SUBCOMMAND the subcommands as well; sorted.
help_words() {
    local wanted='--[a-z][a-z0-9-]*'
    [ $# -gt 0 ] || wanted='-*[a-z][a-z0-9-]*'
    "$Q8K" "$@" --help | sed -n "s/^  \\($wanted\\) .*/\\1/p" | LC_ALL=C sort
}

# subcommands: by the help.
subcommands() {
    help_words | grep -v '^-'
}

# complete_bash WORD...: what bash offers for the last word, sorted.
complete_bash() {
    # shellcheck source=completions/q8k
    source "$completions/q8k"
    # It can be called by readline only.
    compopt() { :; }
    # shellcheck disable=SC2034
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _q8k q8k "${*: -1}" "${*: -2:1}"
    printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort -u
}

# offers EXPECTED WORD...: bash offers exactly these words for the last one.
offers() {
    local expected=$1 got
    shift
    got=$(complete_bash "$@" | tr '\n' ' ')
    [ "$got" = "$expected " ] || { echo "$*: '$got' instead of '$expected '"; return 1; }
}

# complete_zsh LINE: what zsh offers behind it.
complete_zsh() {
    rm -rf .notes && mkdir .notes
    completions=$completions words=$1 notes=$PWD/.notes/notes zsh -f "$srcdir/tests/completion.zsh"
}

@test "bash: subcommands and options of the command" {
    offers "$(help_words | xargs)" q8k ''
    offers 'matmul' q8k m
    offers '--help --version' q8k --
}

@test "bash: every option of every subcommand, and no other" {
    for name in $(subcommands); do
        offers "$(help_words "$name" | xargs)" q8k "$name" --
    done
}

@test "bash: formats, precisions and backends" {
    offers 'q2_k q3_k q4_k q5_k q6_k q8_0 q8_k' q8k quantize --format ''
    offers 'q4_k' q8k quantize a.npy b.npy --format q4
    offers 'q5_k' q8k matmul --format = q5
    offers 'q2_k q3_k q4_k q5_k q6_k q8_0 q8_k' q8k bench --format =
    offers 'byte float half' q8k matmul --precision ''
    Q8K_BACKEND_DIR=$BATS_TEST_TMPDIR offers 'builtin' q8k verify --backend ''
}

@test "bash: numbers are left to the user" {
    offers '' q8k matmul --threads ''
    offers '' q8k bench --shape = ''
}

@test "bash: files by what the usage calls them, and folders" {
    offers 'a.npy folder' q8k matmul ''
    offers 'a.npy folder' q8k matmul a.npy --format q4_k ''
    offers 'a.npy' q8k matmul -- a
    offers '' q8k matmul -- --
    offers 'b.svg folder' q8k bench --plot ''
    offers 'folder' q8k bench --ggml ''
    offers '' q8k info ''
}

# fake TEXT: a command with another help.
fake() {
    mkdir -p fake
    printf '#!/bin/sh\ncat <<TEXT\n%s\nTEXT\n' "$1" >fake/q8k
    chmod +x fake/q8k
    PATH=$PWD/fake:$PATH
}

@test "bash: other usages" {
    : >d.gguf
    fake 'usage: q8k new IN.npy|IN.gguf [OUT.gguf] [OPTION]...'
    offers 'a.npy d.gguf fake folder' q8k new ''
    fake 'usage: q8k new FILE [OPTION]...'
    offers 'a.npy b.svg c.txt d.gguf fake folder' q8k new ''
    fake 'usage: q8k new [--files FILE.gguf] [OPTION]...'
    offers '' q8k new ''
}

@test "bash: nothing for what is no subcommand, or no command" {
    offers '' q8k nosuch ''
    offers '' q8k --help ''
    mkdir bin
    ln -s "$(command -v sed)" "$(command -v awk)" "$(command -v tr)" "$(command -v sort)" bin
    PATH=$PWD/bin offers '' q8k ''
    PATH=$PWD/bin offers '' q8k matmul ''
}

@test "zsh: it parses" {
    command -v zsh >/dev/null || skip 'there is no zsh'
    zsh -f -n "$completions/_q8k"
}

@test "zsh: the same words" {
    command -v zsh >/dev/null || skip 'there is no zsh'
    # zsh_offers EXPECTED LINE
    zsh_offers() {
        local got
        got=$(complete_zsh "$2" | LC_ALL=C sort -u | xargs)
        [ "$got" = "$1" ] || { echo "$2: '$got' instead of '$1'"; return 1; }
    }
    zsh_offers "$(help_words | xargs)" 'q8k '
    for name in $(subcommands); do
        zsh_offers "$(help_words "$name" | xargs)" "q8k $name --"
    done
    zsh_offers 'q2_k q3_k q4_k q5_k q6_k q8_0 q8_k' 'q8k quantize --format '
    zsh_offers 'byte float half' 'q8k matmul --precision '
    Q8K_BACKEND_DIR=$BATS_TEST_TMPDIR zsh_offers 'builtin' 'q8k verify --backend '
    zsh_offers 'a.npy folder' 'q8k matmul '
    zsh_offers 'folder' 'q8k bench --ggml '
}
