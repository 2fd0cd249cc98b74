"""The engine that the settings name, and the cluster that answers batches."""

from __future__ import annotations

from pathlib import Path

from vlpro import errors
from vlpro.config import Settings
from vlpro.engines import registry
from vlpro.engines.choice import for_weights
from vlpro.engines.cluster import ClusterEngine
from vlpro.engines.hardware import probe
from vlpro.engines.interface import Engine
from vlpro.engines.worker.client import WorkerEngine
from vlpro.gateway.model_check import ModelCheck
from vlpro.sealing.seal import is_sealed
from vlpro.workflows.batch.options import BatchOptions

__all__ = ["cluster_of", "engine_of"]


def engine_of(settings: Settings, check: ModelCheck | None = None) -> Engine:
    """The engine that the settings name; one that computes comes in a worker process of its own.

    Args:
        settings: The settings.
        check: Of the model's files; None: each loading reads them all.

    Raises:
        ConfigError: A setting that this engine needs is missing.
    """
    name, options = _chosen(settings, check)
    engine = registry.create(name, options)
    if name not in registry.LOCAL:
        return engine
    return WorkerEngine(engine, options, idle_unload_s=settings.idle_unload_s)


def cluster_of(settings: Settings) -> ClusterEngine | None:
    """The engine on a Ray cluster that answers batches; None: the one here does.

    Raises:
        ConfigError: Ray is not installed, the engine has no place on a cluster, or this service may open no sockets.
    """
    batch = settings.batch or BatchOptions()
    if not batch.ray_address:
        return None
    if is_sealed():
        raise errors.ConfigError(
            "A sealed service opens no sockets, and Ray needs some. Leave ray_address out, and set "
            "VLPRO_UPSTREAM_URL to a server of the cluster (vLLM, Ray Serve): the relay reaches that.",
            zh="封闭运行的服务不能打开套接字，而 Ray 需要。请去掉 ray_address，并将 VLPRO_UPSTREAM_URL 设为集群上的"
            "服务（vLLM、Ray Serve），由中继访问。",
            param="batch.ray_address",
        )
    name, options = _chosen(settings, None)
    return ClusterEngine(batch.ray_address, name, options, workers=batch.ray_workers, cpus=batch.ray_cpus)


def _chosen(settings: Settings, check: ModelCheck | None) -> tuple[str, dict[str, object]]:
    """Name and options of the engine that the settings ask for. Raises: as :func:`engine_of`."""
    name = settings.engine
    if name == "auto":
        name = "openai" if settings.upstream_url else "ocr"
        if settings.model_dir and not settings.upstream_url:
            name = for_weights(settings.device, probe())
    if name in ("openvino", "transformers") and not settings.model_dir:
        raise errors.ConfigError(
            f"Engine {name} needs VLPRO_MODEL_DIR: the folder of Qwen3-VL-4B-Instruct.",
            zh=f"{name} 引擎需要 VLPRO_MODEL_DIR：Qwen3-VL-4B-Instruct 的模型文件夹。",
            param="model_dir",
        )
    if name == "openai" and not settings.upstream_url:
        raise errors.ConfigError(
            "Engine openai needs VLPRO_UPSTREAM_URL: the base URL of an OpenAI-compatible server, with /v1.",
            zh="openai 引擎需要 VLPRO_UPSTREAM_URL：OpenAI 兼容服务的基础网址，以 /v1 结尾。",
            param="upstream_url",
        )
    options: dict[str, dict[str, object]] = {
        "openvino": {
            "folder": str(Path(settings.model_dir).absolute()),
            "manifest": settings.model_manifest,
            "activations": settings.activations,
            "keep_s": settings.idle_ttl_s,
        },
        "transformers": {
            "folder": str(Path(settings.model_dir).absolute()),
            "manifest": settings.model_manifest,
            "load_in_4bit": settings.load_in_4bit,
            "device": settings.device,
            "keep_s": settings.idle_ttl_s,
        },
        "fake": {"delay_s": settings.fake_delay_s},
        "openai": {
            "url": settings.upstream_url,
            "model": settings.upstream_model,
            "key": settings.upstream_key.get_secret_value(),
            "ca": settings.upstream_ca,
            "socket": settings.upstream_socket,
            "context_tokens": settings.upstream_context_tokens,
            "concurrency": settings.upstream_concurrency,
        },
    }
    if check is not None and name in ("openvino", "transformers"):
        options[name] |= check.options
    return name, options.get(name, {})
