// session-bytes.ts: what one idle live session costs: a root that waits inside its first turn, its journal on disk as by default.

import { join } from 'node:path';
import { folderStore } from '@offswitch/runtime';
import type { Case } from '../case.ts';
import { openFleet } from '../fleet.ts';
import { liveHeapBytes } from '../measure.ts';

const sessions = 100_000;

export const sessionBytes: Case = {
  figures: ['session.bytes'],
  async run({ folder }) {
    const fleet = await openFleet({ store: folderStore(join(folder, 'sessions')) });
    await fleet.startRoots(2_000);
    const before = await liveHeapBytes();
    await fleet.startRoots(sessions);
    const roots = ((await liveHeapBytes()) - before) / sessions;
    const beforeTree = await liveHeapBytes();
    await fleet.startTree(sessions);
    const children = ((await liveHeapBytes()) - beforeTree) / sessions;
    const bare = await bareBytes();
    const note = `of it ${bare.toFixed(0)} the agent's own two async functions; a child waiting in its parent's turn ${children.toFixed(0)}`;
    return [{ name: 'session.bytes', value: roots, unit: 'bytes', target: 1024, note }];
  },
};

/** The same agent without a runtime. */
async function bareBytes(): Promise<number> {
  const live: unknown[] = [];
  const forever = new Promise<never>(() => {});
  const turn = async (body: () => Promise<never>): Promise<void> => {
    await body();
  };
  const agent = async (): Promise<void> => {
    await turn(() => {
      live.push(undefined);
      return forever;
    });
  };
  const before = await liveHeapBytes();
  for (let i = 0; i < sessions; i++) live.push(agent());
  return ((await liveHeapBytes()) - before) / sessions;
}
