#!/usr/bin/env bash
# Installs the kit that it lies in on a machine without a network. Before anything of the kit runs, it checks the key's
# fingerprint, the signature, and every file. What it makes, and in which order: README.md, docs/operations.md.
set -euo pipefail
export LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 022

KIT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
PROGRAM=/opt/vlpro SETTINGS=/etc/vlpro DATA=/var/lib/vlpro MODELS=/srv/models UNITS=/etc/systemd/system
COMMAND=/usr/local/sbin/vlpro NGINX=/etc/nginx BACKUPS=/var/backups/vlpro
DRY='' CREATED=''

case "${LANG:-}" in zh*) CHINESE=1 ;; *) CHINESE='' ;; esac
t() { if [ -n "$CHINESE" ]; then printf '%s' "$1"; else printf '%s' "$2"; fi; } # Chinese, English
say() { printf '%s\n' "$(t "$1" "$2")"; }
refuse() {
    printf '%s\n' "$(t "$1" "$2")" >&2
    exit 1
}

# Do it, or with --dry-run tell only.
run() {
    if [ -n "$DRY" ]; then printf '%s %s\n' "$(t '将执行：' 'would run:')" "$*"; else "$@"; fi
}

# Write the standard input to a file with these rights and this owner.
put() { # FILE MODE OWNER:GROUP
    if [ -n "$DRY" ]; then
        cat >/dev/null
        say "将写入：$1" "would write: $1"
        return
    fi
    local made
    made=$(mktemp "$1.XXXXXX")
    cat >"$made"
    chmod "$2" "$made"
    chown "$3" "$made"
    mv -f "$made" "$1"
}

usage() {
    cat <<'END'
install.sh [install] [OPTIONS]   install this kit, or bring an installation to it
install.sh verify [OPTIONS]      only check signature and files
install.sh uninstall             remove program, units and nginx's files; settings, keys and data stay

  --fingerprint HEX        SHA-256 of the builder's public key, told to you by another way than the kit itself
  --profile mlps3|local    mlps3 (default): accounts, behind nginx; local: one person, on 127.0.0.1
  --address HOST           profile mlps3: the name under which people find the service, such as vl.example.cn
  --database URL           sqlite (default), or postgresql:///NAME?host=/run/postgresql; never with a password
  --engine NAME            auto (default), ocr, openvino, transformers, openai
  --upstream URL           engine openai: http://IP:PORT/v1 of the model's server inside the network
  --certificate FILE       PEM, with the certificates between it and the root; needs --certificate-key
  --certificate-key FILE   PEM; only the path stands here
  --python FILE            interpreter to use; python3 where left out
  --dry-run                tell what would be done, and do nothing
END
}

# ---- What was asked for

ACTION=install FINGERPRINT='' PROFILE='' ADDRESS='' DATABASE='' ENGINE='' UPSTREAM='' CERTIFICATE='' CERTIFICATE_KEY=''
PYTHON=''

arguments() {
    case "${1:-}" in install | verify | uninstall) ACTION=$1 && shift ;; esac
    while [ $# -gt 0 ]; do
        case "$1" in
            -h | --help) usage && exit 0 ;;
            --dry-run) DRY=1 && shift && continue ;;
            --fingerprint | --profile | --address | --database | --engine | --upstream | --certificate | \
                --certificate-key | --python)
                [ $# -gt 1 ] || refuse "$1 后缺少内容。" "$1 needs a value."
                local name=${1#--}
                name=${name^^}
                printf -v "${name//-/_}" '%s' "$2"
                shift 2
                ;;
            *)
                usage >&2
                exit 2
                ;;
        esac
    done
}

