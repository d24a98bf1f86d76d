// store-contract.ts: what every store of state promises, as one suite that each runs.
//
//   describeStateStore('folder', async () => ({ store, reopen, share, close }));

import {
  formatStopKey,
  type JournalRecord,
  type Receipt,
  type ReceiptPart,
  type Resolution,
  type StateStore,
  type StopDetails,
  type StoreChange,
  type StoredStop,
  type StoreOpening,
  subjectKey,
} from '@offswitch/runtime';
import { afterEach, describe, expect, test } from 'vitest';

/** One state, and stores on it that are not opened yet. */
export interface StoreHarness {
  readonly store: StateStore;
  /** The last store of this harness is gone, as after a crash; the next one on what it left. */
  reopen(): Promise<StateStore>;
  /** Another process on the same state: both live. */
  share(): Promise<StateStore>;
  /** Why an append that was not flushed may be lost with its process; such a store keeps its effects back until a flush. */
  readonly needsFlush?: string;
  /** The time for which a store keeps a settled graph passes, and more; no process does anything meanwhile. Absent: it clears nothing away. */
  retentionPasses?(): Promise<void>;
  close(): Promise<void>;
}

const details: StopDetails = { reason: 'it went wrong', by: 'ada', at: 1000, subject: 'u-1', series: 'flags' };
const key = (subject: string, series = 'flags'): string =>
  formatStopKey({ kind: 'switch', tier: 'user', subject: subjectKey(subject), series });
const byKey = (stops: readonly StoredStop[]): Map<string, StoredStop> => new Map(stops.map((stop) => [stop.key, stop]));

function session(s: string, root = s): JournalRecord {
  return { t: 'session', s, e: 1, at: 1, root, path: root === s ? [s] : [root, s], agent: 'a', workflow: 'w' };
}

/** A session is somebody's before it begins, where every session is registered. */
async function begin(store: StateStore, id: string): Promise<void> {
  const { lineage } = store;
  if (lineage.registersAll) await lineage.register({ session: id, path: [id], agent: 'a', workflow: 'w', isLocalRoot: true });
}

/** What a process that is gone left, as the next one is given it. */
async function leftTo(next: StateStore): Promise<StoreOpening['journals']> {
  const { journals } = await next.open();
  return next.lineage.registersAll ? (await next.lineage.adopt(['a'])).journals : journals;
}

const settled = (s: string): JournalRecord => ({ t: 'settled', s, e: 1, at: 2, status: 'completed' });

function receipt(id: string, since: number): Receipt {
  const stop = { id, cause: 'operator', tier: 'user', action: 'pause', subject: { userId: 'u-1' }, reason: 'r', since } as const;
  return { id, stop, stages: { recorded: since }, sessions: [], grants: [], residue: ['nothing'] };
}

/** The same as one process knows it. */
function part(of: Receipt, { processId: process }: StateStore): ReceiptPart {
  return { ...of, process, at: 1, others: [], missing: {} };
}

