"""deploy/ray: what its files say is what the installed Ray knows, and what the gateway expects of a server.

The run itself, with two nodes, is ``bench/ray_serve.py``: it takes ``ray[serve]``, which is not among our packages.
"""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.browser.server import ROOT
from vlpro.config import Settings

FOLDER = ROOT / "deploy" / "ray"


def config(name: str) -> dict[str, Any]:
    """One of the files."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return found


def fields(path: str, name: str) -> set[str]:
    """The annotated fields of a class in Ray's source; importing it would take packages that are not installed."""
    spec = importlib.util.find_spec("ray")
    if spec is None or spec.origin is None:
        pytest.skip("the packages of the extra ray are not installed")
    tree = ast.parse((Path(spec.origin).parent / path).read_text(encoding="utf-8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    return {n.target.id for n in body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}


@pytest.mark.parametrize("name", ["small.yaml", "vllm.yaml"])
def test_ray_knows_every_field(name: str) -> None:
    said = config(name)
    assert said.keys() <= fields("serve/schema.py", "ServeDeploySchema")
    assert said["http_options"].keys() <= fields("serve/schema.py", "HTTPOptionsSchema")
    for application in said["applications"]:
        assert application.keys() <= fields("serve/schema.py", "ServeApplicationSchema")
        for deployment in application.get("deployments", ()):
            assert deployment.keys() <= fields("serve/schema.py", "DeploymentSchema")


def test_ray_knows_every_field_of_the_model() -> None:
    (application,) = config("vllm.yaml")["applications"]
    assert application["import_path"] == "ray.serve.llm:build_openai_app"
    (model,) = application["args"]["llm_configs"]
    path = "llm/_internal/serve/core/configs/llm_config.py"
    assert model.keys() <= fields(path, "LLMConfig")
    assert model["model_loading_config"].keys() <= fields(path, "ModelLoadingConfig")
    assert model["deployment_config"].keys() <= fields("serve/schema.py", "DeploymentSchema")


def test_the_server_is_what_the_gateway_expects_by_default() -> None:
    (model,) = config("vllm.yaml")["applications"][0]["args"]["llm_configs"]
    ours, engine = Settings.model_fields, model["engine_kwargs"]
    assert model["model_loading_config"]["model_id"] == ours["upstream_model"].default
    assert engine["max_model_len"] == ours["upstream_context_tokens"].default
    assert engine["limit_mm_per_prompt"]["image"] == ours["max_images"].default
    assert engine["trust_remote_code"] is False
    # Cards times questions in flight on each are those that the gateway sends.
    assert engine["max_num_seqs"] * model["deployment_config"]["num_replicas"] == (
        ours["upstream_concurrency"].default
    )


def test_the_small_application_is_there() -> None:
    (application,) = config("small.yaml")["applications"]
    module, _, name = application["import_path"].partition(":")
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert [one["name"] for one in application["deployments"]] == ["SmallModel"]
    assert "SmallModel" in classes
    assert f"\n{name} = " in (FOLDER / "small.py").read_text(encoding="utf-8")


def test_no_address_of_all_machines() -> None:
    for path in FOLDER.glob("*.yaml"):
        assert "0.0.0.0" not in path.read_text(encoding="utf-8"), path  # noqa: S104 - it is looked for
