#!/usr/bin/env bash
# As much of curl as the guides use, in bash alone, for machines without it: HTTP without TLS.
# What it does not know it refuses, so that no test passes without having made its call.
set -u

fail() { echo "curl: $2" >&2; exit "$1"; }

method='' data='' has_data='' out='' retries=0 delay=1 refused='' fails='' limit=60 head=''
kind=1 accepts=1 direct=''
headers=() urls=()
while [ $# -gt 0 ]; do
  arg=$1
  shift
  case $arg in
    --retry) retries=$1; shift ;;
    --retry-delay) delay=$1; shift ;;
    --retry-connrefused) refused=1 ;;
    --max-time) limit=$1; shift ;;
    --fail) fails=1 ;;
    --no-buffer) direct=1 ;;
    --silent | --show-error | --location) ;;
    --*) fail 2 "option $arg: is unknown here" ;;
    -*)
      rest=${arg#-}
      while [ -n "$rest" ]; do
        flag=${rest:0:1}
        rest=${rest:1}
        case $flag in
          s | S | L) continue ;;
          N) direct=1; continue ;;
          f) fails=1; continue ;;
          i) head=1; continue ;;
        esac
        value=$rest
        [ -n "$value" ] || { value=$1; shift; }
        rest=''
        case $flag in
          X) method=$value ;;
          d) data+=${has_data:+&}$value; has_data=1 ;;
          o) out=$value ;;
          H)
            headers+=("$value")
            case ${value,,} in
              content-type:*) kind='' ;;
              accept:*) accepts='' ;;
            esac
            ;;
          u) headers+=("Authorization: Basic $(printf %s "$value" | base64 -w 0)") ;;
          m) limit=$value ;;
          *) fail 2 "option -$flag: is unknown here" ;;
        esac
      done
      ;;
    *) urls+=("$arg") ;;
  esac
done

[ -n "$method" ] || { method=GET; [ -z "$has_data" ] || method=POST; }

# One call to $2. Leaves the status in $status, and the body in the file $1.
call() {
  local place=$2
  status=0
  exec 3<>"/dev/tcp/$host/${place##*:}" || return 7
  {
    printf '%s %s HTTP/1.0\r\nHost: %s\r\n' "$method" "$path" "$place"
    [ -z "$accepts" ] || printf 'Accept: */*\r\n'
    for header in ${headers[@]+"${headers[@]}"}; do printf '%s\r\n' "$header"; done
    if [ -n "$has_data" ]; then
      [ -z "$kind" ] || printf 'Content-Type: application/x-www-form-urlencoded\r\n'
      printf 'Content-Length: %s\r\n' "$(printf %s "$data" | wc -c)"
    fi
    printf '\r\n%s' "$data"
  } >&3
  local line
  IFS= read -r -t "$limit" line <&3 || return 28
  [ -z "$head" ] || printf '%s\n' "$line" >"$1"
  status=${line#* }
  status=${status%% *}
  while IFS= read -r -t "$limit" line <&3 && [ "$line" != $'\r' ]; do
    [ -z "$head" ] || printf '%s\n' "$line" >>"$1"
  done
  [ -z "$head" ] || printf '\r\n' >>"$1"
  cat <&3 >>"$1"
  exec 3>&-
}

# One URL, with retries.
fetch() {
  local place=${1#http://} code again
  path=/${place#*/}
  [ "$place" != "${place#*/}" ] || path=/
  place=${place%%/*}
  host=${place%:*}
  # What is not buffered is shown while it comes: the events of a watch.
  if [ -n "$direct" ]; then
    call /dev/stdout "$place" || fail "$?" "no answer from $place"
    return
  fi
  while :; do
    : >"$body"
    code=0
    call "$body" "$place" 2>/dev/null || code=$?
    again=''
    case $code:$status in
      0:408 | 0:429 | 0:50[0234]) again=1 ;;
      7:*) again=$refused ;;
    esac
    [ -n "$again" ] && [ "$retries" -gt 0 ] || break
    retries=$((retries - 1))
    sleep "$delay"
  done
  [ "$code" = 0 ] || fail "$code" "no answer from $place"
  if [ -n "$fails" ] && [ "$status" -ge 400 ]; then
    fail 22 "The requested URL returned error: $status"
  fi
  if [ -n "$out" ]; then cat "$body" >"$out"; else cat "$body"; fi
}

body=$(mktemp)
trap 'rm -f "$body"' EXIT
[ "${#urls[@]}" -gt 0 ] || fail 2 "no URL"
for url in "${urls[@]}"; do
  case $url in
    https://*) fail 2 "no TLS here" ;;
  esac
  fetch "$url"
done
