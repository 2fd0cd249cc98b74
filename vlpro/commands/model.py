"""``vlpro model``: the model's files brought in, verified, listed, and packed into fewer bits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlpro.commands.model_access import signing_seed, verified
from vlpro.commands.terminal import Json, WrongUsageError, answer, progress, t

if TYPE_CHECKING:
    from vlpro.engines.model_files import Manifest

__all__ = ["app"]

app = typer.Typer(help=t("模型文件", "the model's files"))

OwnManifest = Annotated[
    str | None,
    typer.Option(
        "--manifest",
        metavar="FILE",
        help=t(
            "模型的清单；默认 VLPRO_MODEL_MANIFEST，否则为内置的官方清单",
            "of the model; VLPRO_MODEL_MANIFEST where left out, else the official one, which is built in",
        ),
    ),
]
Folder = Annotated[
    Path | None,
    typer.Argument(
        metavar="FOLDER",
        help=t("模型文件夹；默认 VLPRO_MODEL_DIR", "the model's; VLPRO_MODEL_DIR where left out"),
    ),
]


@app.command(help=t("按清单校验模型文件夹", "check a model's folder against its manifest"))
def verify(
    *,
    folder: Folder = None,
    manifest: OwnManifest = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help=t("写出签名的报告；须在模型文件夹之外", "write a signed report; outside the folder"),
        ),
    ] = None,
    json: Json = False,
) -> None:
    checked, listed = verified(folder, manifest, report)
    files = [
        {
            "name": name,
            "size": entry.size,
            "sha256": entry.sha256,
            "there": (checked / name).exists(),
        }
        for name, entry in listed.files.items()
    ]
    said = {"folder": str(checked), "name": listed.name, "revision": listed.revision, "files": files}
    answer(said, _files_text(listed, files), json=json)


def _files_text(manifest: Manifest, files: list[dict[str, Any]]) -> str:
    width = max(len(file["name"]) for file in files)
    lines = []
    for file in files:
        state = t("一致", "ok") if file["there"] else t("无（可选）", "absent, optional")
        lines.append(f"{file['name']:<{width}}  {file['size']:>13,}  {file['sha256']}  {state}")
    of = f"{manifest.name} {manifest.revision}".rstrip()
    count = sum(file["there"] for file in files)
    lines.append(t(f"{of}：{count} 个文件校验一致。", f"{of}: {count} files are what they must be."))
    return "\n".join(lines)


@app.command(
    name="manifest",
    help=t("为其他模型文件夹生成清单（JSON）", "make a manifest of another model's folder, as JSON"),
)
def manifest_(
    *,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help=t("可信的模型文件夹", "which is trusted"))],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help=t("模型名称", "the model's name"))],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help=t("默认标准输出；须在模型文件夹之外", "stdout where left out; outside the folder"),
        ),
    ] = None,
) -> None:
    from vlpro.commands.files import write_text
    from vlpro.engines.model_files import make_manifest
    from vlpro.errors import ConfigError

    if output and output.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            "Keep the manifest outside the model's folder: who can alter the one could alter the other.",
            zh="清单应放在模型文件夹之外：能改动文件夹的人也能改动其中的清单。",
            param="output",
        )
    with progress() as show:
        text = make_manifest(folder, name, progress=show).to_json()
    if output:
        write_text(output, text)
    else:
        typer.echo(text, nl=False)


@app.command(
    help=t(
        "从文件夹、介质或归档带入模型，边复制边校验",
        "bring a model in from a folder, a medium or an archive; verified while it is copied",
    )
)
def fetch(
    *,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help=t(
                "文件夹或归档（zip、tar）；不会访问网络",
                "a folder, or an archive (zip, tar); no network is asked",
            ),
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            metavar="FOLDER",
            help=t("新文件夹，或中断后要继续的文件夹", "a new folder, or that of a run to go on with"),
        ),
    ],
    manifest: OwnManifest = None,
    json: Json = False,
) -> None:
    from vlpro import config
    from vlpro.engines import model_fetch
    from vlpro.engines.model_files import find_manifest

    path = manifest or config.load().model_manifest
    find_manifest(path, Path(source))  # nor may it come with the files
    listed = find_manifest(path, output)
    with progress() as show:
        made = model_fetch.fetch(source, output, listed, show)
    files = [{"name": one.name, "size": one.size, "copied": one.copied} for one in made]
    copied = sum(one.copied for one in made)
    own = f" VLPRO_MODEL_MANIFEST={path}" if path else ""
    answer(
        {"folder": str(output), "name": listed.name, "revision": listed.revision, "files": files},
        t(
            f"{output}：{listed.name}，{len(made)} 个文件校验一致，本次复制 {copied / 1e9:.1f} GB。\n"
            f"使用：VLPRO_MODEL_DIR={output}{own}",
            f"{output}: {listed.name}, {len(made)} files are what they must be; {copied / 1e9:.1f} GB copied now.\n"
            f"To use it: VLPRO_MODEL_DIR={output}{own}",
        ),
        json=json,
    )


@app.command(help=t("为无显卡的机器压缩权重", "pack the weights for machines without a card"))
def convert(
    *,
    folder: Folder = None,
    output: Annotated[Path, typer.Option("--output", metavar="FOLDER", help=t("新文件夹", "a new folder"))],
    manifest: OwnManifest = None,
    bits: Annotated[
        int,
        typer.Option(
            "--bits",
            metavar="4|8",
            help=t("语言模型各层的位数", "of the language model's layers"),
        ),
    ] = 4,
    json: Json = False,
) -> None:
    import shutil

    from vlpro.commands.files import write_text
    from vlpro.engines.model_files import make_manifest
    from vlpro.engines.openvino import convert as packing

    if bits not in (4, 8):
        raise WrongUsageError("--bits is 4 or 8.", zh="--bits 应为 4 或 8。")
    checked, listed = verified(folder, manifest, work=t("校验", "verify"))
    listing, new = output.with_name(output.name + ".manifest.json"), not output.exists()
    try:
        with progress(t("压缩", "pack")) as show:
            packing.convert(checked, output, 4 if bits == 4 else 8, progress=show)
    except KeyboardInterrupt:
        if new:
            shutil.rmtree(output, ignore_errors=True)  # half a model would stand in the next run's way
        raise
    with progress(t("清单", "manifest")) as show:
        made = make_manifest(output, listed.name, progress=show)
    write_text(listing, made.to_json())
    size = sum(entry.size for entry in made.files.values())
    answer(
        {"folder": str(output), "manifest": str(listing), "size": size, "bits": bits},
        t(
            f"{output}：{size / 1e9:.1f} GB。清单：{listing}。\n"
            "未经实测：压缩对官方权重回答质量的影响没有测过。\n"
            f"使用：VLPRO_MODEL_DIR={output} VLPRO_MODEL_MANIFEST={listing}",
            f"{output}: {size / 1e9:.1f} GB. Its manifest: {listing}.\n"
            "Not verified: what packing does to the answers of the published weights was not measured.\n"
            f"To use it: VLPRO_MODEL_DIR={output} VLPRO_MODEL_MANIFEST={listing}",
        ),
        json=json,
    )


@app.command(name="report", help=t("检查校验报告的签名", "check the signature of a report of a verification"))
def report_(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help=t("报告", "the report"))],
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            metavar="HEX",
            help=t("受信任的公钥；默认由密钥文件得出", "public key to trust; the key file's where left out"),
        ),
    ] = None,
    json: Json = False,
) -> None:
    from vlpro import config
    from vlpro.audit.checkpoint import public_key
    from vlpro.engines import model_report
    from vlpro.errors import ConfigError, ModelFilesError

    try:
        keys = [bytes.fromhex(one) for one in key or ()]
    except ValueError as error:
        raise WrongUsageError("--key is no hexadecimal number.", zh="--key 不是十六进制数。") from error
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else t("不是文本", "it is no text")
        raise ConfigError(
            f"{file} cannot be read: {why}. Name the file that vlpro model verify --report wrote.",
            zh=f"无法读取 {file}：{why}。请指定 vlpro model verify --report 写出的文件。",
            param="report",
        ) from error
    if not keys:
        seed = signing_seed(config.load())
        keys = [public_key(seed)] if seed is not None else []
    said = model_report.opened(text, keys)
    of, refused = said["manifest"], said.get("refused")
    lines = [f"{one['name']:<40}  {one['size']:>13,}  {one['sha256']}" for one in said["files"]]
    about = f"{of['name']} {of['revision']}".strip()
    lines.append(f"{about}  {said['folder']}  {said['host']}  {said['tool']}")
    if not refused:
        lines.append(
            t(
                f"签名正确：{said['time']} 校验一致，共 {len(said['files'])} 个文件。",
                f"The signature is right: {len(said['files'])} files were what they must be at {said['time']}.",
            )
        )
    answer(said, "\n".join(lines), json=json)
    if refused:
        raise ModelFilesError(
            f"The signature is right, and says that the folder was refused at {said['time']}: {refused['why']}",
            zh=f"签名正确。报告表明 {said['time']} 校验未通过：{refused['why']}",
            param=refused["file"],
        )
