/** Loads objects: maps first, then programs, each as the kernel behind `Syscalls` takes it. */

import { essentialName, parseBtf, type Btf } from '@libbpf-ts/btf';
import {
  BPF_BTF_LOAD,
  BPF_PROG_TYPE_EXT,
  BPF_PROG_TYPE_STRUCT_OPS,
  BPF_PROG_TYPE_TRACING,
  type Syscalls,
} from '@libbpf-ts/uapi';
import { CoreApplier } from './core-apply.ts';
import { createMap } from './create-map.ts';
import { LoaderError, type BpfError } from './errors.ts';
import { fetchBtf, fetchKernelBtf } from './kernel-btf.ts';
import { kconfigBytes, type KconfigOptions } from './kconfig.ts';
import { indexInfo, linkProgram, type InfoIndex, type LinkedProgram } from './link.ts';
import { BpfMap, possibleCpus } from './map.ts';
import { loadProgram, Program } from './program.ts';
import { findAttachType, resolveProgram } from './resolve.ts';
import type { MapSpec, ObjectSpec, ProgramSpec } from './spec.ts';
import { createStructOps, type StructOps } from './struct-ops-map.ts';
import type { Link } from './bpf-link.ts';

/** Programs in this ELF section are of this type. */
export interface CustomSection {
  readonly name: string;
  readonly prog_type: number;
  readonly attach_type: number;
}

export interface LoadOptions extends KconfigOptions {
  /** Names of the programs to load, with the maps that they need; default: all programs and all maps. */
  readonly programs?: readonly string[] | undefined;
  /**
   * BTF that CO-RE relocations are resolved against; default: the kernel's own. Ids of kernel functions, variables and attach targets
   * always come from the kernel's own BTF, unless it gives none.
   */
  readonly kernelBtf?: Uint8Array | Btf | undefined;
  /** Directory for maps that are pinned by name, default `/sys/fs/bpf`; `false` to ignore pinning. */
  readonly pinDirectory?: string | false | undefined;
  /** First contents of data maps, by section (`.rodata`), as bytes in place of those of the object. */
  readonly data?: Readonly<Record<string, Uint8Array>> | undefined;
  /** Maps to use in place of the object's own, by name. They stay the caller's. */
  readonly maps?: Readonly<Record<string, BpfMap>> | undefined;
  /** Other sizes of maps, by name. */
  readonly maxEntries?: Readonly<Record<string, number>> | undefined;
  /** BPF_LOG_* bits for every program; default 0: a log only of what is refused. */
  readonly logLevel?: number | undefined;
  /** Addresses of kernel symbols that have no BTF type. */
  readonly symbols?: ((name: string) => bigint | undefined) | undefined;
  /** What a program attaches to, by program name: another program's function, for fentry, fexit and freplace on programs. */
  readonly attachTo?: Readonly<Record<string, { readonly program: Program; readonly function: string }>> | undefined;
  /** Program and attach types in place of those of the section, by program name. */
  readonly types?: Readonly<Record<string, { readonly type: number; readonly expected_attach_type?: number }>> | undefined;
  /**
   * Sections that libbpf does not know and what their programs are, `hook.section` of a hook made by `defineHook` for instance. A name
   * stands for `name` and for `name/…`.
   */
  readonly sections?: readonly CustomSection[] | undefined;
  /** Entries of a perf event array that leaves its size open; default: one a processor. */
  readonly cpus?: number | undefined;
}

/**
 * What is being loaded from one object: BTF, maps and programs are made when they are first asked for. It owns all of them
 * until it is closed.
 */
export class Loading implements Disposable {
  readonly sys: Syscalls;
  readonly spec: ObjectSpec;
  readonly #options: LoadOptions;
  readonly #core: CoreApplier;
  readonly #info: InfoIndex;
  readonly #maps = new Map<string, BpfMap>();
  readonly #borrowed = new Set<BpfMap>();
  readonly #programs = new Map<ProgramSpec, Program>();
  readonly #structOps = new Map<string, StructOps>();
  readonly #links: Link[] = [];
  #btfFd: number | undefined;
  #kernelBtf: Btf | undefined | null = null;
  #coreBtf: Btf | undefined;
  /** Log of the last program that was loaded; empty unless a log level asked for one. */
  lastLog = '';

