// check-chain.ts: one chain against itself: each line is an entry, is what its hash says, and follows the one before.

import type { AuditChain } from './audit-log.ts';
import { canonical } from './canonical.ts';
import { type AuditHead, genesis, hashOf } from './entry.ts';
import { headsIn } from './frontier.ts';
import type { AuditAnchor, AuditFinding } from './verify.ts';

export interface CheckedChain {
  readonly findings: readonly AuditFinding[];
  /** Of the entries that are what their hash says, by number. */
  readonly hashes: ReadonlyMap<number, string>;
  /** The highest number that stands there, or whose place a damaged line has. */
  readonly last: number;
  readonly lines: number;
  readonly head: AuditHead | undefined;
  /** The heads that its entries name. */
  readonly anchors: readonly AuditAnchor[];
}

interface Line {
  /** From 1. */
  readonly at: number;
  readonly n: number;
  readonly prev: string;
  readonly hash: string;
  readonly entry: unknown;
}

export function checkChain({ process, lines, damage }: AuditChain): CheckedChain {
  const findings: AuditFinding[] = [];
  const find = (what: AuditFinding['what'], n: number, line: number, message: string): void =>
    void findings.push({ process, n, line, what, message });
  const read = lines.map((line, i) => readLine(line, i + 1, process));
  const later = new Map<number, number>();
  for (const line of read) if (typeof line === 'object') later.set(line.n, (later.get(line.n) ?? 0) + 1);
  const numbers = [...later.keys()].sort((a, b) => a - b);
  const hashes = new Map<number, string>();
  const anchors: AuditAnchor[] = [];
  let head: AuditHead | undefined;
  let last = 0;
  /** Lines since the last good one that are no entry: each may stand in the place of one. */
  let broken: { readonly at: number; readonly why: string }[] = [];

  const place = (from: number, upTo: number): number => {
    let n = from;
    for (const { at, why } of broken) {
      find(why === foreign ? 'foreign' : 'edited', n, at, `line ${at}, in the place of entry ${n}, ${why}`);
      if (n < upTo) n++;
    }
    broken = [];
    return n;
  };

  /** One finding for each row of entries that are missing: a number may be any, and there may be few lines. */
  const findMissing = (from: number, upTo: number, before: number): void => {
    const elsewhere = numbers.slice(firstFrom(numbers, from), firstFrom(numbers, upTo)).filter((n) => later.get(n)! > 0);
    let missing = from;
    for (const next of [...elsewhere, upTo]) {
      const [through, is] = [next - 1, `missing before line ${before}`];
      if (missing === through) find('removed', missing, before, `entry ${missing} is ${is}`);
      else if (missing < through) find('removed', missing, before, `entries ${missing} to ${through} are ${is}`);
      missing = next + 1;
    }
  };

  for (const [i, line] of read.entries()) {
    if (typeof line === 'string') {
      broken.push({ at: i + 1, why: line });
      continue;
    }
    const { n, at, prev, hash } = line;
    later.set(n, later.get(n)! - 1);
    if (hashes.has(n)) {
      find('duplicated', n, at, `entry ${n} stands there again in line ${at}`);
      continue;
    }
    if (n <= last) {
      find('reordered', n, at, `entry ${n} stands in line ${at}, after entry ${last}`);
    } else {
      findMissing(place(last + 1, n), n, at);
      last = n;
    }
    const before = n === 1 ? genesis : hashes.get(n - 1);
    if (before !== undefined && before !== prev)
      find(
        'rewritten',
        n,
        at,
        `entry ${n} does not follow from ${n === 1 ? 'nothing' : `entry ${n - 1}`}: one of them was rewritten`,
      );
    hashes.set(n, hash);
    if (n === last) head = { process, n, hash };
    for (const named of headsIn(line.entry)) anchors.push({ ...named, by: `entry ${n} of the chain ${process}` });
  }
  const count = broken.length;
  place(last + 1, Number.POSITIVE_INFINITY);
  last += count;
  if (damage !== undefined) find('unreadable', last + 1, lines.length + 1, damage);
  return { findings, hashes, last, lines: lines.length, head, anchors };
}

/** Where in a sorted list what is not below `n` begins. */
function firstFrom(sorted: readonly number[], n: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < n) low = middle + 1;
    else high = middle;
  }
  return low;
}

const foreign = 'belongs to another chain';

/** The entry, or what is wrong with the line. */
function readLine(text: string, at: number, process: string): Line | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'is no JSON';
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'is no entry';
  const entry = value as Readonly<Record<string, unknown>>;
  const { n, prev, hash } = entry;
  if (typeof n !== 'number' || !Number.isSafeInteger(n) || n < 1 || typeof prev !== 'string' || typeof hash !== 'string')
    return 'is no entry';
  if (hashOf(entry) !== hash) return `is not what its hash says (it calls itself entry ${n})`;
  if (canonical(entry) !== text) return `is not written as it was (it calls itself entry ${n})`;
  if (entry.process !== process) return foreign;
  return { at, n, prev, hash, entry };
}
