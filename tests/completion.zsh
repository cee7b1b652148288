# SPDX-License-Identifier: MIT
#
# Prints what zsh offers for the command line $words, a word a line. $completions is the folder of _q8k, $notes a file to
# be made. Zsh completes in an interactive shell only, so an inner one runs in a pseudo-terminal; its compadd notes what
# is offered.
zmodload zsh/zpty || exit 1
export completions words notes

cat >$notes.rc <<'INNER'
fpath=($completions $fpath)
autoload -Uz compinit && compinit -D -u
compadd() {
    # With these options it only asks.
    if (( ! ${@[(I)-[OAD]]} )); then
        local -a offered
        builtin compadd -O offered "$@"
        print -rl -- $offered >>$notes
    fi
    builtin compadd "$@"
}
note() {
    _main_complete
    : >$notes.done
}
zle -C note complete-word note
bindkey '^T' note
print READY
INNER
: >$notes

zpty inner zsh -f -i
zpty -w inner "source $notes.rc"
zpty -r -m inner text '*READY'$'\r'$'\n''*'
zpty -w -n inner $words$'\C-t'
for (( i = 0; i < 100; i++ )); do
    [[ -e $notes.done ]] && break
    sleep 0.1
done
zpty -d inner
[[ -e $notes.done ]] || { print -u2 "zsh did not complete: $words"; exit 1 }
cat $notes
