#!/bin/sh
# Builds every program beside its source. Run after a change of a source; the objects are committed.
set -e
cd "$(dirname "$0")"
for source in *.c; do
	clang-19 -O2 -g -target bpf -mcpu=v3 -Wall -Werror -Wno-unused-const-variable -c "$source" -o "${source%.c}.o"
	llvm-strip-19 -g "${source%.c}.o"
done
