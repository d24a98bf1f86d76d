// report.ts: what a person reads: each figure with its target and what it is compared with, and the machine it was measured on.

import { cpus } from 'node:os';
import type { Figure } from './case.ts';

export function machineLine(): string {
  const all = cpus();
  return `${all[0]?.model.trim() ?? 'unknown CPU'}, ${all.length} cores, Node ${process.version}, ${process.platform}`;
}

/** Our figure, the peers whose figure it stands beside. */
const peers: Readonly<Record<string, readonly string[]>> = {
  'call.overhead.p50.us': ['peer.agt.p50.us', 'peer.openfeature.us'],
  'redis.latch.100000.ms': ['naive.stop.100000.ms'],
};

/** A benchmark that this machine could not run. */
export interface LeftOut {
  readonly name: string;
  readonly figures: readonly string[];
  readonly why: string;
}

/**
 * How a run ends: what went wrong or is missing, for stderr, and the exit code. Who reads the figures from a file cannot see that
 * one is not there: then a benchmark that was left out is a failure too.
 */
export function ending(
  broken: readonly string[],
  leftOut: readonly LeftOut[],
  isToFile: boolean,
): { readonly lines: readonly string[]; readonly code: 0 | 1 } {
  return {
    lines: [
      ...leftOut.map(({ name, figures, why }) => `left out: ${name}: ${why}; not measured: ${figures.join(', ')}`),
      ...broken.map((one) => `broken: ${one}`),
    ],
    code: broken.length > 0 || (isToFile && leftOut.length > 0) ? 1 : 0,
  };
}

/** `all`: what was measured besides, and is shown beside them only. */
export function table(figures: readonly Figure[], all: readonly Figure[] = figures): string {
  const rows = [['figure', 'median', 'target', '', 'beside', 'how']];
  for (const one of figures) {
    rows.push([
      one.name,
      `${short(one.value)} ${one.unit}`,
      one.target === undefined ? '' : `<= ${short(one.target)}`,
      one.target === undefined ? '' : one.value <= one.target ? 'met' : `${(one.value / one.target).toFixed(1)} x over`,
      besides(one, all),
      one.note ?? '',
    ]);
  }
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 1 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function besides(one: Figure, all: readonly Figure[]): string {
  const own = one.beside ? [one.beside] : [];
  const theirs = (peers[one.name] ?? []).flatMap((name) => {
    const peer = all.find((other) => other.name === name);
    return peer ? [{ what: peer.name, value: peer.value }] : [];
  });
  return [...own, ...theirs].map(({ what, value }) => `${times(one.value / value)} ${what} (${short(value)})`).join(', ');
}

function times(ratio: number): string {
  return ratio > 0 && ratio < 0.01 ? `1/${(1 / ratio).toFixed(0)} of` : `${ratio.toFixed(2)} x`;
}

function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
