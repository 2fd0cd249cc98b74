"""Builds an offline kit: all that a machine without a network needs, with checksums and a signature, as one archive.

    openssl genpkey -algorithm ed25519 -out kit.key        (once; keep it where only the builder gets at it)
    python deploy/offline/build.py --signing-key kit.key --output /tmp/kit

Needs Python 3.11 or newer with pip and venv, OpenSSL 3 and a package index. README.md beside it tells the rest.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lock import Pin, Target, needs, read, wanted
from pip._vendor.packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = ("ldap", "oidc", "otel", "pkcs11", "postgresql", "qwen", "ray")
LOCKS = ("requirements.txt", "requirements-ldap.txt", "requirements-qwen.txt", "requirements-dev.txt")
COMPILED = {"python-ldap"}  # there is no wheel of it: docs/adr/0008-ldap-client.md
DEPLOY = ("audit", "compose", "elk", "nftables", "nginx", "postgresql", "systemd")
_BLOCK = 1 << 20


class RefusedError(Exception):
    """Something stands in the way; the text says what to do."""


def main() -> int:
    """Build one kit. Returns the exit status."""
    options = arguments()
    target = Target(options.python, int(options.glibc.partition(".")[2]), options.machine)
    extras = sorted(set(options.extra))
    try:
        archive, print_ = build(options, target, extras)
    except RefusedError as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        said = " ".join(map(str, error.cmd))
        print(f"This failed, see above: {said}", file=sys.stderr)
        return 1
    print(archive)
    print(f"Fingerprint of the key, to be told by another way than the archive's: {print_}", file=sys.stderr)
    return 0


def arguments() -> argparse.Namespace:
    """What was asked for."""
    here, libc = platform.python_version_tuple(), platform.libc_ver()[1] or "2.36"
    parser = argparse.ArgumentParser(description="Build an offline kit.")
    parser.add_argument("--signing-key", type=Path, required=True, help="Ed25519 private key, PEM")
    parser.add_argument("--output", type=Path, required=True, help="folder for the archive")
    parser.add_argument(
        "--python", default=f"{here[0]}.{here[1]}", help="of the target; this one's if left out"
    )
    parser.add_argument(
        "--glibc", default=libc, help="of the target, such as 2.36 for Debian 12; this machine's"
    )
    parser.add_argument("--machine", default=platform.machine(), choices=("x86_64", "aarch64"))
    parser.add_argument("--extra", action="append", default=[], choices=EXTRAS, help="once for each")
    parser.add_argument(
        "--wheels", type=Path, help="folder of further wheels, such as torch for the target's card"
    )
    parser.add_argument(
        "--model", type=Path, action="append", default=[], help="a model's folder; once for each"
    )
    parser.add_argument("--manifest", type=Path, help="of the model; the official one if left out")
    parser.add_argument("--lock", type=Path, help="take this lock file whole, not the project's")
    return parser.parse_args()


def build(options: argparse.Namespace, target: Target, extras: list[str]) -> tuple[Path, str]:
    """Build it.

    Returns:
        The archive, and the fingerprint of the key.

    Raises:
        RefusedError: Says what to do.
        subprocess.CalledProcessError: A program failed.
    """
    if not options.signing_key.is_file():
        raise RefusedError(
            f"There is no {options.signing_key}. Make it once: openssl genpkey -algorithm ed25519 -out "
            f"{options.signing_key} (with -aes256 it is under a passphrase)."
        )
    version = re.search(
        r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert version is not None  # noqa: S101 - of our own file
    name = f"vlpro-{version[1]}-{target.tag}"
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kit-", dir=options.output) as scratch:
        kit = Path(scratch) / name
        wheels = kit / "wheels"
        wheels.mkdir(parents=True)
        tools = read((ROOT / "deploy/offline/tools.txt").read_text(encoding="utf-8"))
        tell("The product's own wheel")
        own(wheels, Path(scratch), tools)
        tell("The locked requirements")
        collect(wheels, Path(scratch), target, extras, options)
        (kit / "pip").mkdir()
        download(kit / "pip", [pin for pin in tools if pin.name == "pip"], target)
        described(kit, target, extras, version[1])
        copied(kit)
        tried(kit, target, options)
        tell("Checksums and signature")
        signed(kit, options.signing_key)
        archive = Path(options.output) / f"{name}.tar"
        packed(kit, archive)
        key = (kit / "kit.pub").read_bytes()
    return archive, fingerprint(key)


def own(wheels: Path, scratch: Path, tools: Sequence[Pin]) -> None:
    """The product's wheel, from a copy of the source, by a build tool whose hash is known."""
    with requirements(tools) as file:
        pip("install", "--no-deps", "--require-hashes", "--target", str(scratch / "tools"), "-r", file.name)
    source = scratch / "source"
    shutil.copytree(ROOT / "vlpro", source / "vlpro", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    compiled(wheels, scratch, str(source))


def compiled(wheels: Path, scratch: Path, *what: str) -> None:
    """Wheels made here, with the build tool that :func:`own` brought."""
    # Absolute: the build runs in the source's folder, and would take the interpreter's own setuptools otherwise.
    os.environ["PYTHONPATH"] = str((scratch / "tools").resolve())
    try:
        pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), *what)
    finally:
        del os.environ["PYTHONPATH"]


