/** Values of `extern … __kconfig`, from the text of a kernel configuration. */

import { BTF_INT_BOOL, BTF_INT_CHAR, BTF_INT_SIGNED, skipModifiers, type Btf } from '@libbpf-ts/btf';
import { LoaderError } from './errors.ts';
import type { ExternSpec, ObjectSpec } from './spec.ts';

/** The configuration that is assumed where the caller gives none: what the in-process kernel models. */
export const DEFAULT_KCONFIG: Readonly<Record<string, string>> = {
  CONFIG_64BIT: 'y',
  CONFIG_BPF: 'y',
  CONFIG_BPF_SYSCALL: 'y',
  CONFIG_BPF_JIT: 'y',
  CONFIG_CGROUPS: 'y',
  CONFIG_CGROUP_BPF: 'y',
  CONFIG_DEBUG_INFO_BTF: 'y',
  CONFIG_DEFAULT_HOSTNAME: '"(none)"',
  CONFIG_HZ: '1000',
  CONFIG_INET: 'y',
  CONFIG_IPV6: 'y',
  CONFIG_NET: 'y',
  CONFIG_NET_CLS_ACT: 'y',
  CONFIG_NET_CLS_BPF: 'y',
  CONFIG_SMP: 'y',
  CONFIG_X86_64: 'y',
};

/** LINUX_KERNEL_VERSION where the caller gives none: 6.18.0. */
export const DEFAULT_KERNEL_VERSION: number = (6 << 16) | (18 << 8);

export interface KconfigOptions {
  /** Text in the form of /boot/config, or values by name in that form (`y`, `m`, `n`, `"text"`, a number). */
  readonly kconfig?: string | Readonly<Record<string, string>> | undefined;
  /** `KERNEL_VERSION(a, b, c)`. */
  readonly kernelVersion?: number | undefined;
}

export function parseKconfig(text: string): Record<string, string> {
  const lines = text
    .split('\n')
    .map((line) => /^\s*(CONFIG_\w+)=(.*?)\s*$/.exec(line))
    .filter((match) => match !== null);
  return Object.fromEntries(lines.map((match) => [match[1]!, match[2]!]));
}

/** The bytes of the `.kconfig` map. */
export function kconfigBytes(spec: ObjectSpec, size: number, options: KconfigOptions): Uint8Array {
  const given = typeof options.kconfig === 'string' ? parseKconfig(options.kconfig) : options.kconfig;
  const values = given ?? DEFAULT_KCONFIG;
  const bytes = new Uint8Array(size);
  for (const item of spec.externs) {
    if (item.kind !== 'kconfig') continue;
    const text = valueOf(item.name, values, options.kernelVersion ?? DEFAULT_KERNEL_VERSION);
    if (text !== undefined) write(spec.btf!, item, text, bytes.subarray(item.offset, item.offset + item.size));
    else if (!item.weak) throw bad(item, 'it is not in the kernel configuration', 'ESRCH');
  }
  return bytes;
}

function valueOf(name: string, values: Readonly<Record<string, string>>, version: number): string | undefined {
  switch (name) {
    case 'LINUX_KERNEL_VERSION':
      return String(version);
    case 'LINUX_HAS_BPF_COOKIE':
      return 'y';
    case 'LINUX_HAS_SYSCALL_WRAPPER':
      return 'y';
    default:
      return values[name];
  }
}

const bad = (item: ExternSpec, why: string, errno: 'EINVAL' | 'ESRCH' | 'ERANGE' = 'EINVAL'): LoaderError =>
  new LoaderError('LOADER_UNRESOLVED', `extern ${item.name} has no value: ${why}`, { symbol: item.name }, { errno });

function write(btf: Btf, item: ExternSpec, text: string, target: Uint8Array): void {
  const variable = btf.type(item.btf_id);
  const type = skipModifiers(btf, variable.kind === 'VAR' ? variable.type : 0);
  if (/^[ymn]$/.test(text)) return writeTristate(item, type, text, target);
  if (text.startsWith('"')) {
    if (type.kind !== 'ARRAY') throw bad(item, `${text} needs an array of char`);
    target.set(new TextEncoder().encode(text.slice(1, -1)).subarray(0, target.length - 1));
    return;
  }
  if (type.kind !== 'INT' || type.encoding & BTF_INT_BOOL) throw bad(item, `${text} needs an integer`);
  writeInteger(item, text, target, (type.encoding & BTF_INT_SIGNED) !== 0);
}

function writeTristate(item: ExternSpec, type: ReturnType<typeof skipModifiers>, text: string, target: Uint8Array): void {
  if (type.kind === 'INT' && type.encoding & BTF_INT_BOOL) {
    if (text === 'm') throw bad(item, "'m' is no bool");
    target[0] = text === 'y' ? 1 : 0;
  } else if (type.kind === 'ENUM') {
    target[0] = { n: 0, y: 1, m: 2 }[text as 'n' | 'y' | 'm'];
  } else if (type.kind === 'INT' && (type.size === 1 || type.encoding & BTF_INT_CHAR)) {
    target[0] = text.charCodeAt(0);
  } else {
    throw bad(item, `'${text}' needs bool, char or enum libbpf_tristate`);
  }
}

function writeInteger(item: ExternSpec, text: string, target: Uint8Array, signed: boolean): void {
  let value: bigint;
  try {
    value = BigInt(text);
  } catch {
    throw bad(item, `${text} is no number`);
  }
  const bits = target.length * 8;
  const fits = signed ? BigInt.asIntN(bits, value) === value : BigInt.asUintN(bits, value) === value;
  if (!fits) throw bad(item, `${text} does not fit ${target.length} bytes`, 'ERANGE');
  for (let i = 0; i < target.length; i++) target[i] = Number((BigInt.asUintN(64, value) >> BigInt(8 * i)) & 0xffn);
}
