# SPDX-License-Identifier: MIT
#
# What check-manual wants to know of a page in mdoc. -v want=...
#     names        the functions in its NAME section
#     prototypes   the prototypes in its SYNOPSIS, a line each, spaced as clang-format does
#     headers      the displays marked "header": declarations that are copied from a header, without comments
#     examples     the other displays of C, as files in the folder -v folder=..., named page-number.kind.c
# Every literal display has a mark before it, a comment:
#     example: program        a whole program, to be compiled and run
#     example: file           a file, to be compiled
#     example: body (A, B)    the body of a function with these parameters, to be compiled
#     example: header         see above
#     example: none           not C
# One without a mark ends this with exit status 1.

function finish_prototype(    i, text) {
    text = type (type ~ /\*$/ ? "" : " ") name "("
    for (i = 1; i <= arguments; i++)
        text = text (i > 1 ? ", " : "") argument[i]
    print text ")"
}

# The arguments of a macro, which are quoted where they have spaces, from the given word on.
function take_arguments(line,    quoted) {
    while (line != "") {
        sub(/^ +/, "", line)
        quoted = substr(line, 1, 1) == "\""
        if (!match(line, quoted ? "^\"[^\"]*\"" : "^[^ ]+"))
            break
        argument[++arguments] = quoted ? substr(line, 2, RLENGTH - 2) : substr(line, 1, RLENGTH)
        line = substr(line, RLENGTH + 1)
    }
}

function plain(line) {
    sub(/^\\&/, "", line)
    gsub(/\\-/, "-", line)
    gsub(/\\\(aq/, "'", line)
    gsub(/\\\(ha/, "^", line)
    gsub(/\\\(ti/, "~", line)
    gsub(/\\\(ga/, "`", line)
    gsub(/\\e/, "\\", line)
    return line
}

function begin_example(    page) {
    page = FILENAME
    sub(/.*\//, "", page)
    output = folder "/" page "-" ++count "." kind ".c"
    if (kind == "body")
        printf "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <q8k/q8k.h>\n" \
               "int example%s;\nint example%s {\n", parameters, parameters >output
}

function end_example() {
    if (kind == "body")
        print "return 0;\n}" >output
    close(output)
}

/^\.Sh / { section = $2 }
want == "names" && section == "NAME" && /^\.Nm / { print $2 }

want == "prototypes" && section == "SYNOPSIS" {
    if ($1 == ".Ft") {
        type = substr($0, 5)
        arguments = 0
    } else if ($1 == ".Fn" || $1 == ".Fo") {
        name = $2
        take_arguments(substr($0, length($1 " " $2) + 1))
    } else if ($1 == ".Fa")
        take_arguments(substr($0, 4))
    if ($1 == ".Fn" || $1 == ".Fc")
        finish_prototype()
}

/^\.\\" example: / {
    kind = $3
    parameters = substr($0, index($0, kind) + length(kind) + 1)
    next
}
/^\.Bd -literal/ {
    if (kind !~ /^(program|file|body|header|none)$/) {
        print FILENAME ":" FNR ": a display without a mark" >"/dev/stderr"
        failed = 1
    }
    display = kind
    if (want == "examples" && kind ~ /^(program|file|body)$/)
        begin_example()
    next
}
/^\.Ed/ {
    if (output != "")
        end_example()
    display = kind = output = ""
}
display == "header" && want == "headers" { print plain($0) }
output != "" { print plain($0) >output }
END { exit failed }
