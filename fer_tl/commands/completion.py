"""Print a script that makes bash, zsh or fish complete commands and options."""

from __future__ import annotations

from fer_tl.commands import command_names, summary_of
from fer_tl.commands._arguments import arguments_of
from fer_tl.commands._command import Command
from fer_tl.core.errors import UserError, suggest

SHELLS = ("bash", "zsh", "fish")

_BASH = """\
_fer_tl() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} known=
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        known="{commands}"
    else
        case $word in -*) ;; *) return ;; esac
        case ${{COMP_WORDS[1]}} in
{cases}
        esac
    fi
    COMPREPLY=($(compgen -W "$known" -- "$word"))
}}
complete -o default -F _fer_tl fer-tl"""


def completion(shell: str) -> str:
    """A script that makes a shell complete the commands of fer-tl and their options, and files elsewhere.

    ``source <(fer-tl completion bash)`` in ``.bashrc`` or ``.zshrc`` (with ``zsh``) loads it; for fish,
    ``fer-tl completion fish > ~/.config/fish/completions/fer-tl.fish``.

    Args:
        shell: ``bash``, ``zsh`` or ``fish``.

    Returns:
        The script, which is printed.

    Raises:
        UserError: another shell.
    """
    if shell not in SHELLS:
        raise UserError(f"no completion for {shell!r}{suggest(shell, SHELLS)}")
    script = _fish() if shell == "fish" else _bash()
    if shell == "zsh":
        script = f"autoload -U +X compinit bashcompinit && compinit -u && bashcompinit\n{script}"
    print(script)
    return script


COMMAND = Command(completion, positional=("shell",))


def _flags(name: str) -> list[str]:
    return [flag for each in arguments_of(name) if not each.positional for flag in each.flags] + ["--help"]


def _bash() -> str:
    cases = "\n".join(f'        {name}) known="{" ".join(_flags(name))}" ;;' for name in command_names())
    return _BASH.format(commands=" ".join([*command_names(), "help"]), cases=cases)


def _fish() -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    lines = []
    for name in command_names():
        lines.append(f"complete -c fer-tl -n __fish_use_subcommand -a {name} -d {quoted(summary_of(name))}")
        seen = quoted(f"__fish_seen_subcommand_from {name}")
        for each in arguments_of(name):
            if not each.positional:
                flag = f"-l {each.flags[0].removeprefix('--')}{' -r' if each.kind else ''}"
                lines.append(f"complete -c fer-tl -n {seen} {flag} -d {quoted(each.text[:80])}")
    return "\n".join(lines)
