#!/usr/bin/env bash
# Builds the plug-in. Needs clang-19 and llvm-19.
set -euo pipefail
cd "$(dirname "$0")"
clang-19 -O2 -g -target bpf -mcpu=v3 -I/usr/include/x86_64-linux-gnu -fdebug-prefix-map="$PWD"=. -c no-admin.bpf.c -o no-admin.bpf.o
llvm-strip-19 -g no-admin.bpf.o
