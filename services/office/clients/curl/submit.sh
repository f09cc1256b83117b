#!/bin/sh
# Signs one tally, submits it and verifies the receipt, with openssl 3, curl and jq.
# Usage: sh submit.sh KEY DEFINITION URL TALLY      (README.md, one folder up, says what they are)
set -eu
umask 077

PATIENCE_S=120
ANSWER_S=15
REFUSED=1 USAGE=2 SILENT=3

end() {
  status=$1
  shift
  printf '%s\n' "$*" >&2
  exit "$status"
}

[ $# -eq 4 ] || end $USAGE "Usage: sh submit.sh KEY DEFINITION URL TALLY"
key=$1 definition=$2 url=${3%/} tally=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
from_base64url() {
  text=$(tr '_-' '/+')
  while [ $((${#text} % 4)) -ne 0 ]; do text="$text="; done
  printf '%s' "$text" | openssl base64 -d -A
}
sha256() { openssl dgst -sha256 -r "$1" | cut -c 1-64; }

# Raw Ed25519 keys become DER by what RFC 8410 puts before them.
private_der() { printf '\060\056\002\001\000\060\005\006\003\053\145\160\004\042\004\040' && from_base64url; }
public_der() { printf '\060\052\060\005\006\003\053\145\160\003\041\000' && from_base64url; }

# The bytes to send: those in $1 if it was signed before, otherwise newly signed and on the disk before they leave.
signed_once() {
  [ -e "$1" ] && return
  jq -j .d "$key" | private_der > "$work/key.der"
  # Into files, not pipes: of a pipe sh sees only the end fail.
  jq -cj '{alg: "EdDSA", kid, typ: "scrutin+jws"}' "$key" > "$work/head.json"
  openssl rand 16 > "$work/nonce"
  jq -cj --arg definition "$hash" --arg nonce "$(base64url < "$work/nonce")" --arg issued "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
    '{type: "tally", $definition} + . + {$nonce, $issued}' "$tally" > "$work/statement.json"
  printf '%s.%s' "$(base64url < "$work/head.json")" "$(base64url < "$work/statement.json")" > "$work/signed"
  openssl pkeyutl -sign -rawin -keyform DER -inkey "$work/key.der" -in "$work/signed" -out "$work/signature"
  draft=$(mktemp "$1.XXXXXX")
  printf '%s.%s' "$(cat "$work/signed")" "$(base64url < "$work/signature")" > "$draft"
  sync "$draft" 2> /dev/null || sync # not every sync knows files
  # All of it or nothing; where another run was first, its bytes are the ones to send.
  ln "$draft" "$1" 2> /dev/null || [ -e "$1" ] || { rm "$draft"; end $USAGE "file.unwritable: $1"; }
  rm "$draft"
}

# Once, to whoever holds a pinned key, and nothing to anybody else: the status in $status, the body in $work/answer.
post() {
  : > "$work/headers"
  : > "$work/answer"
  failed=0
  # -q: no ~/.curlrc. -k: the pin decides, and no authority of the web.
  status=$(curl -q -s -k --noproxy '*' --proto =https --tlsv1.3 --pinnedpubkey "$pins" --max-time $ANSWER_S \
    -H 'Content-Type: application/jose' -H 'Expect:' --data-binary "@$1" \
    -D "$work/headers" -o "$work/answer" -w '%{http_code}' "$url/v1/statements") || failed=$?
  [ $failed -ne 90 ] || end $REFUSED "door.wrong: $url shows a key that is no pin of the definition. Nothing was sent."
  [ $failed -eq 0 ] || status=0
}

# Sends the same bytes until an answer stands: a receipt, or a refusal that sending again will not change.
submit() {
  deadline=$(($(date +%s) + PATIENCE_S))
  while :; do
    post "$1"
    case $status in
      200 | 201) return ;;
      408 | 429) ;;
      3?? | 4??) end $REFUSED "$(jq -r '"\(.code): \(.detail)"' "$work/answer" 2> /dev/null || echo "door.refused: status $status")" ;;
    esac
    [ "$(date +%s)" -lt $deadline ] || end $SILENT "door.silent: no receipt (status $status). Run the same command again."
    after=$(tr -d '\r' < "$work/headers" | sed -n 's/^[Rr]etry-[Aa]fter: *\([0-9][0-9]*\)$/\1/p')
    sleep "${after:-1}"
  done
}

# Whether the ledger signed the receipt in $1, and it is about the bytes in $2 and understood them as they are.
verify() {
  IFS=. read -r head payload signature more < "$1" || :
  [ -z "$more" ] || return 1
  printf '%s' "$head" | from_base64url > "$work/head.json"
  printf '%s' "$payload" | from_base64url > "$work/said.json"
  printf '%s' "$signature" | from_base64url > "$work/signature"
  printf '%s.%s' "$head" "$payload" > "$work/signed"
  jq -e '.alg == "EdDSA" and .typ == "scrutin-receipt+jws"' "$work/head.json" > "$work/holds" || return 1
  jq -j --slurpfile head "$work/head.json" \
    '.keys[] | select(.role == "ledger" and .id == $head[0].kid) | .publicKey' "$definition" | public_der > "$work/ledger.der"
  openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey "$work/ledger.der" \
    -in "$work/signed" -sigfile "$work/signature" > "$work/holds" 2>&1 || return 1
  cut -d . -f 2 "$2" | tr -d '\n' | from_base64url > "$work/statement.json"
  jq -e --arg definition "$hash" --arg sent "$(sha256 "$2")" --slurpfile signed "$work/statement.json" \
    '.type == "receipt" and .definition == $definition and .entry.statement == $sent and .statement == $signed[0]' \
    "$work/said.json" > "$work/holds"
}

hash=$(sha256 "$definition")
# curl writes pins in base64 with padding: 43 characters and one more.
pins=$(jq -r '[.door.pins // [] | .[] | gsub("-"; "+") | gsub("_"; "/") | "sha256//\(.)="] | join(";")' "$definition")
case $url in https://*) ;; *) pins='' ;; esac
[ -n "$pins" ] || end $USAGE "door.insecure: give an https:// address, and a definition that pins its key."

signed_once "$tally.jws"
submit "$tally.jws"
jq -j '.receipt // ""' "$work/answer" > "$work/receipt" 2> /dev/null || :
verify "$work/receipt" "$tally.jws" 2> /dev/null || end $SILENT "receipt.wrong: the receipt does not hold. Tell the operators."
cat "$work/receipt" > "$tally.receipt"
jq -r '"\(.verdict): entry \(.entry.index)", (.findings[] | "  \(.code) \(.unit // "")" | rtrimstr(" "))' "$work/said.json"
[ "$(jq -r .verdict "$work/said.json")" = accepted ] || exit $REFUSED
