// folder-lost.test.ts: removing the files of stops by hand releases nothing (S4).

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { isEngaged, type KillSwitches } from '@offswitch/core';
import { type Alarm, folderStore, openGate, type StateStore } from '@offswitch/runtime';
import { manualClock, memorySource } from '@offswitch/testing';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { switches } from './world.ts';

let place: string;
const stores: StateStore[] = [];
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'ofs-lost-'));
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  rmSync(place, { recursive: true, force: true });
});

/** What the next process finds in force. */
async function inForce(folder: string): Promise<readonly (readonly [string, string | undefined])[]> {
  const next = folderStore(folder);
  stores.push(next);
  const { stops } = await next.open();
  return stops.filter((one) => isEngaged(one.marks)).map((one) => [one.key, one.engaged?.reason] as const);
}

const global = 'act.operator.pause.global.-.o1';
const user = 'act.operator.pause.user.u-1.o2';

describe('the files of stops, removed by hand while a process runs', () => {
  test.each([
    ['each file of a stop in force', (stops: string) => unlinkSync(join(stops, `${global}.e.0`))],
    [
      'every file',
      (stops: string) => {
        for (const name of readdirSync(stops)) unlinkSync(join(stops, name));
      },
    ],
    ['the whole folder of stops', (stops: string) => rmSync(stops, { recursive: true })],
  ])(
    '%s: are written again with their words, by the poll alone, and told of once; what was released stays so (S4)',
    async (_, remove) => {
      const clock = manualClock();
      const store = folderStore(join(place, 'state'), { clock });
      stores.push(store);
      await store.open();
      const lost: string[] = [];
      store.watch((change) => lost.push(...(change.lost ?? []).map((one) => one.key)));
      await store.mark(global, 'engaged', 0, { reason: 'bad letters', by: 'ada', at: 1 });
      await store.mark(user, 'engaged', 0, { reason: 'over', by: 'ada', at: 1 });
      await store.mark(user, 'released', 0, { reason: 'well again', by: 'ada', at: 2 });
      remove(join(place, 'state', 'stops'));
      await vi.waitFor(async () => {
        await clock.advance(500);
        expect(await inForce(join(place, 'state'))).toEqual([[global, 'bad letters']]);
      }, 10_000);
      await clock.advance(5_000);
      expect(lost).toEqual([global]);
      expect(store.health).toEqual({ state: 'ok' });
    },
  );

  test('a release whose file is removed is written again: what a person let go on is not stopped by that (I14)', async () => {
    const clock = manualClock();
    const store = folderStore(join(place, 'state'), { clock });
    stores.push(store);
    await store.open();
    store.watch(() => {});
    await store.mark(user, 'engaged', 0, { reason: 'over', by: 'ada', at: 1 });
    await store.mark(user, 'released', 0, { reason: 'well again', by: 'ada', at: 2 });
    unlinkSync(join(place, 'state', 'stops', `${user}.r.0`));
    await vi.waitFor(async () => {
      await clock.advance(500);
      expect(await inForce(join(place, 'state'))).toEqual([]);
    }, 10_000);
  });

  test('are told of loudly, with the way out, and hold the gate all the while', async () => {
    const source = memorySource(switches as KillSwitches);
    const alarms: Alarm[] = [];
    const store = folderStore(join(place, 'state'));
    const gate = await openGate({ switches, source, store, onAlarm: (alarm) => alarms.push(alarm) });
    try {
      const other = folderStore(join(place, 'state'));
      stores.push(other);
      await other.open();
      await other.mark(global, 'engaged', 0, { reason: 'bad letters', by: 'ada', at: 1 });
      await vi.waitFor(
        () => expect(gate.admits({ workflow: 'alpha' })).toMatchObject({ action: 'pause', cause: 'operator' }),
        10_000,
      );
      rmSync(join(place, 'state', 'stops'), { recursive: true });
      await vi.waitFor(() => expect(alarms.map((one) => one.message).join()).toContain(`removed stops`), { timeout: 20_000 });
      expect(alarms.at(-1)).toMatchObject({ kind: 'store', isActive: true, message: expect.stringContaining(global) });
      expect(gate.admits({ workflow: 'alpha' })).toMatchObject({ action: 'pause', cause: 'operator' });
      await vi.waitFor(() => expect(existsSync(join(place, 'state', 'stops', `${global}.e.0`))).toBe(true), { timeout: 20_000 });
    } finally {
      await gate.close();
    }
  });

  test('are in force in the next process, after a kill -9 of the one that wrote them again (I5)', {
    timeout: 60_000,
  }, async () => {
    const folder = join(place, 'state');
    const child = spawn(process.execPath, [fileURLToPath(new URL('./stop-holder.mjs', import.meta.url)), folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      expect(await lines.next()).toMatchObject({ value: 'marked' });
      // In one step: the process writes again while a folder is being emptied.
      renameSync(join(folder, 'stops'), join(place, 'removed'));
      expect(await lines.next()).toMatchObject({ value: `lost ${global}` });
      // The name alone is the stop; its reason follows, and is asked for below.
      const isWhole = (): void => expect(readFileSync(join(folder, 'stops', `${global}.e.0`), 'utf8')).toContain('bad letters');
      await vi.waitFor(isWhole, { timeout: 20_000 });
    } finally {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    expect(await inForce(folder)).toEqual([[global, 'bad letters']]);
  });
});