def collect(
    wheels: Path, scratch: Path, target: Target, extras: list[str], options: argparse.Namespace
) -> None:
    """All wheels that the product and its extras need; each one's hash stands in a lock file."""
    if options.wheels is not None:
        for wheel in sorted(options.wheels.glob("*.whl")):
            shutil.copy(wheel, wheels)
            tell(f"  not of a lock file: {wheel.name} sha256:{sha256(wheel)}")
    names = (str(options.lock),) if options.lock else LOCKS
    locks = [read((ROOT / name).read_text(encoding="utf-8")) for name in names]
    there = {str(parse_wheel_filename(one.name)[0]) for one in wheels.glob("*.whl")}
    due = [pin for pin in locks[0] if target.holds(pin.marker) and pin.name not in there]
    asked: set[tuple[str, tuple[str, ...]]] = set()
    while due:
        gathered(wheels, scratch, due, target)
        there = {str(parse_wheel_filename(one.name)[0]) for one in wheels.glob("*.whl")}
        missing: set[str] = set()
        if not options.lock:
            queue = [("vlpro", tuple(extras))]
            asked.clear()
            while queue:
                name, of = queue.pop()
                if (name, of) in asked or name not in there:
                    missing |= {name} - there
                    continue
                asked.add((name, of))
                (wheel,) = (
                    one for one in wheels.glob("*.whl") if str(parse_wheel_filename(one.name)[0]) == name
                )
                queue += needs(wheel, target, of).items()
        try:
            due = wanted(sorted(missing), locks, target)
        except ValueError as error:
            raise RefusedError(f"{error}.") from error


def gathered(wheels: Path, scratch: Path, pins: Sequence[Pin], target: Target) -> None:
    """The pins as wheels: published ones; compiled here where there are none."""
    download(wheels, [pin for pin in pins if pin.name not in COMPILED], target)
    for pin in pins:
        if pin.name in COMPILED:
            if not is_here(target):
                raise RefusedError(
                    f"There is no wheel of {pin.name}, so it must be compiled on a machine like the target: build "
                    "the kit there, or leave the extra out."
                )
            tell(f"  compiling {pin.name}")
            with requirements([pin]) as file:
                compiled(wheels, scratch, "--require-hashes", "-r", file.name)


def download(folder: Path, pins: Sequence[Pin], target: Target) -> None:
    """Published wheels for the target, each with a hash of its lock file."""
    if not pins:
        return
    tags = [option for tag in target.platforms for option in ("--platform", tag)]
    about = ["--implementation", "cp", "--python-version", target.python, *tags]
    with requirements(pins) as file:
        wheels_only = ("--no-deps", "--require-hashes", "--only-binary", ":all:")
        pip("download", *wheels_only, *about, "--dest", str(folder), "-r", file.name)


def requirements(pins: Sequence[Pin]) -> tempfile._TemporaryFileWrapper[str]:
    """A file for pip."""
    file = tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8")  # noqa: SIM115 - the caller closes it
    file.write("".join(f"{pin.line}\n" for pin in pins))
    file.flush()
    return file


def described(kit: Path, target: Target, extras: list[str], version: str) -> None:
    """What the installer must know: what the kit is for, and each wheel with its hash."""
    lines = [
        f"VERSION={version}",
        f"PYTHON={target.python}",
        f"GLIBC=2.{target.glibc}",
        f"MACHINE={target.machine}",
        f"EXTRAS={','.join(extras)}",
    ]
    (kit / "kit.env").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    listed = []
    for wheel in sorted((kit / "wheels").glob("*.whl")):
        name, number, *_ = parse_wheel_filename(wheel.name)
        listed.append(f"{name}=={number} --hash=sha256:{sha256(wheel)}\n")
    (kit / "requirements.txt").write_text("".join(listed), encoding="utf-8")


