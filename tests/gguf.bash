# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# GGUF files on standard output, for tests in bats to source.

# number BYTES VALUE: little-endian; negative numbers too.
number() {
    local i format=
    for ((i = 0; i < $1; i++)); do
        format+=$(printf '\\x%02x' $((($2 >> (8 * i)) & 255)))
    done
    # shellcheck disable=SC2059
    printf "$format"
}

# text STRING: with its length in front.
text() {
    local LC_ALL=C
    number 8 ${#1}
    printf %s "$1"
}

# first_fields TENSORS KEYS [VERSION]
first_fields() {
    printf GGUF
    number 4 "${3:-3}"
    number 8 "$1"
    number 8 "$2"
}

# key NAME TYPE: up to its value. key_text NAME STRING
key() {
    text "$1"
    number 4 "$2"
}
key_text() {
    key "$1" 8
    text "$2"
}

# tensor NAME TYPE OFFSET DIMENSION...: its entry, the columns first.
tensor() {
    local dimension
    text "$1"
    number 4 $(($# - 3))
    for dimension in "${@:4}"; do
        number 8 "$dimension"
    done
    number 4 "$2"
    number 8 "$3"
}

# pad FILE ALIGNMENT BYTES: appends zeros up to a multiple of ALIGNMENT, and BYTES more.
pad() {
    local length
    length=$(stat -c %s "$1")
    head -c $(((length + $2 - 1) / $2 * $2 - length + $3)) /dev/zero >>"$1"
}
