#!/usr/bin/env bash
# Makes what compose.yaml needs beside it, once: secrets (each of its own, from the kernel's random numbers), nginx's files
# and .env. What is there already stays. As root, since the files belong to the accounts inside the containers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
umask 077

refuse() {
    printf '%s\n%s\n' "$1" "$2" >&2
    exit 1
}

ADDRESS='' CERTIFICATE='' CERTIFICATE_KEY=''
while [ $# -gt 1 ]; do
    case "$1" in
        --address) ADDRESS=$2 ;;
        --certificate) CERTIFICATE=$2 ;;
        --certificate-key) CERTIFICATE_KEY=$2 ;;
        *) break ;;
    esac
    shift 2
done
if [ $# -gt 0 ] || ! [[ $ADDRESS =~ ^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$ ]] ||
    ! [ -r "$CERTIFICATE" ] || ! [ -r "$CERTIFICATE_KEY" ]; then
    refuse '用法：prepare.sh --address 主机名 --certificate 证书 --certificate-key 私钥（文件，PEM）' \
        'Usage: prepare.sh --address HOST --certificate FILE --certificate-key FILE (PEM)'
fi
[ "$(id -u)" -eq 0 ] || refuse '需要 root：这些文件属于容器内的账号。' 'This takes root: the files belong to accounts inside the containers.'

NGINX=101 POSTGRESQL=999 SERVICE=10001 ELASTIC=1000

secret() { # NAME OWNER; the content comes by standard input
    if [ ! -e "secrets/$1" ]; then
        cat >"secrets/$1"
        chmod 0400 "secrets/$1"
    else
        cat >/dev/null
    fi
    chown "$2:$2" "secrets/$1"
}

random() { openssl rand -hex 32; }
url() { printf 'postgresql://%s:%s@/vlpro?host=/run/postgresql' "$1" "$(cat "secrets/$1_password")"; }

install -d -m 0711 secrets
[ -d backups ] || install -d -m 0700 -o "$SERVICE" -g "$SERVICE" backups
install -d -m 0755 site site/conf.d site/vlpro site/elastic
for name in postgres_password vlpro_owner_password vlpro_app_password vlpro_ship_password; do
    random | secret "$name" "$POSTGRESQL"
done
random | secret vlpro_key "$SERVICE"
random | secret vlpro_upstream_key "$SERVICE"
secret vllm_api_key 0 <secrets/vlpro_upstream_key
random | secret elastic_password "$ELASTIC"
url vlpro_app | secret vlpro_database_url "$SERVICE"
url vlpro_owner | secret vlpro_owner_url "$SERVICE"
url vlpro_ship | secret vlpro_ship_url "$SERVICE"
# Elasticsearch gives these two, when it runs (README.md); an empty one is refused by it.
printf '' | secret elastic_api_key "$SERVICE"
printf '' | secret kibana_token "$ELASTIC"
secret tls_certificate "$NGINX" <"$CERTIFICATE"
secret tls_key "$NGINX" <"$CERTIFICATE_KEY"

umask 022
for name in ../nginx/vlpro/*.conf; do
    [ -e "site/vlpro/$(basename "$name")" ] || cp "$name" site/vlpro/
done
[ -e site/conf.d/vlpro.conf ] ||
    sed -e "s|vlpro\.example\.cn|$ADDRESS|g" -e 's|/run/vlpro/vlpro\.sock|/run/vlpro/service.sock|' \
        -e 's|/etc/nginx/vlpro/server\.pem|/run/secrets/tls_certificate|' \
        -e 's|/etc/nginx/vlpro/server\.key|/run/secrets/tls_key|' \
        -e 's|/var/log/nginx/vlpro\.access\.log|/dev/stdout|' -e 's|/var/log/nginx/vlpro\.error\.log|/dev/stderr|' \
        ../nginx/vlpro.conf >site/conf.d/vlpro.conf
[ -e site/nginx.conf ] || cat >site/nginx.conf <<'END'
pid /tmp/nginx.pid;
worker_processes 2;
worker_shutdown_timeout 60s;
events { worker_connections 4096; }
http {
    include mime.types;
    server_tokens off;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    include conf.d/*.conf;
}
END
[ -e .env ] || printf 'VLPRO_ADDRESS=%s\nVLPRO_SECRETS=./secrets\n' "$ADDRESS" >.env
echo "已准备好：site/vlpro/addresses.conf、monitors.conf 中的地址需要核对。请把 secrets/vlpro_key 的副本放入保险柜。"
echo "Ready. Look at the addresses in site/vlpro/addresses.conf and monitors.conf; put a copy of secrets/vlpro_key into a safe."
