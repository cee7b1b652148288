#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The command q8k where disks are full, pipes closed, files changed meanwhile, and signals come: outputs are what they were
# or whole, nothing else is left, and a message says what happened. Needs: Q8K (the command), Q8K_TEST_DATA (this folder),
# Q8K_BACKEND_DIR. As root, disks are small ones made for it; Q8K_TEST_SEED repeats the moments of signals.

bats_require_minimum_version 1.5.0

setup() {
    : "${Q8K:?}" "${Q8K_TEST_DATA:?}"
    real=$Q8K_TEST_DATA/real
    # shellcheck source-path=SCRIPTDIR source=gguf.bash
    . "$Q8K_TEST_DATA/gguf.bash"
    cd "$BATS_TEST_TMPDIR" || exit 1
    RANDOM=$((${Q8K_TEST_SEED:-20260722} % 32768))
}

teardown() {
    if mountpoint -q "$BATS_TEST_TMPDIR/disk"; then
        umount "$BATS_TEST_TMPDIR/disk"
    fi
    # Only root could remove what is in it otherwise, and bats fails where it cannot remove everything.
    [ ! -d sealed ] || chmod 755 sealed
}

# failure FRAGMENT COMMAND...: exit status 1, one line on standard error with the fragment.
failure() {
    local fragment=$1 status=0
    shift
    "$@" >out 2>err || status=$?
    [ "$status" -eq 1 ] || { echo "status $status of: $*"; cat err; return 1; }
    grep -qF -- "$fragment" err || { echo "no '$fragment' in:"; cat err; return 1; }
    [ "$(wc -l <err)" -eq 1 ] || { echo "more than one line:"; cat err; return 1; }
}

# Some 5 million weights, long enough for something to happen meanwhile: large.npy, and large-blocks.npy.
make_large() {
    local header="{'descr': '<f4', 'fortran_order': False, 'shape': (18432, 256), }"
    {
        printf '\223NUMPY\001\000%b\000%s' "$(printf '\\0%03o' ${#header})" "$header"
        for _ in {1..24}; do tail -c +129 "$real/projection.npy"; done
    } >large.npy
    "$Q8K" quantize large.npy large-blocks.npy --format q8_k
}

