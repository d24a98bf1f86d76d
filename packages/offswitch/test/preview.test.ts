// preview.test.ts: what is counted before a stop never holds it up for long.

import { afterEach, expect, test, vi } from 'vitest';
import type { Command } from '../src/cli/command.ts';
import { folderPlace, type Place } from '../src/cli/place.ts';
import { reachOf } from '../src/cli/preview.ts';

afterEach(() => vi.useRealTimers());

test('what processes that are gone have left is counted for three seconds, and then the stop goes on without (S10)', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const place: Place = {
    ...folderPlace('/nowhere'),
    exists: () => true,
    ask: async (method) => [
      { process: 'p-1', pid: 4, result: method === 'preview' ? { sessions: 0, byWorkflow: {}, byUser: {}, nearest: [] } : [] },
    ],
    journals: () => new Promise(() => {}),
  };
  let isOver = false;
  const asked = reachOf({ place } as Command, { tier: 'global', subject: undefined, isConversation: false }).finally(() => {
    isOver = true;
  });
  await vi.advanceTimersByTimeAsync(2_999);
  expect(isOver).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(await asked).toMatchObject({
    processes: 1,
    preview: { sessions: 0 },
    damage: 'what processes that are gone have left takes more than 3 s to read',
  });
});
