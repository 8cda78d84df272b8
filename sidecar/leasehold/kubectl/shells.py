"""`kubectl leasehold completion`: completion of the program `kubectl-leasehold` itself, in three shells.

`kubectl leasehold …` needs none of these: kubectl's own completion calls `kubectl_complete-leasehold`. These scripts
call the same program.
"""

from __future__ import annotations

from typing import Final

_HEAD: Final = """\
# Completes kubectl-leasehold; `kubectl leasehold` is completed by kubectl's own completion, once that is loaded.
"""

BASH: Final = (
    _HEAD
    + r"""# Load it by: source <(kubectl leasehold completion bash)
_kubectl_leasehold() {
    local line="${COMP_LINE:0:COMP_POINT}" answer current directive=4
    local -a words
    read -ra words <<< "$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    current="${words[${#words[@]} - 1]}"
    COMPREPLY=()
    while IFS= read -r answer; do
        if [[ "$answer" == :* ]]; then
            directive="${answer#:}"
        else
            answer="${answer%%$'\t'*}"
            # bash replaces only what stands after the last of these characters
            [[ "$COMP_WORDBREAKS" == *=* && "$current" == *=* ]] && answer="${answer#"${current%"${current##*=}"}"}"
            [[ "$COMP_WORDBREAKS" == *:* && "$current" == *:* ]] && answer="${answer#"${current%"${current##*:}"}"}"
            COMPREPLY+=("$answer")
        fi
    done < <(kubectl_complete-leasehold "${words[@]:1}" 2>/dev/null)
    [[ "$directive" == 0 ]] && compopt -o default 2>/dev/null
    [[ "${COMPREPLY[0]}" == *= ]] && [[ ${#COMPREPLY[@]} -eq 1 ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -F _kubectl_leasehold kubectl-leasehold
"""
)

ZSH: Final = (
    "#compdef kubectl-leasehold\n"
    + _HEAD
    + r"""# Load it by: source <(kubectl leasehold completion zsh)
_kubectl_leasehold() {
    local line word directive=4
    local -a choices
    while IFS= read -r line; do
        if [[ "$line" == :* ]]; then
            directive="${line#:}"
            continue
        fi
        word="${line%%$'\t'*}"
        choices+=("${word//:/\\:}${${line#"$word"}/$'\t'/:}")
    done < <(kubectl_complete-leasehold "${(@)words[2,CURRENT]}" 2>/dev/null)
    if [[ "$directive" == 0 ]]; then
        _files
    else
        _describe 'kubectl leasehold' choices
    fi
}
if [ "${funcstack[1]}" = "_kubectl-leasehold" ]; then
    _kubectl_leasehold
else
    compdef _kubectl_leasehold kubectl-leasehold
fi
"""
)

FISH: Final = (
    _HEAD
    + r"""# Load it by: kubectl leasehold completion fish | source
function __kubectl_leasehold
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    set -l answer (kubectl_complete-leasehold $words[2..-1] "$last[1]" 2>/dev/null)
    if test "$answer[-1]" = ":0"
        __fish_complete_path (commandline -ct)
    else
        string match -v -r '^:' -- $answer
    end
end
complete -c kubectl-leasehold -f -a '(__kubectl_leasehold)'
"""
)

SCRIPTS: Final = {"bash": BASH, "zsh": ZSH, "fish": FISH}
