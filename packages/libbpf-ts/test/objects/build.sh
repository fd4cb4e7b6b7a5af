#!/bin/sh
# Builds the objects of this folder: clang-19, as committed. `maps.rela.bpf.o` has its relocations as RELA, `maps.be.bpf.o` is big-endian.
set -e
cd "$(dirname "$0")"
flags="-O2 -g -mcpu=v3 -Wno-unused -fdebug-prefix-map=$PWD=."
for name in maps core ksyms structops rings; do clang-19 -target bpfel $flags -c $name.bpf.c -o $name.bpf.o; done
clang-19 -target bpfeb $flags -c maps.bpf.c -o maps.be.bpf.o
