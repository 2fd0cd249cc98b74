#!/bin/sh
# Prepare a data folder that, when a server starts on it, becomes the database as it was at a point in time:
#
#   recover.sh /srv/base/20261127T020000Z /srv/wal /var/lib/postgresql/15/recovered '2026-11-27 14:05:00+08'
#
# The base backup is copied, not used up. Without a time: to the end of the archived log. The old data folder stays as it
# is; the new server decides (pg_ctl -D … start), is looked at, and only then takes its place.
set -eu
[ $# -ge 3 ] || { echo "usage: recover.sh BASE WAL NEW [TIME]" >&2; exit 2; }
base=$1 wal=$2 new=$3 until=${4:-}
[ ! -e "$new" ] || { echo "$new exists: name a new folder" >&2; exit 1; }
umask 077
cp -a "$base" "$new"
chmod 0700 "$new"
{
    echo "# Written by recover.sh"
    echo "restore_command = 'cp $wal/%f %p'"
    echo "archive_mode = off"
    [ -z "$until" ] || echo "recovery_target_time = '$until'"
    [ -z "$until" ] || echo "recovery_target_action = 'promote'"
} >> "$new/postgresql.auto.conf"
touch "$new/recovery.signal"
echo "start: pg_ctl -D $new start"
