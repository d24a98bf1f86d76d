// lineage-store.test.ts: the contract of a store that processes share, in memory.

import { memoryStore } from '@offswitch/runtime';
import { describeLineageStore } from '@offswitch/testing';

describeLineageStore('memory', async () => {
  const store = memoryStore();
  return { store, share: async () => store.share(), kill: (one) => one.close(), close: () => store.close() };
});