# The value of a question: what the option said, else what a person answers, else the default; without both, refuse.
ask() { # VARIABLE OPTION DEFAULT Chinese English
    [ -z "${!1}" ] || return 0
    local said=''
    if [ -t 0 ]; then
        printf '%s%s: ' "$(t "$4" "$5")" "${3:+ [$3]}" >&2
        read -r said || true
    fi
    said=${said:-$3}
    [ -n "$said" ] || refuse "请用 $2 指定：$4" "Name it by $2: $5"
    printf -v "$1" '%s' "$said"
}

only() { # VALUE PATTERN OPTION
    [[ $1 =~ ^$2$ ]] || refuse "$3 的值不正确：$1" "The value of $3 is not of its form: $1"
}

questions() {
    ask PROFILE --profile mlps3 '模式：mlps3 或 local' 'Profile: mlps3 or local'
    only "$PROFILE" '(mlps3|local)' --profile
    ask DATABASE --database sqlite '数据库：sqlite 或 postgresql:///库名?host=/run/postgresql' \
        'Database: sqlite, or postgresql:///NAME?host=/run/postgresql'
    ENGINE=${ENGINE:-auto}
    only "$ENGINE" '(auto|ocr|openvino|transformers|openai|fake)' --engine
    [ -z "$UPSTREAM" ] || only "$UPSTREAM" 'https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._/-]*)?' --upstream
    [ "$ENGINE" != openai ] || [ -n "$UPSTREAM" ] ||
        refuse '引擎 openai 需要 --upstream。' 'Engine openai needs --upstream.'
    case "$DATABASE" in
        sqlite | kept) ;;
        *:*@* | *password=*)
            refuse '口令不能写在命令行上：请使用 PostgreSQL 的本机套接字（peer 认证），或见 docs/encryption.md 的凭据。' \
                'No password on the command line: use PostgreSQL by its socket (peer), or a credential (docs/encryption.md).'
            ;;
        *) only "$DATABASE" 'postgresql://[A-Za-z0-9._/?=&-]+' --database ;;
    esac
    if [ "$PROFILE" = mlps3 ]; then
        ask ADDRESS --address '' '用户访问的主机名' 'The host name under which people find the service'
        only "$ADDRESS" '[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?' --address
    fi
    if [ -n "$CERTIFICATE$CERTIFICATE_KEY" ]; then
        { [ -r "$CERTIFICATE" ] && [ -r "$CERTIFICATE_KEY" ]; } ||
            refuse '--certificate 与 --certificate-key 必须同时给出且可读。' \
                '--certificate and --certificate-key belong together, and must be readable.'
    fi
}

# ---- Whether the kit is what the builder made

about() { sed -n "s/^$1=//p" "$KIT/kit.env"; }

verify() {
    local program found
    for program in openssl sha256sum find; do
        command -v "$program" >/dev/null || refuse "缺少 $program。" "This needs $program, which is not installed."
    done
    ask FINGERPRINT --fingerprint '' '制作方公钥的指纹（SHA-256）' "Fingerprint (SHA-256) of the builder's public key"
    FINGERPRINT=$(printf '%s' "$FINGERPRINT" | tr -d ': ' | tr A-F a-f)
    only "$FINGERPRINT" '[0-9a-f]{64}' --fingerprint
    cd "$KIT"
    found=$(find . -type l -o ! -type f ! -type d | head -n 1)
    [ -z "$found" ] || refuse "安装包中有不应存在的链接：$found" "The kit holds a link, which no kit does: $found"
    found=$(openssl pkey -pubin -in kit.pub -outform DER 2>/dev/null | sha256sum | cut -d' ' -f1) || found=''
    [ "$found" = "$FINGERPRINT" ] ||
        refuse "公钥的指纹不符：$found。请不要使用此安装包。" \
            "The key is not the one whose fingerprint you were told: $found. Do not use this kit."
    openssl pkeyutl -verify -pubin -inkey kit.pub -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig >/dev/null 2>&1 ||
        refuse 'SHA256SUMS 的签名不正确。请不要使用此安装包。' 'The signature of SHA256SUMS is wrong. Do not use this kit.'
    found=$(comm -3 <(find . -type f | LC_ALL=C sort) \
        <(sed 's|^[0-9a-f]*  |./|' SHA256SUMS | cat - <(printf './%s\n' SHA256SUMS SHA256SUMS.sig kit.pub) | LC_ALL=C sort) |
        head -n 1 | tr -d '\t')
    [ -z "$found" ] || refuse "多余或缺失的文件：$found" "This file is missing, or was added: $found"
    found=$(sha256sum --check --strict --quiet SHA256SUMS 2>/dev/null | head -n 1) || true
    [ -z "$found" ] || refuse "文件已被改动：$found" "This file was altered: $found"
    say '签名和全部文件校验一致。' 'The signature is right, and every file is what was signed.'
}

