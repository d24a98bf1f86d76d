// print.ts: text for a terminal that strangers had a hand in: ids, reasons and names come from files and other processes.

import { styleText } from 'node:util';
import type { Io } from './io.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is taken out here
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** Without the characters that move a cursor, start an escape sequence, or turn the direction of text around. At most 500 characters. */
export function clean(text: string): string {
  const one = plain(text);
  return one.length > 500 ? `${one.slice(0, 499)}…` : one;
}

/** The same at full length, for a page. */
export function plain(text: string): string {
  return text.replace(control, ' ');
}

export type Colour = 'red' | 'yellow' | 'green' | 'dim' | 'bold';

export function paint(io: Io, colour: Colour, text: string): string {
  return io.hasColour ? styleText(colour, text, { validateStream: false }) : text;
}

/** Aligned columns. Cells are cleaned; empty columns at the end leave no blanks. */
export function table(rows: readonly (readonly string[])[], indent = '  '): string {
  const cells = rows.map((row) => row.map(clean));
  const widths: number[] = [];
  for (const row of cells) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return cells
    .map(
      (row) =>
        `${indent}${row
          .map((cell, i) => cell.padEnd(widths[i]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** `4s`, `12m`, `3h`, `5d` ago. A time that was never written down, or lies ahead of the clock, is said so. */
export function age(now: number, at: number | undefined): string {
  if (at === undefined || at <= 0) return 'unknown time';
  const seconds = Math.round((now - at) / 1000);
  if (seconds < 0) return 'in the future (clocks differ)';
  if (seconds < 120) return `${seconds}s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)}m ago`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)}h ago` : `${Math.round(seconds / 86_400)}d ago`;
}

/** What others wrote down as a time, epoch milliseconds. */
export function moment(at: unknown): string {
  return typeof at === 'number' && Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : '?';
}

/** Micro-units of money with four decimals. */
export function money(micros: number): string {
  return `$${(micros / 1_000_000).toFixed(4)}`;
}

/** `3 sessions`, `1 session`. */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : noun.endsWith('s') ? 'es' : 's'}`;
}

/** Counts by name, the highest first. */
export function tally(counts: Readonly<Record<string, number>>): string {
  const sorted = Object.entries(counts).sort((a, b) => b[1] - a[1]);
  const shown = sorted.slice(0, 8).map(([name, n]) => `${clean(name)} ${n}`);
  return sorted.length > 8 ? `${shown.join(', ')} and ${sorted.length - 8} more` : shown.join(', ');
}
