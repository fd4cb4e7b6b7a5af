/** Random requests of classic tc, in the words of a trace. */

/** Names of what the requests are about. */
export interface TcSubjects {
  device(): string;
  program(): string;
}

type Fields = Record<string, unknown>;

const ETH_P_ALL = 3;
const ETH_P_IP = 0x800;
const TC_ACT_GOTO_CHAIN = 0x2000_0000;
const TC_ACT_JUMP = 0x1000_0000;

export class RandomTc {
  readonly #random: () => number;
  readonly #subjects: TcSubjects;

  constructor(random: () => number, subjects: TcSubjects) {
    this.#random = random;
    this.#subjects = subjects;
  }

  /** The fields of an operation; none for an operation that is not of classic tc. */
  fields(op: string): Fields {
    switch (op) {
      case 'filter':
        return this.#filter();
      case 'filter_del':
        return this.#deletion();
      case 'filter_get':
        return {
          ...this.#place(),
          prio: this.#prio(),
          handle: this.#handle(),
          ...this.#maybe(0.3, () => ({ protocol: this.#protocol() })),
        };
      case 'filter_dump':
        return {
          ...this.#place(),
          ...this.#maybe(0.3, () => ({ prio: this.#prio() })),
          ...this.#maybe(0.2, () => ({ protocol: this.#protocol() })),
        };
      case 'qdisc_add':
        return this.#qdisc();
      case 'qdisc_del':
        return {
          dev: this.#subjects.device(),
          ...this.#maybe(0.5, () => ({ kind: this.#pick(['clsact', 'ingress']) })),
          ...this.#maybe(0.1, () => ({ handle: this.#pick([0, 0x10000, 0xffff_0000]) })),
          ...this.#maybe(0.05, () => ({ parent: this.#pick([0, 0x10000, 0xffff_ffff]) })),
        };
      default:
        return {};
    }
  }

  #qdisc(): Fields {
    return {
      dev: this.#subjects.device(),
      kind: this.#chance(0.04) ? this.#pick(['', 'nosuch']) : this.#pick(['clsact', 'clsact', 'clsact', 'ingress']),
      mode: this.#pick(['add', 'add', 'replace', 'change']),
      ...this.#maybe(0.1, () => ({ handle: this.#pick([0, 0x10000, 0x10001, 0xffff_0000]) })),
      ...this.#maybe(0.04, () => ({ parent: this.#pick([0, 0x10000, 0xffff_ffff]) })),
      ...this.#maybe(0.2, () => ({ ingressBlock: this.#pick([1, 2]) })),
      ...this.#maybe(0.1, () => ({ egressBlock: this.#pick([1, 2]) })),
    };
  }

  #filter(): Fields {
    return {
      ...this.#place(),
      prio: this.#prio(),
      handle: this.#handle(),
      protocol: this.#protocol(),
      create: this.#chance(0.92),
      ...this.#maybe(0.2, () => ({ excl: true })),
      ...this.#maybe(0.03, () => ({ kind: this.#pick(['', 'nosuch', 'averyveryverylongname']) })),
      ...this.#body(),
      ...this.#maybe(0.3, () => ({ classid: this.#pick([0, 0x1_0001, 7]) })),
      ...this.#maybe(0.4, () => ({ name: this.#pick(['', 'a.o:[tc]', 'b']) })),
      flags: this.#pick([0, 1, 1, 1, ...(this.#chance(0.05) ? [2, 3] : [])]),
      ...this.#maybe(0.1, () => ({ flagsGen: this.#pick([1, 2, 3, 4, 8]) })),
      ...this.#maybe(0.12, () => ({ actions: this.#actions() })),
    };
  }

  /** A program or classic instructions; now and then neither or both. */
  #body(): Fields {
    const prog = this.#chance(0.8) ? { prog: this.#subjects.program() } : {};
    const ops = this.#chance('prog' in prog ? 0.03 : 0.85)
      ? { ops: this.#pick(['none', 'all', 'long', 'long', 'bad', 'empty']) }
      : {};
    return { ...prog, ...ops };
  }

  #actions(): Fields[] {
    return Array.from({ length: this.#chance(0.8) ? 1 : 2 }, () => ({
      ...(this.#chance(0.04) ? { kind: 'nosuch' } : {}),
      mode: this.#pick(['redirect', 'mirror']),
      direction: this.#pick(['egress', 'ingress']),
      dev: this.#chance(0.6) ? 'o0' : this.#subjects.device(),
      ...this.#maybe(0.4, () => ({
        action: this.#pick([
          -1,
          0,
          1,
          2,
          3,
          4,
          7,
          8,
          9,
          -2,
          TC_ACT_JUMP + 1,
          TC_ACT_GOTO_CHAIN + this.#pick([0, 1, 2]),
          0x3000_0000,
        ]),
      })),
    }));
  }

  #deletion(): Fields {
    const prio = this.#chance(0.15) ? 0 : this.#prio();
    return {
      ...this.#place(),
      prio,
      ...this.#maybe(prio === 0 ? 0.1 : 0.6, () => ({ handle: this.#handle() })),
      ...this.#maybe(prio === 0 ? 0.1 : 0.2, () => ({ protocol: this.#protocol() })),
      ...this.#maybe(0.03, () => ({ kind: this.#pick(['bpf', 'u32', 'averyveryverylongname']) })),
    };
  }

  #place(): Fields {
    const at = this.#chance(0.88)
      ? this.#pick(['ingress', 'ingress', 'egress'])
      : this.#pick(
          [1, 1, 2, 3, 0xffff_0000, 0xffff_0005, 0x10000, 0].map((value) => (value > 3 || value === 0 ? `${value}` : value)),
        );
    return {
      at,
      dev: this.#subjects.device(),
      ...this.#maybe(0.2, () => ({ chain: this.#pick([0, 1, 2, 2, ...(this.#chance(0.1) ? [0x1000_0000] : [])]) })),
    };
  }

  #prio(): number {
    return this.#chance(0.1) ? this.#pick([0, 0, 0x8000, 0x8001, 0xffff]) : 1 + this.#index(4);
  }

  #handle(): number {
    return this.#chance(0.2) ? 0 : 1 + this.#index(4);
  }

  #protocol(): number {
    return this.#chance(0.08) ? this.#pick([0, ETH_P_IP, ETH_P_IP]) : ETH_P_ALL;
  }

  #maybe(probability: number, make: () => Fields): Fields {
    return this.#chance(probability) ? make() : {};
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #index(count: number): number {
    return Math.floor(this.#random() * count);
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.#index(values.length)]!;
  }
}
