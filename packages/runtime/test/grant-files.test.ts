import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { folderStore, type GrantRecord } from '@offswitch/runtime';
import { manualClock, memoryBroker } from '@offswitch/testing';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { settle, world } from './world.ts';

const places: string[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  for (const place of places.splice(0)) rmSync(place, { recursive: true, force: true });
});

/** What a process that is gone left in a state folder: two grants, the file of one of which is replaced. */
async function left(replace: (file: string) => void): Promise<string> {
  const place = mkdtempSync(join(tmpdir(), 'ofgf-'));
  places.push(place);
  const folder = join(place, 'state');
  const store = folderStore(folder);
  await store.open();
  const grant = (id: string): GrantRecord => ({
    id,
    session: 's-1',
    path: ['s-1'],
    broker: 'mail',
    audience: '',
    scope: [],
    process: store.processId,
    state: 'active',
    at: 1,
    expiresAt: 8.64e15,
    ref: 'r',
  });
  for (const id of ['g-damaged', 'g-whole']) await store.grants!.put(grant(id));
  replace(join(folder, 'grants', `g-damaged.${store.processId}.json`));
  await store.close();
  return folder;
}

describe('a grant whose file is damaged', () => {
  test('is named as alive, with the file, and hides none of the others (I4)', async () => {
    const folder = await left((file) => writeFileSync(file, '{"id":"g-damaged","ses'));
    const clock = manualClock();
    const broker = memoryBroker({ now: clock.now });
    const store = folderStore(folder);
    const said = vi.spyOn(console, 'error').mockImplementation(() => {});
    const { runtime } = await world({ store: store as never, clock, brokers: { mail: broker } });
    await vi.waitFor(async () => {
      await settle(clock);
      const kept = new Map((await store.grants!.list()).map(({ record }) => [record.id, record]));
      expect(kept.get('g-damaged')).toMatchObject({ state: 'irrevocable', evidence: 'its file is damaged' });
      expect(kept.get('g-whole')!.state).toBe('revoked');
    }, 10_000);
    expect(broker.revoked).toEqual(['g-whole']);
    expect(said.mock.calls.join()).toMatch(/grants\/g-damaged\.[a-z0-9]+\.json is damaged/);
    await runtime.close();
  });

  test('is known by what another process wrote of it', async () => {
    const folder = await left((file) => writeFileSync(file, 'null'));
    const store = folderStore(folder);
    await store.open();
    const base = (await store.grants!.list()).find(({ record }) => record.id === 'g-whole')!.record;
    await store.grants!.put({ ...base, id: 'g-damaged', state: 'revoked' });
    const kept = (await store.grants!.list()).find(({ record }) => record.id === 'g-damaged');
    expect(kept!.record).toMatchObject({ state: 'revoked', broker: 'mail' });
    await store.close();
  });
});

describe('a grant whose file cannot be read', () => {
  test('is no reason to answer without it', async () => {
    const folder = await left((file) => {
      rmSync(file);
      mkdirSync(file);
    });
    await expect(folderStore(folder).grants!.list()).rejects.toMatchObject({ code: 'store_failed' });
  });
});
