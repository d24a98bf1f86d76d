// folder-claims.test.ts: who has taken a session over by a claim, and may be dead by the next moment.

import fs, { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, type FolderStoreOptions, folderStore, type JournalRecord, type StateStore } from '@offswitch/runtime';
import { manualClock } from '@offswitch/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { foldJournals } from '../src/saved.ts';
import type { StoreOpening } from '../src/store.ts';

const place = mkdtempSync(join(tmpdir(), 'offswitch-claims-'));
let folder: string;
let stores: StateStore[];
let count = 0;
beforeEach(() => {
  folder = join(place, String(count++));
  stores = [];
});
const clear = async (): Promise<void> => {
  for (const store of stores.splice(0)) await store.close();
  rmSync(folder, { recursive: true, force: true });
};
afterEach(clear);

function make(options?: FolderStoreOptions): StateStore {
  const store = folderStore(folder, options);
  stores.push(store);
  return store;
}

async function process(): Promise<StateStore> {
  const store = make();
  await store.open({ runsSessions: true });
  await store.serve!(async () => undefined);
  return store;
}

/** As after a kill -9: it listens no more. */
function kill({ processId }: StateStore): void {
  for (const file of [`processes/${processId}.json`, `s/${processId}.sock`]) rmSync(join(folder, file), { force: true });
}

/** Calls `step` before and after each listing of the journals and of the claims. */
function stepped(step: () => void): NonNullable<FolderStoreOptions['fs']> {
  const readdirSync = ((path: string) => {
    const isMeant = /\/(journal|claims)$/.test(path);
    if (isMeant) step();
    const names = fs.readdirSync(path);
    if (isMeant) step();
    return names;
  }) as typeof fs.readdirSync;
  return { ...fs, readdirSync };
}

const birth = (s: string): JournalRecord => ({ t: 'session', s, e: 1, at: 1, root: s, path: [s], agent: 'a', workflow: 'alpha' });
const call = {
  t: 'call',
  s: 's-1',
  e: 2,
  at: 1,
  turn: 1,
  key: 'k',
  id: 'c1',
  kind: 'tool',
  name: 'pay',
  class: 'effect',
} as const;

interface Case {
  readonly looks: 'opens' | 'adopts';
  /** Has it a journal already, of another session? */
  readonly wrote: boolean;
  /** Steps at which it claims, and at which it dies: later, and it has begun an effect by then. */
  readonly claimsAt: number;
  readonly diesAt: number;
}

/** What came of it in the end, and the steps that there were. */
async function lookedInTheMiddle({ looks, wrote, claimsAt, diesAt }: Case) {
  const first = await process();
  first.append('s-1', birth('s-1'));
  const second = await process();
  if (wrote) second.append('s-2', birth('s-2'));
  let steps = -1;
  let isGone = false;
  const die = (): void => {
    isGone = true;
    if (diesAt > claimsAt) second.append('s-1', call);
    kill(second);
  };
  const disk = stepped(() => {
    if (steps < 0) return;
    if (steps === claimsAt) second.claim('s-1', 2);
    if (steps === diesAt) die();
    steps++;
  });
  const clock = manualClock();
  const third = make({ fs: disk, clock, watchPollMs: 500 });
  let found: Pick<StoreOpening, 'journals' | 'claims'>;
  if (looks === 'opens') {
    kill(first);
    steps = 0;
    found = await third.open({ runsSessions: true });
  } else {
    await third.open({ runsSessions: true });
    kill(first);
    steps = 0;
    found = await third.lineage.adopt([]);
  }
  const all = steps;
  steps = -1;
  if (all <= claimsAt) second.claim('s-1', 2);
  if (!isGone) die();
  let isTold = false;
  third.watch(({ isOrphaned }) => {
    isTold ||= isOrphaned === true;
  });
  // As takeover.ts does: not what another has claimed that lives, and only with the next epoch.
  const taken = (): unknown => {
    const { saved, isElsewhere } = foldJournals(found.journals).get('s-1') ?? {};
    const claim = found.claims.find(({ session }) => session === 's-1');
    if (!saved || isElsewhere || (claim?.alive && claim.epoch > saved.epoch)) return undefined;
    if (!third.claim('s-1', Math.max(saved.epoch, claim?.epoch ?? 0) + 1)) return undefined;
    return saved.turns.flatMap(({ calls }) => calls.map(({ name }) => name));
  };
  let calls = taken();
  for (let round = 0; calls === undefined && round < 1_000; round++) {
    await clock.advance(500);
    await new Promise((resolve) => setImmediate(resolve));
    if (!isTold) continue;
    isTold = false;
    found = await third.lineage.adopt([]);
    calls = taken();
  }
  return { calls, all };
}

