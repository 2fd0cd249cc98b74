#!/bin/sh
# A base backup, from which the archived log leads to any later point in time. Once a week, as the user postgres:
#
#   base-backup.sh /srv/base
#
# Makes a folder named by the time, verifies it (pg_verifybackup), and only then gives it its name.
set -eu
[ $# -ge 1 ] || { echo "usage: base-backup.sh FOLDER [option of pg_basebackup ...]" >&2; exit 2; }
folder=$1
shift
PATH=$PATH:$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)   # Debian has pg_verifybackup there only
umask 077
made="$folder/$(date -u +%Y%m%dT%H%M%SZ)"
trap 'rm -rf "$made.part"' EXIT
pg_basebackup --pgdata="$made.part" --format=plain --wal-method=stream --checkpoint=fast --manifest-checksums=SHA256 "$@"
pg_verifybackup --quiet "$made.part"
sync
mv "$made.part" "$made"
echo "$made"