def copied(kit: Path) -> None:
    """The installer, files of the deployment, and the documents."""
    shutil.copy(ROOT / "deploy/offline/install.sh", kit)
    for name in ("LICENSE", "NOTICE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, kit)
    for name in DEPLOY:
        local = shutil.ignore_patterns(
            "secrets", "site", ".env", "__pycache__"
        )  # of whoever tries them out here
        shutil.copytree(ROOT / "deploy" / name, kit / "deploy" / name, ignore=local)
    shutil.copytree(ROOT / "docs", kit / "docs", ignore=shutil.ignore_patterns("images"))


def tried(kit: Path, target: Target, options: argparse.Namespace) -> None:
    """Install the kit here as the target will, for its bill of materials and to verify the models."""
    if not is_here(target):
        if options.model:
            raise RefusedError(
                "A model is verified by the kit itself: build it on a machine like the target."
            )
        tell("Not a kit for this machine: the bill of materials is made where it is installed")
        return
    tell("The bill of materials, of the kit as it installs")
    (pip_wheel,) = (kit / "pip").glob("*.whl")
    with tempfile.TemporaryDirectory(prefix="tried-", dir=options.output) as folder:
        run(sys.executable, "-m", "venv", "--without-pip", folder)
        python = Path(folder) / "bin/python"
        install = ("install", "--quiet", "--no-index", "--no-deps", "--no-compile", "--require-hashes")
        found = ("--find-links", str(kit / "wheels"), "-r", str(kit / "requirements.txt"))
        run(python, "-I", pip_wheel / "pip", *install, *found)
        if not options.lock:
            run(python, "-I", pip_wheel / "pip", "check")
        vlpro = (python, "-I", "-m", "vlpro")
        run(*vlpro, "sbom", "--output", kit / "sbom.json")
        for folder_of_model in options.model:
            tell(f"The model {folder_of_model.name}")
            manifest = ("--manifest", options.manifest) if options.manifest else ()
            run(*vlpro, "model", "verify", folder_of_model, *manifest)
            shutil.copytree(folder_of_model, kit / "models" / folder_of_model.name, symlinks=False)
            if options.manifest:
                shutil.copy(options.manifest, kit / "models" / f"{folder_of_model.name}.manifest.json")


def signed(kit: Path, key: Path) -> None:
    """SHA256SUMS over every file, its signature, and the public key."""
    files = sorted(path for path in kit.rglob("*") if path.is_file())
    lines = [f"{sha256(path)}  {path.relative_to(kit).as_posix()}\n" for path in files]
    sums = kit / "SHA256SUMS"
    sums.write_text("".join(lines), encoding="utf-8")
    run("openssl", "pkey", "-in", key, "-pubout", "-out", kit / "kit.pub")
    run("openssl", "pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", sums, "-out", kit / "SHA256SUMS.sig")


def packed(kit: Path, archive: Path) -> None:
    """One archive, of root's, in the order of names. It is not compressed: wheels and weights do not get smaller."""
    moment = int(os.environ.get("SOURCE_DATE_EPOCH") or (kit / "SHA256SUMS").stat().st_mtime)

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        entry.mtime = moment
        entry.mode = 0o755 if entry.isdir() or entry.name.endswith(".sh") else 0o644
        return entry

    partial = archive.with_suffix(".partial")
    with tarfile.open(partial, "w") as tar:
        tar.add(kit, kit.name, filter=plain)
    partial.replace(archive)


def fingerprint(public: bytes) -> str:
    """SHA-256 of the public key in its DER form."""
    command = ["openssl", "pkey", "-pubin", "-outform", "DER"]
    der = subprocess.run(command, input=public, capture_output=True, check=True).stdout  # noqa: S603
    return hashlib.sha256(der).hexdigest()


def is_here(target: Target) -> bool:
    """Whether what is built for the target runs on this machine, in this Python."""
    libc = platform.libc_ver()[1].partition(".")[2] or "0"
    python = "{}.{}".format(*platform.python_version_tuple()[:2])
    return (target.python, target.machine) == (python, platform.machine()) and target.glibc <= int(libc)


def sha256(path: Path) -> str:
    """Of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def pip(*options: str) -> None:
    """Run pip."""
    run(sys.executable, "-m", "pip", *options, "--quiet")


def run(*command: str | Path) -> None:
    """Run a program, whose settings for this product do not count."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("VLPRO_")}
    subprocess.run([str(word) for word in command], check=True, env=ours, stdout=sys.stderr)  # noqa: S603


def tell(line: str) -> None:
    """Say what is being done."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
