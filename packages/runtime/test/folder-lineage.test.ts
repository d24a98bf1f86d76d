// folder-lineage.test.ts: one graph in the processes of one machine: here several stores on one folder.

import fs, { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChildNews, type FolderStoreOptions, folderStore, formatStopKey, type StateStore } from '@offswitch/runtime';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let folder: string;
let opened: StateStore[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'offswitch-lineage-'));
  opened = [];
});
afterEach(async () => {
  for (const store of opened) await store.close();
  rmSync(folder, { recursive: true, force: true });
});

async function process(options?: FolderStoreOptions): Promise<StateStore> {
  const store = folderStore(folder, options);
  opened.push(store);
  await store.open();
  await store.serve!(async () => undefined);
  return store;
}

describe('a session that came from another process of the folder', () => {
  test('is told of there in the order of what became of it, and of each rest, so that its parent rests with it (S8)', async () => {
    const [one, two] = [await process(), await process()];
    const heard: ChildNews[] = [];
    const thrice = new Promise<void>((resolve) => {
      one.watch(({ children = [] }) => {
        heard.push(...children);
        if (heard.length === 3) resolve();
      });
    });
    const base = { agent: 'a', workflow: 'alpha', isLocalRoot: true };
    await one.lineage.register({ ...base, session: 's-root', path: ['s-root'] });
    await two.lineage.register({ ...base, session: 's-child', path: ['s-root', 's-child'], call: '1/ask' });
    for (const state of ['resting', 'resting', 'running'] as const) two.lineage.note('s-child', 's-root', state);
    await thrice;
    const news = { parent: 's-root', call: '1/ask', child: 's-child' };
    expect(heard).toEqual([
      { ...news, state: 'resting' },
      { ...news, state: 'resting' },
      { ...news, state: 'running' },
    ]);
  });
});

describe('a stop that could not be written into the folder', () => {
  test('is confirmed by no other process until it is there: they read the folder, and do not know of it (I1, S10)', async () => {
    let isFull = true;
    const openSync = (path: string, ...more: [string, number?]): number => {
      if (isFull && path.includes('/stops/')) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
      return fs.openSync(path, ...more);
    };
    const one = await process({ fs: { ...fs, openSync } as NonNullable<FolderStoreOptions['fs']> });
    const key = formatStopKey({
      kind: 'act',
      cause: 'operator',
      action: 'terminate',
      tier: 'instance',
      subject: 's-1',
      id: 'o1',
    });
    const mark = () => one.mark(key, 'engaged', 0, { reason: 'odd', by: 'ann', at: 1 });
    await expect(mark()).rejects.toMatchObject({ code: 'store_failed' });
    expect(await one.lineage.confirm(key, 0)).toEqual({ confirmed: [], runners: [], unconfirmed: [] });
    const two = await process();
    expect(await one.lineage.confirm(key, 0)).toMatchObject({
      confirmed: [],
      unconfirmed: [expect.stringContaining(`${two.processId} cannot know of the stop`)],
    });
    isFull = false;
    await mark();
    expect(await one.lineage.confirm(key, 0)).toMatchObject({ confirmed: [two.processId], unconfirmed: [] });
    // Who has only read that somebody else wrote it may ask as well.
    expect(await two.lineage.confirm(key, 0)).toMatchObject({ confirmed: [one.processId], unconfirmed: [] });
  });
});