# ---- Whether it is for this machine

fits() {
    local wanted found
    [ "$(uname -s)" = Linux ] || refuse '只支持 Linux。' 'This kit is for Linux.'
    wanted=$(about MACHINE) found=$(uname -m)
    [ "$wanted" = "$found" ] ||
        refuse "安装包适用于 $wanted，本机为 $found。" "This kit is for $wanted; this machine is $found."
    PYTHON=${PYTHON:-$(command -v "python$(about PYTHON)" || command -v python3 || true)}
    [ -x "$PYTHON" ] || refuse "缺少 Python $(about PYTHON)（--python 指定）。" \
        "This kit needs Python $(about PYTHON); there is none here. Install it, or name it by --python."
    wanted=$(about PYTHON)
    found=$("$PYTHON" -IS -c 'import sys; print("{}.{}".format(*sys.version_info), sys.implementation.name)')
    [ "$wanted cpython" = "$found" ] ||
        refuse "安装包适用于 CPython $wanted，$PYTHON 是 $found。请用 --python 指定。" \
            "This kit is for CPython $wanted; $PYTHON is $found. Name another by --python, or build a kit for it."
    wanted=$(about GLIBC) found=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2)
    { [ -n "$found" ] && [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ]; } ||
        refuse "安装包需要 glibc $wanted 以上，本机为 ${found:-其他 C 库}。" \
            "This kit needs glibc $wanted or newer; this machine has ${found:-another C library}."
    [ -z "$(find "$KIT" \( ! -user root -o -perm /022 \) -print -quit)" ] ||
        refuse '安装包中的文件不属于 root，或他人可写。请以 root 在只有 root 可写的文件夹中解包。' \
            'Others may write to this kit. Unpack it as root, in a folder to which root alone may write.'
}

# ---- The parts

account() { # NAME, OPTIONS
    getent passwd "$1" >/dev/null || run useradd --system --shell /usr/sbin/nologin "${@:2}" "$1"
}

folder() { # PATH MODE OWNER GROUP; one that is there stays as it is
    [ -d "$1" ] || run install -d -m "$2" -o "$3" -g "$4" "$1"
}

program() {
    local kit place pip
    kit=$(sha256sum "$KIT/SHA256SUMS" | cut -d' ' -f1)
    place=$PROGRAM-$(about VERSION)-${kit:0:8}
    [ ! -e "$PROGRAM" ] || [ -L "$PROGRAM" ] ||
        refuse "$PROGRAM 已存在，且不是本程序安装的。请先移走。" "$PROGRAM is there and not of this installer. Move it away."
    if [ "$(cat "$place/.kit" 2>/dev/null)" = "$kit" ]; then
        say "程序已在 $place。" "The program is in $place already."
    else
        pip=$(echo "$KIT"/pip/pip-*.whl)
        run rm -rf "$place" # of a run that was interrupted
        run "$PYTHON" -I -m venv --without-pip "$place"
        run env -i PATH="$PATH" HOME=/nonexistent PIP_CONFIG_FILE=/dev/null "$place/bin/python" -I "$pip/pip" install \
            --quiet --no-index --no-deps --no-cache-dir --require-hashes --find-links "$KIT/wheels" \
            --root-user-action ignore -r "$KIT/requirements.txt"
        run sh -c 'cd / && "$0" -I -m vlpro sbom --output "$1" 2>/dev/null' "$place/bin/python" "$place/sbom.json"
        put "$place/requirements.txt" 0644 root:root < "$KIT/requirements.txt"
        printf '%s\n' "$kit" | put "$place/.kit" 0644 root:root
    fi
    if [ "$(readlink "$PROGRAM" 2>/dev/null)" != "$place" ]; then
        run ln -sfn "$place" "$PROGRAM.new"
        run mv -fT "$PROGRAM.new" "$PROGRAM"
    fi
    put "$COMMAND" 0755 root:root <<END
#!/bin/sh
# vlpro with the settings of the service, as the service's account.
cd $SETTINGS && exec runuser -u vlpro -- env HOME=$DATA $PROGRAM/bin/vlpro "\$@"
END
}

