"""A shell's completion of the launcher's commands, flags, sweeps and profiles."""

import argparse
import shlex
import sys

from lib.base import places
from lib.plans import documents

COMMAND = "tessera"
# zsh completes once compinit has run. What shtab ends with works for `eval` and in a file of fpath, not for `source`.
ZSH_BEGINS = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }"
ZSH_ENDS = "if [[ $zsh_eval_context[-1] == eval ]]"
# bash makes three words of --profile=smoke; the function of shtab knows --profile smoke.
BASH_ENDS = f"""
_{COMMAND}_words() {{
  local i at=$COMP_CWORD
  local -a words=()
  for i in "${{!COMP_WORDS[@]}}"; do
    if [[ ${{COMP_WORDS[i]}} != = ]]; then words+=("${{COMP_WORDS[i]}}")
    elif (( i == COMP_CWORD )); then words+=("")
    elif (( i < COMP_CWORD )); then (( at-- ))
    fi
  done
  local -a COMP_WORDS=("${{words[@]}}")
  local COMP_CWORD=$at
  _shtab_{COMMAND}
}}

complete -o bashdefault -F _{COMMAND}_words {COMMAND}
"""


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """A script that makes the command `tessera`, which runs this checkout from any folder, and completes its words.

    It changes `parser`, which is not used for anything else. shell: bash or zsh.
    """
    import shtab

    parser.prog = COMMAND
    words = {"sweep": documents.names(), "profile": documents.profiles()}
    for action in _below(parser):
        action.choices = words.get(action.dest, action.choices)
    line = shlex.join([sys.executable, str(places.ROOT / "launch.py")])
    text = shtab.complete(parser, shell=shell)
    if shell == "bash":
        text += BASH_ENDS
    if shell == "zsh":
        text = f"{ZSH_BEGINS}\n{text.partition(ZSH_ENDS)[0]}compdef _shtab_{COMMAND} {COMMAND}\n"
    return f'{COMMAND}() {{ {line} "$@"; }}\n{text}'


def _below(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The flags and positional arguments of every command."""
    (verbs,) = (action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return [action for verb in verbs.values() for action in verb._actions]
