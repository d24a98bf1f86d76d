// folder-lineage.test.ts: one graph in the processes of one machine: here several stores on one folder.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChildNews, folderStore, type StateStore } from '@offswitch/runtime';
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

async function process(): Promise<StateStore> {
  const store = folderStore(folder);
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