models() {
    local given name manifest
    for given in "$KIT"/models/*/; do
        [ -d "$given" ] || continue
        name=$(basename "$given")
        manifest=$KIT/models/$name.manifest.json
        folder "$MODELS" 0755 root root
        if [ ! -d "$MODELS/$name" ]; then # one that is there may be in use; it is verified below
            run rm -rf "$MODELS/$name.partial"
            run cp -r --no-preserve=mode,ownership "$given" "$MODELS/$name.partial"
            run mv -T "$MODELS/$name.partial" "$MODELS/$name"
        fi
        [ ! -f "$manifest" ] || run cp --no-preserve=mode,ownership "$manifest" "$MODELS/"
        MODEL=$MODELS/$name
        [ ! -f "$manifest" ] || MANIFEST=$MODELS/$name.manifest.json
    done
}
MODEL='' MANIFEST=''

settings() {
    folder "$SETTINGS" 0750 root vlpro
    folder "$SETTINGS/keys" 0700 vlpro vlpro
    folder "$DATA" 0700 vlpro vlpro
    if [ ! -e "$SETTINGS/vlpro.toml" ]; then
        CREATED=1
        {
            echo "# Settings of the service and of the command vlpro: docs/settings.md"
            echo "profile = \"$PROFILE\""
            echo "data_dir = \"$DATA\""
            echo "key_file = \"$SETTINGS/keys/key\""
            echo "engine = \"$ENGINE\""
            [ -z "$UPSTREAM" ] || echo "upstream_url = \"$UPSTREAM\""
            [ -z "$MODEL" ] || echo "model_dir = \"$MODEL\""
            [ -z "$MANIFEST" ] || echo "model_manifest = \"$MANIFEST\""
            [ "$DATABASE" = sqlite ] || echo "database_url = \"$DATABASE\""
            if [ "$PROFILE" = mlps3 ]; then
                echo "public_url = \"https://$ADDRESS\""
                echo 'trusted_proxies = ["unix"]'
            fi
        } | put "$SETTINGS/vlpro.toml" 0640 root:vlpro
    fi
    [ -e "$SETTINGS/keys/key" ] || run "$COMMAND" key make "$SETTINGS/keys/key"
}

# The units as they are shipped; without an address to reach, without the relay.
units() {
    local destination unit
    folder "$UNITS" 0755 root root
    folder "$UNITS/vlpro.service.d" 0755 root root
    printf '[Service]\nWorkingDirectory=%s\nEnvironmentFile=\n' "$SETTINGS" |
        put "$UNITS/vlpro.service.d/10-install.conf" 0644 root:root
    if [ -e "$UNITS/vlpro-relay.service" ] || [ -n "$UPSTREAM" ]; then
        account vlpro-relay --no-create-home --gid vlpro
        put "$UNITS/vlpro.service" 0644 root:root <"$KIT/deploy/systemd/vlpro.service"
    else
        sed -e '/^Requires=vlpro-relay/d' -e '/^PartOf=vlpro-relay/d' -e '/^After=vlpro-relay/d' \
            -e '/^BindReadOnlyPaths=\/run\/vlpro-relay/d' -e 's| --relay /run/vlpro-relay/relay.sock||' \
            "$KIT/deploy/systemd/vlpro.service" | put "$UNITS/vlpro.service" 0644 root:root
    fi
    case "$DATABASE" in
        postgresql:*) printf '[Service]\nBindPaths=/run/postgresql\n' | put "$UNITS/vlpro.service.d/20-postgresql.conf" 0644 root:root ;;
    esac
    if [ -n "$UPSTREAM" ] && [ ! -e "$UNITS/vlpro-relay.service" ]; then
        destination=${UPSTREAM#*://}
        destination=${destination%%/*}
        case "$destination" in
            *:*) ;;
            *) case "$UPSTREAM" in https:*) destination=$destination:443 ;; *) destination=$destination:80 ;; esac ;;
        esac
        sed -e "s|192\.0\.2\.10:8000|$destination|" -e "s|192\.0\.2\.10|${destination%:*}|" \
            "$KIT/deploy/systemd/vlpro-relay.service" | put "$UNITS/vlpro-relay.service" 0644 root:root
    fi
    folder "$BACKUPS" 0700 vlpro vlpro
    for unit in vlpro-backup vlpro-backup-check; do
        folder "$UNITS/$unit.service.d" 0755 root root
        printf '[Service]\nWorkingDirectory=%s\nEnvironmentFile=\n' "$SETTINGS" |
            put "$UNITS/$unit.service.d/10-install.conf" 0644 root:root
        case "$DATABASE" in
            postgresql:*) printf '[Service]\nBindPaths=/run/postgresql\n' | put "$UNITS/$unit.service.d/20-postgresql.conf" 0644 root:root ;;
        esac
        put "$UNITS/$unit.service" 0644 root:root <"$KIT/deploy/systemd/$unit.service"
        put "$UNITS/$unit.timer" 0644 root:root <"$KIT/deploy/systemd/$unit.timer"
    done
    if [ -d /run/systemd/system ]; then run systemctl daemon-reload; fi
}

nginx_files() {
    local name
    if [ ! -d "$NGINX/conf.d" ]; then
        say '未安装 nginx：其配置未安装，见 docs/operations.md。' 'nginx is not installed: its files were left out; see docs/operations.md.'
        return
    fi
    folder "$NGINX/vlpro" 0755 root root
    for name in "$KIT"/deploy/nginx/vlpro/*.conf; do # lists of addresses are the site's own
        [ -e "$NGINX/vlpro/$(basename "$name")" ] || put "$NGINX/vlpro/$(basename "$name")" 0644 root:root <"$name"
    done
    if [ -n "$CERTIFICATE" ]; then
        put "$NGINX/vlpro/server.pem" 0644 root:root <"$CERTIFICATE"
        put "$NGINX/vlpro/server.key" 0600 root:root <"$CERTIFICATE_KEY"
    fi
    if [ ! -e "$NGINX/vlpro/server.pem" ] && [ -z "$CERTIFICATE" ]; then
        say '没有证书：nginx 配置未启用。请带 --certificate 与 --certificate-key 再次运行。' \
            "No certificate: nginx's server was left out. Run this again with --certificate and --certificate-key."
        return
    fi
    if [ ! -e "$NGINX/conf.d/vlpro.conf" ]; then
        sed -e "s|vlpro\.example\.cn|$ADDRESS|g" -e 's|/run/vlpro/vlpro\.sock|/run/vlpro/service.sock|' \
            "$KIT/deploy/nginx/vlpro.conf" | put "$NGINX/conf.d/vlpro.conf" 0644 root:root
    fi
    run nginx -q -t
}

next() {
    say '' ''
    if [ "$PROFILE" = local ]; then
        say "已安装。启动：$COMMAND serve，然后打开 http://127.0.0.1:8501" \
            "Installed. Start it by $COMMAND serve, and open http://127.0.0.1:8501"
        return
    fi
    [ -z "$CREATED" ] || say "请把 $SETTINGS/keys/key 的副本放入保险柜：没有它，存储的内容无法打开。" \
        "Put a copy of $SETTINGS/keys/key into a safe: without it nothing that is stored can be opened."
    say '接下来（docs/operations.md）：' 'What comes next (docs/operations.md):'
    say "  1. 检查 $NGINX/vlpro/addresses.conf、monitors.conf 中的地址" \
        "  1. the addresses in $NGINX/vlpro/addresses.conf and monitors.conf"
    say '  2. 首次启动、一次性密钥、首批管理员' '  2. the first start, its one-time secret, and the first administrators'
    say '  3. systemctl enable --now vlpro' '  3. systemctl enable --now vlpro'
}

# ---- The actions

install_() {
    verify
    fits
    [ -n "$DRY" ] || [ "$(id -u)" -eq 0 ] || refuse '安装需要 root。' 'To install takes root.'
    if [ -e "$SETTINGS/vlpro.toml" ]; then # an upgrade: what was decided stays
        PROFILE=$(sed -n 's/^profile = "\(.*\)"$/\1/p' "$SETTINGS/vlpro.toml")
        DATABASE=$(sed -n 's/^database_url = "\(.*\)"$/\1/p' "$SETTINGS/vlpro.toml")
        DATABASE=${DATABASE:-kept}
        ADDRESS=${ADDRESS:-$(sed -n 's|^public_url = "https://\(.*\)"$|\1|p' "$SETTINGS/vlpro.toml")}
        say "沿用 $SETTINGS/vlpro.toml。" "$SETTINGS/vlpro.toml is kept."
    fi
    questions
    account vlpro --home-dir "$DATA" --no-create-home --user-group
    models
    program
    settings
    [ -z "$MODEL" ] || run "$COMMAND" model verify "$MODEL" ${MANIFEST:+--manifest "$MANIFEST"}
    if [ "$PROFILE" = mlps3 ]; then
        units
        nginx_files
    fi
    next
}

uninstall() {
    [ -n "$DRY" ] || [ "$(id -u)" -eq 0 ] || refuse '卸载需要 root。' 'To uninstall takes root.'
    local unit place
    for unit in vlpro-backup vlpro-backup-check vlpro vlpro-relay; do
        if [ -e "$UNITS/$unit.timer" ]; then
            if [ -d /run/systemd/system ]; then run systemctl disable --quiet --now "$unit.timer" || true; fi
            run rm -f "$UNITS/$unit.timer"
        fi
        if [ -d /run/systemd/system ]; then run systemctl disable --quiet --now "$unit" || true; fi
        run rm -f "$UNITS/$unit.service" "$UNITS/$unit.service.d/10-install.conf" "$UNITS/$unit.service.d/20-postgresql.conf"
    done
    if [ -d /run/systemd/system ]; then run systemctl daemon-reload; fi
    run rm -f "$NGINX/conf.d/vlpro.conf" "$COMMAND" "$PROGRAM"
    for place in "$PROGRAM"-*/; do
        if [ -f "$place/.kit" ]; then run rm -rf "$place"; fi
    done
    say "已卸载。保留：$SETTINGS（设置与密钥）、$DATA（数据与审计，至少保存六个月）、$BACKUPS、$NGINX/vlpro、账号 vlpro。" \
        "Removed. Kept: $SETTINGS (settings, keys), $DATA (data and audit, which the law wants kept for six months), $BACKUPS, $NGINX/vlpro, the account vlpro."
}

arguments "$@"
case "$ACTION" in
    install) install_ ;;
    verify) verify ;;
    uninstall) uninstall ;;
esac
