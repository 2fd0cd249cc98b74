"""Settings of files and batches."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["BatchOptions"]

Positive = Annotated[int, Field(gt=0)]


class BatchOptions(BaseModel):
    """A table of the settings; each of its fields has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    workers: Annotated[
        int, Field(ge=1, le=256, description="Lines worked on at once, all batches together")
    ] = 8
    max_lines: Annotated[int, Field(ge=1, le=1_000_000, description="Most lines of one batch")] = 50_000
    max_file_bytes: Annotated[Positive, Field(description="Largest file, bytes")] = 512_000_000
    max_owner_bytes: Annotated[
        Positive, Field(description="Bytes that all files of one person may take together")
    ] = 4_000_000_000
    max_owner_batches: Annotated[Positive, Field(description="Batches of one person that go on at once")] = 20
    max_archive_files: Annotated[Positive, Field(description="Most files of a zip")] = 10_000
    max_archive_ratio: Annotated[
        Positive, Field(description="Most times that a file of a zip is larger than its packed form")
    ] = 200
    max_archive_bytes: Annotated[
        Positive, Field(description="Bytes that all files of a zip may have unpacked")
    ] = 8_000_000_000
    days: Annotated[
        int, Field(ge=1, le=365, description="Days after which files, and batches that ended, are deleted")
    ] = 30
    ray_address: Annotated[
        str,
        Field(
            pattern=r"^(auto|ray://[^\s/]+|[^\s/:]+:\d{1,5})?$",
            description="Ray cluster that answers the lines, of which this machine is a node: HOST:6379, or auto; "
            "empty: the engine here answers them",
        ),
    ] = ""
    ray_workers: Annotated[int, Field(ge=1, le=4096, description="Engines on the cluster")] = 4
    ray_cpus: Annotated[
        float, Field(ge=0, le=256, description="Processors of the cluster that each of them is given")
    ] = 2
