// history.ts: the last flips made through our control, in a sidecar next to the flag file.
//
// A log for people. The flag file is the record, so nothing here decides anything: a failure to write it does not undo a
// flip, and a damaged line is skipped and reported. What people edit by hand is not in it.

import { appendFile, readFile, rename, rm } from 'node:fs/promises';
import type { Flip, HistoryQuery } from '@offswitch/core';
import { makeFile } from './owner.ts';
import { codeOf } from './snapshot.ts';

/** Flips kept. The file is cut back to this when it holds half as many again. */
export const keptFlips = 200;

export function historyPath(place: string): string {
  return `${place}.history.jsonl`;
}

/** Called under the lock of the flag file. */
export async function appendFlip(place: string, flip: Flip): Promise<void> {
  const path = historyPath(place);
  const before = await readFile(path, 'utf8').catch(() => '');
  // A line that a crash left without its end must not swallow this one.
  const start = before === '' || before.endsWith('\n') ? '' : '\n';
  const line = `${JSON.stringify(flip)}\n`;
  const lines = before.split('\n').filter((one) => one !== '');
  if (lines.length + 1 < keptFlips * 1.5) {
    if (!(await makeFile(path, place, line))) await appendFile(path, `${start}${line}`);
    return;
  }
  const temporary = `${path}.tmp`;
  await rm(temporary, { force: true });
  if (!(await makeFile(temporary, place, `${lines.slice(-(keptFlips - 1)).join('\n')}\n${line}`)))
    throw new Error(`somebody else makes ${temporary}`);
  await rename(temporary, path);
}

/** Newest first. `report` hears of lines that cannot be read. */
export async function readFlips(place: string, query: HistoryQuery, report: (message: string) => void): Promise<readonly Flip[]> {
  const path = historyPath(place);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') report(`${path} cannot be read (${codeOf(error)}); the history is shown empty`);
    return [];
  }
  const flips: Flip[] = [];
  let damaged = 0;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const flip = parseFlip(line);
    if (flip) flips.push(flip);
    else damaged++;
  }
  if (damaged > 0) report(`${path} has ${damaged} damaged ${damaged === 1 ? 'line' : 'lines'}, left out of the history`);
  const limit = query.limit ?? 50;
  return flips
    .slice(-keptFlips)
    .reverse()
    .filter((flip) => query.key === undefined || flip.key === query.key)
    .slice(0, Math.max(0, limit));
}

function parseFlip(line: string): Flip | undefined {
  try {
    const flip = JSON.parse(line) as Partial<Record<keyof Flip, unknown>> | null;
    const isFlip =
      typeof flip === 'object' &&
      flip !== null &&
      typeof flip.key === 'string' &&
      (flip.action === 'engage' || flip.action === 'release') &&
      typeof flip.reason === 'string' &&
      typeof flip.by === 'string' &&
      typeof flip.at === 'number' &&
      (flip.target === undefined || typeof flip.target === 'string');
    return isFlip ? (flip as unknown as Flip) : undefined;
  } catch {
    return undefined;
  }
}
