// folder-contract.test.ts: the contract of a store that processes share, on a folder: here each process is a store of its own in this one.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { folderStore, type StateStore } from '@offswitch/runtime';
import { describeLineageStore } from '@offswitch/testing';

describeLineageStore('folder', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'offswitch-contract-'));
  const opened: StateStore[] = [];
  const make = (): StateStore => {
    const store = folderStore(folder);
    opened.push(store);
    return store;
  };
  return {
    store: make(),
    share: async () => make(),
    kill: (one) => one.close(),
    async close() {
      for (const store of opened) await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
});