describe('a session whose second process claims it and dies while a third looks for what the dead have left', () => {
  test.each([
    { looks: 'opens', wrote: true },
    { looks: 'adopts', wrote: false },
    { looks: 'adopts', wrote: true },
  ] as const)(
    'is taken over once, with all that was begun, in whichever moment: it $looks, the second had written before: $wrote (I9, I14, S7)',
    async (one) => {
      let all = 1;
      for (let claimsAt = 0; claimsAt < all; claimsAt++)
        for (let diesAt = claimsAt; diesAt <= all; diesAt++) {
          const moment = { ...one, claimsAt, diesAt };
          const end = await lookedInTheMiddle(moment);
          await clear();
          expect({ ...moment, calls: end.calls }).toEqual({ ...moment, calls: diesAt > claimsAt ? ['pay'] : [] });
          all = Math.max(all, end.all);
        }
      expect(all).toBeGreaterThan(5);
    },
    60_000,
  );
});

describe('a process whose like cannot be listed any more', () => {
  test('takes nobody for gone', async () => {
    const other = await process();
    other.append('s-1', birth('s-1'));
    await other.flush();
    const clock = manualClock();
    const store = make({ clock });
    await store.open({ runsSessions: true });
    let isTold = false;
    store.watch(({ isOrphaned }) => {
      isTold ||= isOrphaned === true;
    });
    const names = join(folder, 'processes');
    const look = async (): Promise<void> => {
      for (let round = 0; round < 20; round++) {
        await clock.advance(500);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    fs.renameSync(names, `${names}-away`);
    fs.symlinkSync('processes', names);
    await look();
    expect(isTold).toBe(false);
    fs.rmSync(names);
    fs.renameSync(`${names}-away`, names);
    kill(other);
    await look();
    expect(isTold).toBe(true);
  });
});

describe('very many claims that another process makes', () => {
  test('are read a few at a time: what else is to be done is done in between', async () => {
    const manual = manualClock();
    let spentMs = 0;
    // Each reading of a claim takes a millisecond.
    const clock: Clock = { ...manual, monotonic: () => manual.monotonic() + spentMs };
    let [atOnce, most, read] = [0, 0, 0];
    const readFileSync = ((path: string, ...more: [BufferEncoding]) => {
      if (String(path).includes('/claims/')) {
        spentMs++;
        read++;
        most = Math.max(most, ++atOnce);
      }
      return fs.readFileSync(path, ...more);
    }) as typeof fs.readFileSync;
    const one = make({ clock, fs: { ...fs, readFileSync }, watchPollMs: 500 });
    await one.open({ runsSessions: true });
    one.watch(() => undefined);
    const other = await process();
    for (let n = 0; n < 100; n++) other.claim(`s-${n}`, 2);
    let isOver = false;
    const turn = (): void => {
      atOnce = 0;
      if (!isOver) setImmediate(turn);
    };
    turn();
    for (let round = 0; read < 100 && round < 1_000; round++) {
      await manual.advance(500);
      await new Promise((resolve) => setImmediate(resolve));
    }
    isOver = true;
    expect(read).toBe(100);
    expect(most).toBeLessThan(5);
  });
});
