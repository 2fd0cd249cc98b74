"""How the command line is explained: what was wrong with it, and Typer's own words in the terminal's language."""

from __future__ import annotations

import re
from typing import Any

import typer

from vlpro.commands.terminal import WrongUsageError, t, tell

__all__ = ["explain", "reword"]

_CHINESE = (  # what Typer says without a class of its own
    (r"Missing command\.", "缺少命令。"),
    (r"No such command '(.*)'\.", "没有命令 {}。"),
    (r"No such command '(.*)'\. Did you mean (.*)\?", "没有命令 {}。是否想用 {}？"),
    (r"Got unexpected extra argument(?:s|\(s\))? \((.*)\)", "多余的参数：{}。"),
)
_VALUES = (  # what pydantic says of a value
    (r"Input should be greater than or equal to (.*)", "应不小于 {}。", "it must be {} or more."),
    (r"Input should be less than or equal to (.*)", "应不大于 {}。", "it must be {} or less."),
    (r"Input should be a valid integer.*", "应为整数。", "it must be a whole number."),
    (r"Input should be a valid number.*", "应为数字。", "it must be a number."),
)


def explain(error: typer.TyperException) -> None:
    """Say what was wrong with the command line, and where it is described."""
    context = getattr(error, "ctx", None)
    if context is not None:
        tell(context.get_usage())
    tell(_sentence(error))
    command = context.command_path if context is not None else "vlpro"
    tell(t(f"说明：{command} --help", f"For help: {command} --help"))


def reword(command: Any) -> None:
    """Give Typer's own options our words, and flags and arguments no type: it would be Python's.

    Args:
        command: Typer's; those below it are reworded, too.
    """
    words = {
        "help": t("显示说明", "show this and end"),
        "install_completion": t("为当前 shell 安装补全", "install completion for the shell in use"),
        "show_completion": t(
            "显示当前 shell 的补全脚本", "print the completion's script for the shell in use"
        ),
    }
    for parameter in command.get_params(typer.Context(command)):
        if parameter.name in words:
            parameter.help = words[parameter.name]
            parameter.default = False  # where it is None, Typer imports pydantic to say that None is no bool
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        elif parameter.param_type_name == "argument":
            parameter.display_type_rich = lambda ctx: None  # noqa: ARG005 - Typer calls it so
    for below in getattr(command, "commands", {}).values():
        reword(below)


def _sentence(error: typer.TyperException) -> str:
    kind = type(error).__name__  # Typer keeps these classes to itself
    parameter = getattr(error, "param", None)
    if kind == "NoSuchOption":
        option, near = error.option_name, ", ".join(sorted(error.possibilities or ()))  # type: ignore[attr-defined]
        return t(
            f"没有选项 {option}。" + f"是否想用 {near}？" * bool(near),
            f"There is no option {option}." + f" Did you mean {near}?" * bool(near),
        )
    if kind == "BadOptionUsage":
        option, wants = error.option_name, "requires" in error.message  # type: ignore[attr-defined]
        return t(f"选项 {option} {'需要一个值' if wants else '不接受值'}。", error.format_message())
    if (
        isinstance(error, typer.BadParameter)
        and not isinstance(error, WrongUsageError)
        and parameter is not None
    ):
        is_option = parameter.param_type_name == "option"
        name = "/".join(parameter.opts) if is_option else parameter.metavar or parameter.name
        if kind == "MissingParameter":
            return t(f"缺少 {name}。", f"{name} is missing.")
        zh, en = _of_value(error.message)
        return t(f"{name} 的值无法使用：{zh}", f"{name} cannot be used: {en}")
    for pattern, zh in _CHINESE:
        if found := re.fullmatch(pattern, error.message):
            return t(zh.format(*(part or "" for part in found.groups())), error.message)
    return error.format_message()


def _of_value(message: str) -> tuple[str, str]:
    """What is wrong with a value, in Chinese and in English."""
    for pattern, zh, en in _VALUES:
        if found := re.fullmatch(pattern, message, re.DOTALL):
            return zh.format(*found.groups()), en.format(*found.groups())
    return message, message
