#!/bin/sh
# Builds bench/native/shim.c with the shim's files as the library has them, and runs it.
set -e
cd "$(dirname "$0")/../.."
program=$(mktemp)
trap 'rm -f "$program"' EXIT
files=$(ls native/shim/*.c | grep -Ev '/(interpose|epoll|poll|select|fork|exec|resolver|process|rights|api|signal-old)')
# shellcheck disable=SC2086
${CC:-cc} -std=c11 -D_GNU_SOURCE -DREAL_COPIES -O2 -fPIC -fvisibility=hidden -pthread -o "$program" \
  $files test/native/shim/fake-engine.c test/native/shim/stand-ins.c bench/native/shim.c -ldl
"$program"
