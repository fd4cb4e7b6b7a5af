/** The grammar of the command line; it follows bpftool's. */

export const HELP = `bpftool-ts: eBPF objects on the in-process kernel; no root, no Linux needed

  bpftool-ts run OBJ[:PROG] [OBJ[:PROG] …] --hook HOOK --pcap IN [--write OUT.pcapng]
             [--set MAP:KEY=VALUE …] [--btf BTF] [--engine ENGINE] [--json]
      Attaches the programs to the hook in the order given and sends every packet of the capture through.
  bpftool-ts prog load OBJ[:PROG] [--btf BTF] [--log-level N] [--json]
      Loads every program of the object (or one) and prints the verifier's verdict on each,
      with the line of C and the missing check; a log level from 1 to 7 prints the kernel's log instead.
  bpftool-ts prog run OBJ[:PROG] data_in FILE [data_out FILE] [ctx_in FILE] [ctx_out FILE] [repeat N]
             [--btf BTF] [--engine ENGINE] [--json]
      BPF_PROG_TEST_RUN.
  bpftool-ts gen skeleton OBJ [name NAME]
      Prints a TypeScript module that holds the object and types for its maps, programs and variables.
  bpftool-ts help [COMMAND] | version
      COMMAND --help tells the grammar of that command.

  OBJ     an ELF object compiled by clang -target bpf; PROG a function of it (needed where it has several for the hook)
  HOOK    tcx/ingress | tcx/egress
  IN      a capture of Ethernet frames: pcap or pcapng
  KEY, VALUE   numbers, JSON as the map's BTF types ask for it, an IPv4 address, or hex:BYTES
  BTF     types of the kernel that CO-RE relocations mean: a file, or none; by default those of the running
          Linux (/sys/kernel/btf/vmlinux) where there are any
  ENGINE  tiered (default) | jit | first-tier | interpreter
`;

/** The grammar of one command; all of it for a name that has none of its own. */
export function helpOf(command: string): string {
  const [head, ...blocks] = HELP.split(/\n(?= {2}bpftool-ts )|\n\n/);
  const found = blocks.filter((block) => block.startsWith(`  bpftool-ts ${command} `));
  const words = blocks.at(-1)!.trimEnd();
  return found.length === 0 ? HELP : `${head}\n\n${found.join('\n')}\n\n${words}\n`;
}
