# SPDX-License-Identifier: MIT
#
# For mca-table: of a listing by llvm-objdump and a trace (a line with the address where the kernel begins, then one
# with each address that was run) makes what llvm-mca can read. Variables: triple, and spills_file.
#
# Where a jump goes makes no difference to llvm-mca. What is outside the listing is the C library's, once a row or less.
# Counts spills, too: accesses of a fixed place on the stack that was both written and read as the same kind of
# register, as arrays seldom are.

function place(text, at) {
    if (match(text, /\[(sp|x29)(, *#-?[0-9a-fx]+)?\]/)) {
        at = substr(text, RSTART, RLENGTH)
        wrote = text ~ /^st/
        match(text, /[ \t][a-z]/)
        return at substr(text, RSTART + 1, 1) (text ~ /^(ld|st)u?rs?[bh]/ ? "b" : "")
    }
    if (match(text, /(-?0x[0-9a-f]+)?\(%rsp\)|-0x[0-9a-f]+\(%rbp\)/)) {
        at = substr(text, RSTART, RLENGTH)
        wrote = text ~ /^v?mov.*, *[^ ,]*\(%r[sb]p\)$/
        return at (match(text, /%[xyz]mm/) ? substr(text, RSTART, RLENGTH) : "")
    }
}
FNR == NR {
    if (split($0, part, /:[ \t]+/) < 2 || part[1] !~ /^ *[0-9a-f]+$/)
        next
    sub(/^ */, "", part[1])
    text = part[2]
    sub(/[ \t]*(\/\/|#  *0x).*/, "", text)
    if (sub(/ *<[^<]*>$/, "", text) && text !~ /\(/)
        sub(/0x[0-9a-f]+$/, triple == "x86_64" ? "0" : text ~ /^adrp/ ? "#4096" : "#8", text)
    listing[part[1]] = text
    next
}
FNR == 1 { begin = $1; next }
$1 == begin { running = 1 }
running && $1 in listing {
    print listing[$1]
    if ((at = place(listing[$1])) != "")
        wrote ? writes[at]++ : reads[at]++
}
END {
    for (at in writes)
        if (at in reads)
            spills += writes[at] + reads[at]
    print spills + 0 >spills_file
}
