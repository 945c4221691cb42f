"""A group of commands whose modules are imported only for the one that runs: `kelp --help` imports none."""

from __future__ import annotations

import importlib
import keyword
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

COMMANDS: dict[str, str] = {
    "up": "Run all models of this machine behind one V2 endpoint, and the bridge beside them.",
    "bridge": "Run the bridge alone: CVAT's webhooks in, annotations out.",
    "serve": "Run one model's predictor alone.",
    "models": "List the models and their states; wakes none.",
    "infer": "Send images to a model; show, save or print what it finds or fills.",
    "annotate": "Annotate a job, a task or a project of CVAT now.",
    "run": "Make a task from a task: crop its quadrats, or remove its grids.",
    "runs": "List, follow, retry and cancel the bridge's runs.",
    "bench": "Measure how fast a model or a function answers.",
    "verify": "Check that a model or a function answers every image, and sensibly.",
    "card": "Write a card for weights, check cards, or print their schema.",
    "export": "Make an ONNX file or a TensorRT engine of a YOLO checkpoint, and its card.",
    "pipeline": "Set up projects and webhooks in CVAT from one file, and check every link.",
    "deploy": "Bring models to a cluster, or to the kelp up of this machine, from their cards.",
    "get": "List models, projects or runs of a cluster or of this machine; wakes none.",
    "invoke": "Call a model once, with an image or a body.",
    "logs": "Print what a model or the bridge has logged.",
    "update": "Change a deployed model's settings or scale, or go back.",
    "delete": "Delete models; their weights stay.",
    "import": "Deploy cards that `kelp get model NAME -o yaml` printed.",
    "build": "Say what takes the place of nuctl's image build.",
    "dashboard": "Print the address of the bridge's page.",
    "version": "Print the versions of this program and of the servers it talks to.",
}
"""Name → one line of help, as the root's help shows it."""


class LazyGroup(TyperGroup):
    """For its help and completion a command is its name and one line; it is imported to be run."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in COMMANDS else command, rest


def load(name: str) -> Any:
    """The real command, its module imported."""
    module = f"{name}_" if keyword.iskeyword(name) else name
    app: typer.Typer = importlib.import_module(f"kelp.cli.commands.{module}").app
    command = get_command(app)
    command.name = name
    command.help = command.help or COMMANDS[name]
    return command