/** Runs the contract. `make` returns a fresh, empty state each time. */
export function describeStateStore(name: string, make: () => Promise<StoreHarness>): void {
  const made: StoreHarness[] = [];
  const start = async (): Promise<StoreHarness> => {
    const harness = await make();
    made.push(harness);
    return harness;
  };
  const opened = async (): Promise<{ harness: StoreHarness; store: StateStore }> => {
    const harness = await start();
    await harness.store.open();
    return { harness, store: harness.store };
  };

  describe(`a store of state: ${name}`, () => {
    afterEach(async () => {
      for (const harness of made.splice(0)) await harness.close();
    });

    test('opens empty and well, under an id of its own that fits a file name', async () => {
      const harness = await start();
      expect(await harness.store.open()).toEqual({ stops: [], resolutions: [], readings: [], claims: [], journals: [] });
      expect(harness.store.health).toEqual({ state: 'ok' });
      expect(harness.store.processId).toMatch(/^[a-z0-9]{8,32}$/);
      expect((await harness.share()).processId).not.toBe(harness.store.processId);
    });

    test('keeps a stop and its words across a restart (S4, I5)', async () => {
      const { harness, store } = await opened();
      await store.mark(key('u-1'), 'engaged', 7, details);
      const { stops } = await (await harness.reopen()).open();
      expect(stops).toEqual([{ key: key('u-1'), marks: { engaged: 7, released: -1 }, engaged: details }]);
    });

    test('joins marks, whatever their order, repetition and writer (S3, I10)', async () => {
      const marks = [
        ['engaged', 3],
        ['released', 4],
        ['engaged', 1],
        ['engaged', 9],
        ['released', 2],
        ['engaged', 3],
      ] as const;
      for (let turn = 0; turn < marks.length; turn++) {
        const { harness, store } = await opened();
        const other = await harness.share();
        await other.open();
        const order = [...marks.slice(turn), ...marks.slice(0, turn), ...marks];
        for (const [index, [side, n]] of order.entries()) await (index % 2 ? store : other).mark(key('u-1'), side, n, details);
        for (const one of [store, other])
          expect(byKey(await one.stops()).get(key('u-1'))?.marks).toEqual({ engaged: 9, released: 4 });
        await other.close();
        expect((await (await harness.reopen()).open()).stops.map((stop) => stop.marks)).toEqual([{ engaged: 9, released: 4 }]);
      }
    });

    test('keeps the words of the highest mark, and of the first who set it (S3)', async () => {
      const { harness, store } = await opened();
      const other = await harness.share();
      await other.open();
      await store.mark(key('u-1'), 'engaged', 9, details);
      await other.mark(key('u-1'), 'engaged', 3, { reason: 'an older order', at: 1 });
      await other.mark(key('u-1'), 'engaged', 9, { reason: 'a later voice', at: 2 });
      for (const one of [store, other])
        expect((await one.stops())[0]).toEqual({ key: key('u-1'), marks: { engaged: 9, released: -1 }, engaged: details });
      await other.close();
    });

    test('takes marks all at once and loses none', async () => {
      const { harness, store } = await opened();
      await Promise.all(
        Array.from({ length: 50 }, (_, n) => store.mark(key(`u-${n % 5}`), n % 2 ? 'engaged' : 'released', n, details)),
      );
      const { stops } = await (await harness.reopen()).open();
      expect(stops.map((stop) => stop.marks.engaged + stop.marks.released).sort((a, b) => a - b)).toEqual([85, 87, 89, 91, 93]);
    });

    test('keeps the stops of odd subjects apart, and their names in clear in the words', async () => {
      const { harness, store } = await opened();
      const subjects = [
        '',
        '-',
        'u-1',
        'U-1',
        '__proto__',
        'constructor',
        '../../etc',
        'a/b',
        'a.b',
        'e.7',
        '日本-🙂',
        'x'.repeat(250),
        ' ',
      ];
      for (const subject of subjects) await store.mark(key(subject), 'engaged', 1, { ...details, subject });
      const { stops } = await (await harness.reopen()).open();
      expect(stops.map((stop) => stop.engaged?.subject).sort()).toEqual([...subjects].sort());
      for (const subject of subjects) expect(byKey(stops).get(key(subject))?.engaged?.subject).toBe(subject);
    });

    test('keeps the series of one switch apart, and stops by act beside them', async () => {
      const { store } = await opened();
      const act = formatStopKey({
        kind: 'act',
        cause: 'breaker',
        breaker: 'tool-failures',
        action: 'pause',
        tier: 'instance',
        subject: 's-1',
        id: 'b-1',
      });
      await store.mark(key('u-1', 'one'), 'engaged', 5, details);
      await store.mark(key('u-1', 'two'), 'released', 6, details);
      await store.mark(act, 'engaged', 0, details);
      await store.mark(act, 'released', 0, { reason: 'seen to', at: 2, allowance: 12 });
      const stops = byKey(await store.stops());
      expect(stops.get(key('u-1', 'one'))?.marks).toEqual({ engaged: 5, released: -1 });
      expect(stops.get(key('u-1', 'two'))?.marks).toEqual({ engaged: -1, released: 6 });
      expect(stops.get(act)).toMatchObject({ marks: { engaged: 0, released: 0 }, released: { allowance: 12 } });
    });

    test('tells another process of a stop, and never the one that made it', async () => {
      const { harness, store } = await opened();
      const other = await harness.share();
      await other.open();
      const own: StoreChange[] = [];
      store.watch((change) => own.push(change));
      const heard = new Promise<StoredStop>((resolve) => {
        other.watch((change) => change.stops && resolve(change.stops[0]!));
      });
      await store.mark(key('u-1'), 'engaged', 7, details);
      expect((await heard).marks).toEqual({ engaged: 7, released: -1 });
      expect(own).toEqual([]);
      await other.close();
    });

    test('gives back the records of a journal in the order in which they were appended (S7)', async () => {
      const { harness, store } = await opened();
      const records: JournalRecord[] = [session('s-1')];
      for (let turn = 1; turn <= 100; turn++) records.push({ t: 'checkpoint', s: 's-1', e: 1, at: turn, turn, state: { turn } });
      await begin(store, 's-1');
      for (const record of records) store.append('s-1', record);
      await store.flush();
      expect(await leftTo(await harness.reopen())).toEqual([{ process: store.processId, alive: false, records }]);
    });

    test('finds appended records after a restart without any flush', async ({ skip }) => {
      const { harness, store } = await opened();
      if (harness.needsFlush !== undefined) return skip(harness.needsFlush);
      store.append('s-1', session('s-1'));
      expect((await (await harness.reopen()).open()).journals[0]?.records).toEqual([session('s-1')]);
    });

    test('gives values back as JSON does: big ones, odd keys, line breaks, absent fields absent', async () => {
      const { harness, store } = await opened();
      const state = JSON.parse(
        '{"__proto__":{"polluted":true},"constructor":1,"lines":"a\\nb\\r\\u2028","half":"\\ud800","n":[null,-0.5,1e300]}',
      );
      await begin(store, 's-1');
      store.append('s-1', session('s-1'));
      const values = [state, 'x'.repeat(3_000_000), '', null, [], { deep: { deeper: [[[[]]]] } }];
      for (const [turn, value] of values.entries())
        store.append('s-1', { t: 'checkpoint', s: 's-1', e: 1, at: 1, turn, state: value });
      store.append('s-1', { t: 'checkpoint', s: 's-1', e: 1, at: 1, turn: 9, state: undefined });
      await store.flush();
      const records = (await leftTo(await harness.reopen()))[0]!.records.slice(1) as readonly { state?: unknown }[];
      expect(records.slice(0, -1).map((record) => record.state)).toEqual(values);
      expect(Object.keys(records[0]!.state as object)).toContain('__proto__');
      expect(Object.hasOwn({}.constructor.prototype, 'polluted')).toBe(false);
      expect('state' in records.at(-1)!).toBe(false);
    });

    test('answers for a graph that is forgotten how it ended, as long as it is kept', async () => {
      const { harness, store } = await opened();
      await begin(store, 's-1');
      store.append('s-1', session('s-1'));
      store.append('s-1', settled('s-1'));
      store.lineage.note('s-1', 's-1', 'completed');
      store.forget('s-1');
      await store.flush();
      const next = await harness.reopen();
      await next.open();
      expect(await next.lineage.ended('s-1', 's-1')).toEqual(settled('s-1'));
    });

    test('has cleared a graph away that was forgotten so long ago that it is kept no more, and no other', async ({ skip }) => {
      const { harness, store } = await opened();
      if (!harness.retentionPasses) return skip('nothing in this store outlives the processes that share it');
      const other = await harness.share();
      await other.open();
      for (const [one, id] of [
        [store, 's-1'],
        [other, 's-2'],
      ] as const) {
        await begin(one, id);
        one.append(id, session(id));
      }
      store.forget('s-1');
      await Promise.all([store.flush(), other.flush()]);
      const begun = (of: StateStore) => Promise.all(['s-1', 's-2'].map((id) => of.lineage.hasBegun(id, id)));
      expect(await begun(other)).toEqual([true, true]);
      await harness.retentionPasses();
      const next = await harness.reopen();
      expect((await leftTo(next)).flatMap(({ records }) => records)).toEqual([session('s-2')]);
      expect(await begun(next)).toEqual([false, true]);
      await other.close();
    });

    test('lets exactly one process have an epoch of a session, for good (S7)', async () => {
      const { harness, store } = await opened();
      const stores = [store, await harness.share(), await harness.share()];
      for (const other of stores.slice(1)) await other.open();
      for (const id of ['s-1', 'S-1']) {
        await begin(store, id);
        store.append(id, session(id));
      }
      expect(stores.map((one) => one.claim('s-1', 2)).filter(Boolean)).toHaveLength(1);
      expect(stores.map((one) => one.claim('S-1', 2)).filter(Boolean)).toHaveLength(1);
      expect(store.claim('s-1', 3)).toBe(true);
      await store.flush();
      for (const other of stores.slice(1)) await other.close();
      const next = await harness.reopen();
      await next.open();
      await next.lineage.adopt(['a']);
      expect([next.claim('s-1', 2), next.claim('s-1', 4)]).toEqual([false, true]);
    });

    test('lets the first word on a call stand (S7)', async () => {
      const { harness, store } = await opened();
      const word: Resolution = { session: 's-1', call: 't3-2', verdict: 'happened', value: { id: 5 }, by: 'ada', at: 5 };
      const other: Resolution = { ...word, verdict: 'did-not', by: 'bob' };
      expect((await Promise.all([store.resolve(word), store.resolve(other)])).filter(Boolean)).toHaveLength(1);
      expect(await store.resolve(other)).toBe(false);
      expect(await store.resolve({ ...other, call: 't3-3' })).toBe(true);
      const next = await harness.reopen();
      const { resolutions } = await next.open();
      expect(resolutions).toHaveLength(2);
      expect(resolutions).toContainEqual(word);
      expect(await next.resolve(other)).toBe(false);
    });

    test('keeps receipts, newest first, the last writing of each (S10)', async () => {
      const { harness, store } = await opened();
      const odd = 'switch.user.~Ü/..\\.7';
      const write = (one: Receipt): Promise<void> => store.writeReceipt(part(one, store));
      await write(receipt('old', 1));
      await write(receipt(odd, 3));
      await Promise.all([write(receipt('mid', 2)), write({ ...receipt('mid', 2), released: 9 })]);
      const next = await harness.reopen();
      await next.open();
      expect(await next.receipts()).toEqual([receipt(odd, 3), { ...receipt('mid', 2), released: 9 }, receipt('old', 1)]);
    });

    test('joins the parts of a receipt that each process writes, and waits for those who have not said all (S10)', async () => {
      const { harness, store } = await opened();
      const other = await harness.share();
      await other.open();
      // Listening is what makes it count as alive.
      await other.serve?.(async () => ({}), { keepsAlive: false });
      const session = { path: ['s-1'], agent: 'a', workflow: 'w', state: 'stopped', checkpointTurn: 0, calls: [] } as const;
      const one = receipt('both', 1);
      await store.writeReceipt({
        ...part(one, store),
        stages: { recorded: 1, fenced: 2, drained: 3 },
        sessions: [{ ...session, session: 's-1' }],
        others: [other.processId],
      });
      await other.writeReceipt({ ...part(one, other), sessions: [{ ...session, session: 's-2' }] });
      const [before] = await store.receipts();
      expect(before?.sessions.map((each) => each.session).sort()).toEqual(['s-1', 's-2']);
      expect(before?.stages).toEqual({ recorded: 1, fenced: 2 });
      await other.writeReceipt({ ...part(one, other), stages: { recorded: 1, drained: 5 } });
      expect((await store.receipts())[0]?.stages).toEqual({ recorded: 1, fenced: 2, drained: 5 });
      await other.close();
    });

    describe('gives who goes on with stops', () => {
      const at = { recorded: 1, fenced: 2, drained: 3, revoked: 3, done: 4 };
      const stopped = { session: 's-1', path: ['s-1'], agent: 'a', workflow: 'w', checkpointTurn: 0, calls: [] } as const;
      const forGood = (...ids: readonly string[]) => ids.map((id) => ({ id, isForGood: true }));
      /** Written by one process, asked of one that came later: twice, since the first may have noted something. */
      const asked = async (receipts: readonly Partial<Receipt>[], stops: Parameters<StateStore['receiptsToGoOn']>[0]) => {
        const { harness, store } = await opened();
        for (const one of receipts) await store.writeReceipt({ ...part(receipt(one.id!, 1), store), ...one });
        const next = await harness.reopen();
        await next.open();
        const first = await next.receiptsToGoOn(stops);
        expect(await next.receiptsToGoOn(stops)).toEqual(first);
        return first;
      };

      test('what is written of those it names and of no other, and of one of which nothing is that nothing is (S10)', async () => {
        const given = await asked(
          [{ id: 'one' }, { id: 'two', stages: { recorded: 1, fenced: 2 } }, { id: 'other' }],
          forGood('two', 'none', 'one'),
        );
        expect([...given.keys()].sort()).toEqual(['none', 'one', 'two']);
        expect(given.get('none')).toBe(undefined);
        expect(given.get('one')).toEqual(receipt('one', 1));
        expect(given.get('two')?.stages).toEqual({ recorded: 1, fenced: 2 });
      });

      test('none that is for good and over: they grow without end, and nothing is left to do in them (S10)', async () => {
        const over = { stages: at, sessions: [{ ...stopped, state: 'stopped' }] } as const;
        const given = await asked([{ id: 'over', ...over }, { id: 'open' }], forGood('over', 'open'));
        expect([...given.keys()]).toEqual(['open']);
      });

      test('again what was over, and somebody went on with since (S10)', async () => {
        const { harness, store } = await opened();
        const over: ReceiptPart = {
          ...part(receipt('over', 1), store),
          stages: at,
          sessions: [{ ...stopped, state: 'stopped' }],
        };
        await store.writeReceipt(over);
        expect((await store.receiptsToGoOn(forGood('over'))).size).toBe(0);
        const other = await harness.share();
        await other.open();
        await other.writeReceipt({ ...over, process: other.processId, others: [], stages: {} });
        await other.serve?.(async () => ({}), { keepsAlive: false });
        const given = await store.receiptsToGoOn(forGood('over'));
        expect([...given.keys()]).toEqual(['over']);
        await other.close();
      });

      test('one that is done and may still be released, so that it can be (S3, S10)', async () => {
        const given = await asked([{ id: 'done', stages: at }], [{ id: 'done', isForGood: false }]);
        expect(given.get('done')?.stages).toEqual(at);
      });

      test('one that is done while of a session it covers nobody has said what became of it: that can still be learned (S10)', async () => {
        const unknown = { ...stopped, state: 'unconfirmed', why: 'another process runs it' } as const;
        const given = await asked([{ id: 'done', stages: at, sessions: [unknown] }], forGood('done'));
        expect(given.get('done')?.sessions).toMatchObject([{ session: 's-1', why: 'another process runs it' }]);
      });

      test('with each what was said in the receipt that it goes on from (S10)', async () => {
        const former = {
          id: 'former',
          stages: { recorded: 1, fenced: 2 },
          sessions: [{ ...stopped, state: 'stopped' }],
        } as const;
        const given = await asked([former, { id: 'latter', formerly: ['former'] }], forGood('latter'));
        expect(given.get('latter')).toMatchObject({ formerly: ['former'], sessions: [{ session: 's-1', state: 'stopped' }] });
      });
    });

    test('keeps the last readings and the document of switches', async () => {
      const { harness, store } = await opened();
      const readings = [
        { key: 'killswitch.global', state: 'released', series: 'f', n: 3, at: 5 },
        { key: 'killswitch.user', state: 'engaged', series: 'f', at: 6 },
      ] as const;
      expect(await store.readDocument('switches')).toBe(undefined);
      await store.keepReadings([readings[0]]);
      await store.keepReadings(readings);
      await store.writeDocument('switches', { flags: ['killswitch.global'] });
      const next = await harness.reopen();
      expect((await next.open()).readings).toEqual(readings);
      expect(await next.readDocument('switches')).toEqual({ flags: ['killswitch.global'] });
    });

    test('refuses everything that would change it once closed, as often as it is closed', async () => {
      const { store } = await opened();
      await Promise.all([store.close(), store.close()]);
      await store.close();
      await expect(store.mark(key('u-1'), 'engaged', 1, details)).rejects.toMatchObject({ code: 'closed' });
      expect(() => store.append('s-1', session('s-1'))).toThrow(expect.objectContaining({ code: 'closed' }));
      expect(() => store.claim('s-1', 2)).toThrow(expect.objectContaining({ code: 'closed' }));
      await expect(store.resolve({ session: 's', call: 'c', verdict: 'happened', by: 'b', at: 1 })).rejects.toMatchObject({
        code: 'closed',
      });
    });
  });
}