  constructor(sys: Syscalls, spec: ObjectSpec, options: LoadOptions = {}) {
    this.sys = sys;
    this.spec = spec;
    this.#options = options;
    this.#info = indexInfo(spec);
    this.#core = new CoreApplier(spec, () => this.coreBtf());
  }

  get maps(): ReadonlyMap<string, BpfMap> {
    return this.#maps;
  }
  /** Loaded programs by name; of two functions with one name, the one loaded last. */
  get programs(): ReadonlyMap<string, Program> {
    return new Map([...this.#programs].map(([spec, program]) => [spec.name, program]));
  }

  /** The kernel's own BTF, whose ids it knows; where it gives none, the one given for CO-RE. */
  kernelBtf(): Btf | undefined {
    if (this.#kernelBtf === null) this.#kernelBtf = fetchKernelBtf(this.sys) ?? this.coreBtf();
    return this.#kernelBtf;
  }

  /** The BTF for CO-RE: the one given, else the kernel's own. */
  coreBtf(): Btf | undefined {
    const given = this.#options.kernelBtf;
    if (!given) return this.#kernelBtf ?? (this.#kernelBtf = fetchKernelBtf(this.sys));
    this.#coreBtf ??= given instanceof Uint8Array ? parseBtf(given) : given;
    return this.#coreBtf;
  }

  /** A map by name, created now if it is not there yet. */
  map(name: string): BpfMap {
    const known = this.#maps.get(name);
    if (known) return known;
    const given = this.#options.maps?.[name];
    const map = given ?? this.#createMap(name);
    if (given) this.#borrowed.add(given);
    this.#maps.set(name, map);
    return map;
  }

  /** Loads a program, with the maps that it needs. Throws {@link LoaderError}, `BpfError` or `VerifierError`. */
  program(program: ProgramSpec): Program {
    const known = this.#programs.get(program);
    if (known) return known;
    const linked = linkProgram(this.spec, this.#info, this.#typed(program), (part) => this.#core.apply(part));
    const insns = resolveProgram(this.spec, linked, {
      mapFd: (name) => this.map(name).fd,
      kernelBtf: () => this.kernelBtf(),
      symbolAddress: (name) => this.#options.symbols?.(name),
    });
    const btfFd = this.#objectBtf();
    const { fd, log } = loadProgram(this.sys, this.spec, linked, insns, {
      logLevel: this.#options.logLevel ?? 0,
      btfFd,
      license: this.spec.license,
      ...this.#attachTarget(linked.program),
    });
    this.lastLog = log;
    const loaded = new Program(this.sys, fd, linked.program, insns, (link) => this.#links.push(link));
    this.#programs.set(program, loaded);
    return loaded;
  }

  /** The program as it would be given to the kernel, without loading it (its maps are created, since it holds their descriptors). */
  prepare(program: ProgramSpec): LinkedProgram {
    const linked = linkProgram(this.spec, this.#info, this.#typed(program), (part) => this.#core.apply(part));
    const insns = resolveProgram(this.spec, linked, {
      mapFd: (name) => this.map(name).fd,
      kernelBtf: () => this.kernelBtf(),
      symbolAddress: (name) => this.#options.symbols?.(name),
    });
    return { ...linked, insns };
  }

  /** Instructions of a program with the functions that it calls. */
  linkedLength(program: ProgramSpec): number {
    return linkProgram(this.spec, this.#info, program, (part) => ({
      program: part,
      insns: [...part.insns],
      poisoned: new Map(),
    })).insns.length;
  }

  /** Closes links, programs and maps, in this order. Maps that were given stay open. */
  close(): void {
    this.#links.splice(0).forEach((link) => link.close());
    this.#structOps.forEach((ops) => ops.close());
    this.#programs.forEach((program) => program.close());
    this.#maps.forEach((map) => this.#borrowed.has(map) || map.close());
    if (this.#btfFd) this.sys.close(this.#btfFd);
    this.#btfFd = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #typed(program: ProgramSpec): ProgramSpec {
    const given = this.#options.types?.[program.name] ?? this.#bySection(program.section);
    return given
      ? { ...program, type: given.type, expected_attach_type: given.expected_attach_type ?? 0, source: 'libbpf' }
      : program;
  }

  #bySection(section: string): { readonly type: number; readonly expected_attach_type: number } | undefined {
    const found = this.#options.sections?.find(({ name }) => section === name || section.startsWith(`${name}/`));
    return found && { type: found.prog_type, expected_attach_type: found.attach_type };
  }

  #createMap(name: string): BpfMap {
    const found = this.spec.maps.find((spec) => spec.name === name);
    if (!found) throw new LoaderError('LOADER_NO_MAP', `the object has no map '${name}'`, { map: name }, { errno: 'ENOENT' });
    const spec = this.#changed(found);
    const { pinDirectory = '/sys/fs/bpf' } = this.#options;
    const fd = createMap(this.sys, spec, {
      btfFd: this.#objectBtf(),
      pinDirectory,
      cpus: () => this.#options.cpus ?? possibleCpus(this.sys),
    });
    const map = new BpfMap(this.sys, fd, spec, this.spec.btf);
    this.#fillSlots(map);
    return map;
  }

  #changed(spec: MapSpec): MapSpec {
    const max_entries = this.#options.maxEntries?.[spec.name] ?? spec.max_entries;
    if (spec.origin === 'kconfig') return { ...spec, data: kconfigBytes(this.spec, spec.value_size, this.#options) };
    const data = this.#options.data?.[spec.section];
    if (data && data.length !== spec.value_size) {
      throw new LoaderError('LOADER_BAD_OPTION', `${data.length} bytes are given for ${spec.value_size} bytes of data`, {
        map: spec.name,
        section: spec.section,
      });
    }
    return { ...spec, max_entries, data: data ?? spec.data };
  }

  /** Initial inner maps; program slots are filled when all programs are loaded. */
  #fillSlots(map: BpfMap): void {
    for (const { index, target, kind } of map.spec.slots) {
      if (kind !== 'map') continue;
      map.set(
        Uint8Array.from(new Uint8Array(Uint32Array.of(index).buffer)),
        new Uint8Array(Uint32Array.of(this.map(target).fd).buffer),
      );
    }
  }

  /** Creates the map of a struct_ops variable; its programs are loaded first. */
  structOps(name: string): StructOps {
    const known = this.#structOps.get(name);
    if (known) return known;
    const spec = this.spec.structOps.find((item) => item.name === name);
    if (!spec)
      throw new LoaderError('LOADER_NO_MAP', `the object has no struct_ops '${name}'`, { map: name }, { errno: 'ENOENT' });
    const kernel = this.kernelBtf();
    if (!kernel)
      throw new LoaderError(
        'LOADER_NO_KERNEL_BTF',
        "struct_ops need the kernel's BTF, and this kernel gives none",
        { map: name },
        { errno: 'ESRCH', hint: 'pass kernelBtf' },
      );
    const made = createStructOps(this.sys, spec, this.spec.btf!, kernel, {
      btfFd: this.#objectBtf(),
      programFd: (program) => this.program(this.spec.programs.find((item) => item.name === program)!).fd,
    });
    this.#structOps.set(name, made);
    return made;
  }

  /** Puts programs into the slots of program arrays that name them. */
  fillProgramSlots(): void {
    const programs = this.programs;
    for (const map of this.#maps.values()) {
      for (const { index, target, kind } of map.spec.slots) {
        const program = programs.get(target);
        if (kind === 'program' && program)
          map.set(new Uint8Array(Uint32Array.of(index).buffer), new Uint8Array(Uint32Array.of(program.fd).buffer));
      }
    }
  }

  /** Loads the object's BTF once; a kernel that refuses it takes the object without, as libbpf does. */
  #objectBtf(): number {
    if (this.#btfFd !== undefined) return this.#btfFd;
    const { btf } = this.spec;
    const fd = btf ? this.sys.bpf(BPF_BTF_LOAD, { btf: btf.bytes, btf_size: btf.bytes.length }) : 0;
    this.#btfFd = Math.max(fd, 0);
    return this.#btfFd;
  }

  #attachTarget(program: ProgramSpec): { attach_btf_id: number; attach_prog_fd: number; expected_attach_type: number } {
    const none = { attach_btf_id: 0, attach_prog_fd: 0, expected_attach_type: program.expected_attach_type };
    const given = this.#options.attachTo?.[program.name];
    if (given) return { ...none, attach_prog_fd: given.program.fd, attach_btf_id: functionOf(given.program, given.function) };
    if (program.type === BPF_PROG_TYPE_STRUCT_OPS) return { ...none, ...this.#structOpsTarget(program) };
    if (!program.attachBtf || program.target === undefined) return none;
    if (program.type === BPF_PROG_TYPE_EXT) {
      throw new LoaderError(
        'LOADER_BAD_OPTION',
        'a freplace program needs the program whose function it replaces',
        { program: program.name },
        { hint: 'pass attachTo' },
      );
    }
    return {
      ...none,
      attach_btf_id: this.#kernelTarget(program, program.attachBtf.prefix, program.target, program.attachBtf.kind),
    };
  }

  #kernelTarget(program: ProgramSpec, prefix: string, name: string, kind: 'FUNC' | 'TYPEDEF'): number {
    const kernel = this.kernelBtf();
    if (!kernel)
      throw new LoaderError(
        'LOADER_NO_KERNEL_BTF',
        `section ${program.section} needs the kernel's BTF, and this kernel gives none`,
        { program: program.name },
        { errno: 'ESRCH', hint: 'pass kernelBtf' },
      );
    const id = findAttachType(kernel, prefix, name, kind);
    if (id !== undefined) return id;
    const hint = program.type === BPF_PROG_TYPE_TRACING ? 'for a function of a program, pass attachTo' : undefined;
    throw new LoaderError(
      'LOADER_UNRESOLVED',
      `the kernel's BTF has no ${kind === 'FUNC' ? 'function' : 'type'} ${prefix}${name}`,
      { program: program.name, section: program.section },
      { errno: 'ESRCH', ...(hint ? { hint } : {}) },
    );
  }

  /** A struct_ops program is loaded for a member of a structure of the kernel: which one, the object's variables tell. */
  #structOpsTarget(program: ProgramSpec): { attach_btf_id: number; expected_attach_type: number } {
    const table = this.spec.structOps.find((ops) => ops.programs.some((slot) => slot.program === program.name));
    if (!table)
      throw new LoaderError(
        'LOADER_UNRESOLVED',
        'no variable in .struct_ops names this program',
        { program: program.name },
        { errno: 'EINVAL' },
      );
    const kernel = this.kernelBtf();
    const type = kernel?.find(essentialName(table.type), 'STRUCT');
    const slot = table.programs.find((item) => item.program === program.name)!;
    const index = type?.kind === 'STRUCT' ? type.members.findIndex((member) => member.name === slot.member) : -1;
    if (!type || index < 0)
      throw new LoaderError(
        'LOADER_UNRESOLVED',
        `the kernel has no struct_ops type ${table.type} with member ${slot.member}`,
        { program: program.name },
        { errno: 'ESRCH' },
      );
    return { attach_btf_id: type.id, expected_attach_type: index };
  }
}

/** The BTF id of a function of a loaded program. */
function functionOf(target: Program, name: string): number {
  const id = target.info().btf_id;
  const bytes = id ? fetchBtf(target.sys, id) : undefined;
  const found = bytes && parseBtf(bytes).idsByName(name, 'FUNC')[0];
  if (found === undefined)
    throw new LoaderError(
      'LOADER_UNRESOLVED',
      `program ${target.name} has no function ${name} in its BTF`,
      { program: target.name },
      { errno: 'ENOENT' },
    );
  return found;
}

/** Whether an error tells of the object or the kernel, and not of a bug here. */
export function isRefusal(error: unknown): error is BpfError | LoaderError {
  return error instanceof Error && ['BpfError', 'VerifierError', 'LoaderError', 'BtfError', 'ElfError'].includes(error.name);
}
