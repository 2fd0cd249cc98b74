#!/bin/sh
# Asks a question about a picture: sh chat.sh receipt.jpg "What is the total?"
set -eu
[ $# -ge 1 ] || { echo "usage: sh chat.sh PICTURE [QUESTION]" >&2; exit 2; }
url=${VLPRO_URL:-http://127.0.0.1:8501/v1}
question=$(printf %s "${2:-合计金额是多少？}" | sed 's/["\\]/\\&/g')
# The body comes through a pipe: a picture is too long for an argument. The key, too, so that no list of processes has it.
{
    printf '{"model": "vlpro", "messages": [{"role": "user", "content": [{"type": "text", "text": "%s"}, ' "$question"
    printf '{"type": "image_url", "image_url": {"url": "data:image/png;base64,'
    base64 <"$1" | tr -d '\n'
    printf '"}}]}]}'
} | curl --silent --show-error --fail-with-body --config /dev/fd/3 --header "Content-Type: application/json" \
    --data-binary @- "$url/chat/completions" 3<<CONFIG
header = "Authorization: Bearer ${VLPRO_KEY:-none}"
CONFIG
echo
