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
};

export function table(figures: readonly Figure[]): string {
  const rows = [['figure', 'median', 'target', '', 'beside', 'how']];
  for (const one of figures) {
    rows.push([
      one.name,
      `${short(one.value)} ${one.unit}`,
      one.target === undefined ? '' : `<= ${short(one.target)}`,
      one.target === undefined ? '' : one.value <= one.target ? 'met' : `${(one.value / one.target).toFixed(1)} x over`,
      besides(one, figures),
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
  return [...own, ...theirs].map(({ what, value }) => `${(one.value / value).toFixed(2)} x ${what} (${short(value)})`).join(', ');
}

function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