# disk KIBIBYTES: a folder with so much room, named disk.
disk() {
    mkdir -p disk
    [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o "size=$1k" none disk 2>/dev/null
}

# no_leftovers [FOLDER]: no temporary file.
no_leftovers() {
    local left
    left=$(find "${1:-.}" -name '.*.tmp')
    [ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

# moment: sleeps for up to 0.4 s.
moment() {
    sleep "0.$(printf %04d $((RANDOM % 4000)))"
}

# ---- disks ----

@test "a full disk leaves the old file and nothing else" {
    disk 4 || skip "a small disk takes root, and the right to mount one: command.bats has a limit of file sizes instead"
    umount disk
    "$Q8K" quantize "$real/projection.npy" blocks.npy --format q4_k
    # Blocks are 221184 bytes, floats and the product 786560 and 98432: each ends at another place of the file.
    for room in 4 8 64 92; do
        disk $room
        echo old >disk/out.npy
        for line in "quantize $real/projection.npy disk/out.npy" "dequantize blocks.npy disk/out.npy" \
            "matmul blocks.npy $real/tokens.npy disk/out.npy" "matmul $real/projection.npy $real/tokens.npy disk/out.npy"; do
            # The old file takes a page.
            # shellcheck disable=SC2086
            failure "q8k ${line%% *}: disk/out.npy: cannot be written: No space left on device" "$Q8K" $line --format q4_k
            [ "$(cat disk/out.npy)" = old ]
            no_leftovers disk
        done
        umount disk
    done
    # It needs no more than the file.
    disk 224
    "$Q8K" quantize "$real/projection.npy" disk/out.npy --format q4_k
    cmp disk/out.npy blocks.npy
}

@test "a disk that is full while a file is replaced keeps the file" {
    disk 900 || skip "a small disk takes root, and the right to mount one"
    cp "$real/projection.npy" disk/same.npy
    failure "disk/same.npy: cannot be written: No space left on device" \
        "$Q8K" quantize "$real/projection.npy" disk/same.npy --format q8_k
    cmp "$real/projection.npy" disk/same.npy
    no_leftovers disk
}

@test "a disk that may not be written to is told" {
    disk 1024 || skip "a small disk takes root, and the right to mount one"
    echo old >disk/old.npy
    mount -o remount,ro disk
    for name in old new; do
        failure "disk/$name.npy: cannot make a file in its folder: Read-only file system" \
            "$Q8K" quantize "$real/projection.npy" disk/$name.npy --format q4_k
    done
    [ "$(cat disk/old.npy)" = old ]
}

@test "what may not be read or written is told" {
    local as=()
    if [ "$(id -u)" -eq 0 ]; then
        as=(setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/)
        "${as[@]}" "$Q8K" --version >/dev/null 2>&1 && "${as[@]}" test -r "$real/projection.npy" ||
            skip "another user cannot get at the command, $Q8K"
        chmod 711 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/* "$BATS_TEST_TMPDIR"
        "${as[@]}" test -x "$BATS_TEST_TMPDIR" || skip "another user cannot get at $BATS_TEST_TMPDIR"
    fi
    mkdir -m 755 sealed
    echo old >sealed/old.npy
    chmod 555 sealed
    for name in old new; do
        failure "sealed/$name.npy: cannot make a file in its folder: Permission denied" \
            "${as[@]}" "$Q8K" quantize "$real/projection.npy" sealed/$name.npy --format q4_k
    done
    [ "$(cat sealed/old.npy)" = old ]
    cp "$real/projection.npy" secret.npy
    chmod 000 secret.npy
    mkdir -m 777 open
    failure "secret.npy: cannot be opened: Permission denied" \
        "${as[@]}" "$Q8K" quantize secret.npy open/out.npy --format q4_k
    failure "secret.npy: cannot be opened: Permission denied" "${as[@]}" "$Q8K" inspect secret.npy
    [ -z "$(ls -A open)" ]
}

# ---- memory ----

@test "too little memory is an error, wherever it runs out" {
    # If a build itself needs more (address sanitizer), its sanitizers need not tell anyone.
    (ulimit -v 400000 && env -u ASAN_OPTIONS -u LSAN_OPTIONS -u UBSAN_OPTIONS "$Q8K" --version) ||
        skip "this build itself needs more (address sanitizer)"
    local line limit status refused=0 done=0
    make_large
    printf '\1\0\0\0\0\0\0\0k\11\0\0\0\0\0\0\0' >entry
    { first_fields 0 1; cat entry; number 8 20000000; head -c 20000000 /dev/zero; } >large.gguf
    for ((limit = 4000; limit < 72000; limit += 2000)); do
        # Below that it is the dynamic linker that fails.
        (ulimit -v $limit && "$Q8K" --version >/dev/null 2>&1) || continue
        for line in "quantize large.npy out.npy --format q8_k" "dequantize large-blocks.npy out.npy --format q8_k" \
            "inspect large.gguf" "inspect --json large-blocks.npy"; do
            rm -f out.npy
            status=0
            # shellcheck disable=SC2086
            (ulimit -v $limit && "$Q8K" $line >out 2>err) || status=$?
            if [ $status -eq 0 ]; then
                done=$((done + 1))
            elif [ $status -eq 134 ] && grep -q '^OMP: Error' err; then
                # OpenMP's library of clang says so in three lines and aborts.
                [ ! -e out.npy ]
                refused=$((refused + 1))
            else
                [ $status -eq 1 ] || { echo "status $status of: q8k $line, $limit KiB"; cat err; false; }
                # The last is what OpenMP's library says, which ends the program.
                grep -qE 'memory|Thread creation failed' err || { echo "q8k $line, $limit KiB:"; cat err; false; }
                [ "$(grep -c . err)" -eq 1 ]
                [ ! -e out.npy ]
                refused=$((refused + 1))
            fi
            no_leftovers
        done
    done
    echo "# $refused times refused, $done times done" >&3
    [ $refused -gt 10 ]
    [ $done -gt 10 ]
}

# ---- standard output ----

# into_closed_pipe ARGUMENT...: the reader is gone before anything is written.
into_closed_pipe() {
    { sleep 0.1; "$Q8K" "$@" 2>err || echo $? >status; } | :
    for _ in {1..100}; do
        [ ! -s status ] || break
        sleep 0.1
    done
}

@test "a closed pipe and a full disk behind standard output are failures, whatever is printed" {
    local line
    {
        # A report of some 18 KB, more than is written at once: numbers with names of 64 digits.
        first_fields 0 250
        for i in {1..250}; do printf '\100\0\0\0\0\0\0\0%064d\0\0\0\0\7' "$i"; done
    } >long.gguf
    for line in --help --version info "info --json" "quantize --help" "inspect long.gguf" "inspect --json long.gguf" \
        "inspect $real/projection.npy" "verify --backend builtin"; do
        rm -f status
        # shellcheck disable=SC2086
        into_closed_pipe $line
        [ "$(cat status)" = 1 ] || { echo "status $(cat status) of: q8k $line"; false; }
        grep -qx "q8k.*: cannot write to standard output: Broken pipe" err
        [ "$(wc -l <err)" -eq 1 ]
        # shellcheck disable=SC2016,SC2086
        failure "cannot write to standard output: No space left on device" bash -c '"$@" >/dev/full' q8k "$Q8K" $line
    done
}

# ---- signals ----

# whole_or_old NEW: old.npy is what it was, or NEW, and then becomes again what it was. Counts the former.
whole_or_old() {
    if [ "$(head -c 4 old.npy)" = old ]; then
        kept=$((kept + 1))
    else
        cmp old.npy "$1"
        echo old >old.npy
        replaced=$((replaced + 1))
    fi
}

# interrupt SIGNAL ROUNDS: each of the commands that write, at random moments. Background jobs of scripts ignore SIGINT, and
# so may all that this runs in.
interrupt() {
    local status line round
    kept=0 replaced=0
    make_large
    "$Q8K" dequantize large-blocks.npy large-floats.npy --format q8_k
    "$Q8K" matmul large-blocks.npy "$real/tokens.npy" product.npy --format q8_k
    echo old >old.npy
    for ((round = 0; round < $2; round++)); do
        for line in "quantize large.npy old.npy|large-blocks.npy" "dequantize large-blocks.npy old.npy|large-floats.npy" \
            "matmul large-blocks.npy $real/tokens.npy old.npy|product.npy"; do
            # shellcheck disable=SC2086
            env --default-signal=INT "$Q8K" ${line%|*} --format q8_k 2>err &
            moment
            kill -s "$1" $! 2>/dev/null || :
            status=0
            wait $! || status=$?
            # Killed by it, or done before it came.
            [ $status -eq 0 ] || [ $status -eq $((128 + $(kill -l "$1"))) ] || { echo "status $status"; cat err; false; }
            [ $status -ne 0 ] || [ "$(head -c 4 old.npy)" != old ]
            whole_or_old "${line#*|}"
            [ "$1" = KILL ] || no_leftovers
        done
    done
    echo "# SIG$1: $kept times the old file, $replaced times the new one" >&3
    [ $kept -gt 0 ]
}

@test "SIGINT at random moments leaves the old file or the whole new one" {
    interrupt INT 10
}

@test "SIGTERM at random moments leaves the old file or the whole new one" {
    interrupt TERM 10
}

@test "SIGKILL at random moments leaves the old file or the whole new one" {
    interrupt KILL 5
}

# ---- inputs ----

# meanwhile ACTION...: stops a quantize of large.npy at a random moment, acts, and lets it go on. Sets status.
meanwhile() {
    cp large.npy in.npy
    "$Q8K" quantize in.npy out.npy --format q8_k 2>err &
    sleep "0.0$(printf %03d $((RANDOM % 1000)))"
    kill -STOP $! 2>/dev/null || :
    "$@"
    kill -CONT $! 2>/dev/null || :
    status=0
    wait $! || status=$?
}

@test "an input that is cut meanwhile is an error, or was read before" {
    local told=0
    make_large
    for ((round = 0; round < 60 && told < 3; round++)); do
        rm -f out.npy
        meanwhile truncate -s 1000000 in.npy
        if [ $status -eq 0 ]; then
            cmp out.npy large-blocks.npy
        else
            [ $status -eq 1 ]
            # The length is looked at first: it may have been cut before.
            grep -qE '^q8k quantize: in.npy: (became shorter while it was read|data = 999925 bytes at byte 75 .*)$' err ||
                { cat err; false; }
            ! grep -q 'became shorter' err || told=$((told + 1))
            [ ! -e out.npy ]
        fi
        no_leftovers
    done
    [ $told -gt 0 ]
}

@test "an input that is changed meanwhile is read as one or the other, to its end" {
    make_large
    for _ in {1..6}; do
        rm -f out.npy
        meanwhile dd if=/dev/zero of=in.npy bs=1M seek=1 count=16 conv=notrunc status=none
        [ $status -eq 0 ] || { cat err; false; }
        [ "$(stat -c %s out.npy)" -eq "$(stat -c %s large-blocks.npy)" ]
        "$Q8K" dequantize out.npy back.npy --format q8_k
        no_leftovers
    done
}

@test "an input that is removed or replaced meanwhile is still read" {
    make_large
    for action in 'rm -f in.npy' "cp --remove-destination $real/projection.npy in.npy"; do
        for _ in {1..3}; do
            # The name may have been looked up after that.
            # shellcheck disable=SC2086
            meanwhile $action
            if [ $status -ne 0 ]; then
                grep -qx 'q8k quantize: in.npy: cannot be opened: No such file or directory' err
            elif ! cmp -s out.npy large-blocks.npy; then
                [ "$(stat -c %s out.npy)" -eq $((128 + 768 * 292)) ]
            fi
            no_leftovers
        done
    done
}

# ---- outputs ----

@test "what is read is not replaced, by any of its names" {
    mkdir folder
    cp "$real/projection.npy" one.npy
    ln one.npy hard.npy
    ln -s one.npy soft.npy
    for pair in "one.npy one.npy" "soft.npy folder/../one.npy" "one.npy soft.npy" "one.npy hard.npy"; do
        failure "${pair#* }: the output is the input (limit another file)" \
            "$Q8K" quantize "${pair% *}" "${pair#* }" --format q6_k --quiet
        cmp one.npy "$real/projection.npy"
    done
    [ -L soft.npy ]
    # Both of a product, and what is compared.
    cp "$real/tokens.npy" two.npy
    ln -s two.npy tokens.npy
    for output in one.npy soft.npy hard.npy two.npy tokens.npy; do
        failure "$output: the output is the input (limit another file)" \
            "$Q8K" matmul one.npy two.npy $output --format q6_k
        failure "$output: the output is the input (limit another file)" "$Q8K" compare one.npy two.npy --plot $output
    done
    cmp one.npy "$real/projection.npy"
    cmp two.npy "$real/tokens.npy"
}

@test "an output whose folder goes away meanwhile is an error" {
    make_large
    local told=0
    for ((round = 0; round < 20 && told == 0; round++)); do
        mkdir -p gone
        "$Q8K" quantize large.npy gone/out.npy --format q8_k 2>err &
        for _ in {1..200}; do
            [ -z "$(ls -A gone)" ] || break
            sleep 0.01
        done
        rm -rf gone
        status=0
        wait $! || status=$?
        [ $status -eq 0 ] || {
            [ $status -eq 1 ]
            grep -qE '^q8k quantize: gone/out.npy: cannot (be put in place|make a file in its folder): No such file' err
            told=1
        }
    done
    [ $told -eq 1 ]
}
