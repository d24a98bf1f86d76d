// anchor.test.ts: several processes of a machine, and one file in which they remember stops.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatStopKey, type StoredStop, subjectKey } from '@offswitch/runtime';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Anchor } from '../src/anchor.ts';

const keyOf = (id: string): string =>
  formatStopKey({ kind: 'act', cause: 'operator', action: 'pause', tier: 'instance', subject: subjectKey(id), id: 'o-1' });
const stop = (id: string, engaged: number, released = -1): StoredStop => ({ key: keyOf(id), marks: { engaged, released } });

describe('what a machine remembers of its Redis', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'offswitch-anchor-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  async function write(id: string, stops: readonly StoredStop[]): Promise<void> {
    const anchor = new Anchor(join(folder, 'redis.json'), 'os1');
    anchor.write(id, () => stops);
    await anchor.settle();
  }
  const read = async () =>
    (await new Anchor(join(folder, 'redis.json'), 'os1').read())!.marks.map(({ key, side, n }) => `${key} ${side} ${n}`).sort();

  test('keeps a stop that one process knows when another writes that has not heard of it (S4)', async () => {
    await write('r-1', [stop('one', 3, 2)]);
    await write('r-1', [stop('one', 1, 1), stop('two', 0)]);
    expect(await read()).toEqual([`${keyOf('one')} engaged 3`, `${keyOf('one')} released 2`, `${keyOf('two')} engaged 0`].sort());
  });

  test('holds nothing against a Redis that another one held', async () => {
    await write('r-1', [stop('one', 3)]);
    await write('r-2', [stop('two', 0)]);
    expect(await read()).toEqual([`${keyOf('two')} engaged 0`]);
  });
});
