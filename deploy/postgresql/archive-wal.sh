#!/bin/sh
# PostgreSQL's archive_command: keep a finished segment of the write-ahead log. postgresql.conf:
#
#   wal_level = replica
#   archive_mode = on
#   archive_command = '/opt/vlpro/deploy/postgresql/archive-wal.sh %p %f /srv/wal'
#   archive_timeout = 60            # a quiet hour costs at most a minute, and 16 MB a minute before compression
#
# 0 tells the server that it may recycle the segment: so only when the copy is on the disk. A segment that is there
# already and the same is done (the server asks again after a crash); one that differs is another cluster's.
set -eu
[ $# -eq 3 ] || { echo "usage: archive-wal.sh PATH NAME FOLDER" >&2; exit 2; }
path=$1 name=$2 folder=$3
umask 077
if [ -e "$folder/$name" ]; then
    cmp -s "$path" "$folder/$name" && exit 0
    echo "$folder/$name is there already, and is another one: two clusters archive to one folder" >&2
    exit 1
fi
cp "$path" "$folder/.$name.part"
sync "$folder/.$name.part"
mv "$folder/.$name.part" "$folder/$name"
sync "$folder"
