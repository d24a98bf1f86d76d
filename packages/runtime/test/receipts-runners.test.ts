// receipts-runners.test.ts: for whose word a receipt waits, of those that share a store.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KillSwitches } from '@offswitch/core';
import {
  createRuntime,
  folderStore,
  memoryStore,
  openGate,
  type Receipt,
  type Runtime,
  type StateStore,
} from '@offswitch/runtime';
import { memorySource, waitUntil } from '@offswitch/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { switches } from './world.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'offswitch-runners-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe.each(['memory', 'folder'] as const)('a receipt in %s', (kind) => {
  test('is done although a gate shares the store, which runs no sessions and has nothing to say; nor is it gone once closed (S10)', async () => {
    const memory = memoryStore();
    const stores: StateStore[] = kind === 'memory' ? [memory, memory.share()] : [folderStore(folder), folderStore(folder)];
    const source = memorySource(switches as KillSwitches);
    const runtime = await createRuntime({ switches: switches as KillSwitches, source, store: stores[0]! });
    const gate = await openGate({
      switches,
      source: memorySource(switches as KillSwitches),
      store: stores[1]!,
      onAlarm: () => {},
    });
    source.engage('killswitch.global');
    expect(await waitUntil(source, 20_000, async () => (await first(runtime))?.stages.done !== undefined)).toBe(true);
    await gate.close();
    expect(await first(runtime)).toMatchObject({ residue: [], stages: { done: expect.any(Number) } });
    await runtime.close();
  });
});

async function first(runtime: Runtime): Promise<Receipt | undefined> {
  return (await runtime.receipts())[0];
}
