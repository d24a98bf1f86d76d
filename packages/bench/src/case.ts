// case.ts: what a benchmark is here: a name, the figures it promises, and a way to measure them in a process of its own.

export type Unit = 'ns' | 'us' | 'ms' | 'bytes' | 'micros' | 'a call' | 'a second';

/** One measured figure: a median, unless its name says otherwise. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: Unit;
  /** The most it may be, in `unit`. Absent for what is only measured beside us: a disk, a peer. */
  readonly target?: number;
  /** What it is compared with, in `unit`: the disk's own time, a peer's. */
  readonly beside?: { readonly what: string; readonly value: number };
  /** How it was measured, where the name does not say it, and how far the runs were apart. */
  readonly note?: string;
}

export interface CaseOptions {
  /** Where state folders and flag files are made; on the disk that is to be measured. */
  readonly folder: string;
}

export interface Case {
  /** Every figure it must answer; one that is missing makes the run broken. */
  readonly figures: readonly string[];
  /** What this machine lacks for it; `undefined`: nothing. Such a benchmark is left out, and the run says so. */
  why?(): string | undefined;
  /** Rejects when what was measured was not what it claims to be (a guard that still answers `run` after a stop). */
  run(options: CaseOptions): Promise<readonly Figure[]>;
}

/** Throws when a benchmark did not measure what it claims to. */
export function check(isTrue: boolean, otherwise: string): asserts isTrue {
  if (!isTrue) throw new Error(`broken benchmark: ${otherwise}`);
}
