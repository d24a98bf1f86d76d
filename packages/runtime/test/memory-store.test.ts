import {
  describeAuditLog,
  describeBudgetStore,
  describeGrantStore,
  describeStateStore,
  type StoreHarness,
} from '@offswitch/testing';
import { describe, expect, test } from 'vitest';
import type { JournalRecord } from '../src/journal.ts';
import { type MemoryStore, memoryStore } from '../src/memory-store.ts';

const harness = async (): Promise<StoreHarness> => {
  let last: MemoryStore = memoryStore();
  return {
    store: last,
    reopen: async () => {
      last = last.reopen();
      return last;
    },
    share: async () => last.share(),
    close: () => last.close(),
  };
};
describeStateStore('memory', harness);
describeGrantStore('memory', harness);
describeBudgetStore('memory', harness);
describeAuditLog('memory', harness);

const record: JournalRecord = { t: 'turn', s: 's-1', e: 1, at: 1, turn: 1 };

describe('a memory store', () => {
  test('shows the journal of a process that shares it as alive, and of one that was restarted as dead', async () => {
    const first = memoryStore();
    await first.open();
    first.append('s-1', record);
    expect((await first.share().open()).journals).toMatchObject([{ process: first.processId, alive: true }]);
    const next = first.reopen();
    expect((await next.open()).journals).toMatchObject([{ process: first.processId, alive: false, records: [record] }]);
    expect(() => first.append('s-1', record)).toThrow(expect.objectContaining({ code: 'closed' }));
  });
});
