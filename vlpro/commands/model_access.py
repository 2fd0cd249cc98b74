"""What the commands of the model work on: its folder, verified, with a report where one is wanted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from vlpro.commands.terminal import progress

if TYPE_CHECKING:
    from vlpro.config import Settings
    from vlpro.engines.model_files import Manifest

__all__ = ["signing_seed", "verified"]


def verified(
    folder: Path | None, manifest: str | None, report: Path | None = None, *, work: str = ""
) -> tuple[Path, Manifest]:
    """The model's folder, which is what its manifest says.

    Args:
        folder: By the command line.
        manifest: Likewise.
        report: File for the report; None: none is wanted.
        work: Stands before the bar.

    Raises:
        ModelFilesError: Names the first file that is not what it must be; the report says so, too.
        ConfigError: No folder is named, or the report cannot be written.
    """
    from vlpro import config
    from vlpro.engines import model_files
    from vlpro.errors import ConfigError

    settings = config.load()
    if folder is None and settings.model_dir:
        folder = Path(settings.model_dir)
    if folder is None:
        raise ConfigError(
            "Name the model's folder behind the command, or set VLPRO_MODEL_DIR.",
            zh="请在命令后指定模型文件夹，或设置 VLPRO_MODEL_DIR。",
            param="model_dir",
        )
    listed = model_files.find_manifest(manifest or settings.model_manifest, folder)
    if report is not None:
        _reported(settings, folder, listed, report)
    else:
        with progress(work) as show:
            model_files.verify(folder, listed, progress=show)
    return folder, listed


def _reported(settings: Settings, folder: Path, manifest: Manifest, report: Path) -> None:
    """Verify, and write what was found."""
    from vlpro.commands.files import write_text
    from vlpro.engines import model_files, model_report
    from vlpro.errors import ConfigError, ModelFilesError

    if report.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            "Keep the report outside the model's folder: nothing else may lie in there.",
            zh="报告应放在模型文件夹之外：其中不能有其他文件。",
            param="report",
        )
    failure: ModelFilesError | None = None
    digests: dict[str, str] | None = None
    seed = signing_seed(settings)
    began = time.time()
    try:
        with progress() as show:
            model_files.verify(folder, manifest, progress=show)
        if settings.crypto == "gm":
            with progress("SM3") as show:
                digests = model_files.sm3(folder, manifest, progress=show)
    except ModelFilesError as error:
        failure = error
    said = model_report.content(folder, manifest, began, failure=failure, sm3=digests)
    write_text(report, model_report.written(said, seed))
    if failure is not None:
        raise failure


def signing_seed(settings: Settings) -> bytes | None:
    """Of the key that signs; None where profile ``local`` has not made one yet."""
    from vlpro.commands.audit_access import sealer
    from vlpro.errors import ConfigError

    try:
        return bytes(sealer(settings).signing_seed)
    except ConfigError:
        if settings.profile == "local" and settings.key_file is None:
            return None
        raise
