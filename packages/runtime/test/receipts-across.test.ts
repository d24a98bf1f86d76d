// receipts-across.test.ts: one flip is one receipt, although its latch and its first reading are two stops, and whichever process ends what it covers.

import {
  conversationKey,
  formatStopKey,
  isReceiptOf,
  type JournalRecord,
  joinReceipts,
  memoryStore,
  pendingSeries,
  type ReceiptPart,
  type ReceiptSession,
  type Session,
  seriesKey,
  subjectKey,
} from '@offswitch/runtime';
import { memorySource } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';
import { elsewhere, endedElsewhere, endedThere, neverBegun } from '../src/receipt-join.ts';
import { deferred, settle, switches, type TestWorld, tellingStore, world } from './world.ts';

const pending = (tier: 'feature' | 'instance', subject: string): string =>
  formatStopKey({ kind: 'switch', tier, subject: subjectKey(subject), series: pendingSeries('memory:test', 'c1') });

/** As the command line does it, in a process of its own. */
async function latch(w: TestWorld, key: string, subject: string): Promise<void> {
  await w.store.mark(key, 'engaged', 0, { reason: 'bad letters', by: 'ann', at: 7, series: 'memory:test', subject });
  await w.runtime.refresh();
  await settle(w.clock);
}

/** What it knows of its only stop, as it writes it. */
const partOf = async (w: TestWorld): Promise<ReceiptPart> => ({
  ...(await w.runtime.receipts())[0]!,
  process: w.store.processId,
  at: 5,
  others: [],
  missing: {},
});

const rest = (w: TestWorld, name = 'alpha') =>
  w.runtime.agent(name, (session) => session.turn(() => new Promise<never>(() => {})));

describe('the receipt of a flip that was latched before any process had read it', () => {
  test('goes on when its reading comes: it names whom the latch had ended, once, as stopped, and is listed once (S10)', async () => {
    const w = await world();
    const sent = deferred();
    const child = rest(w, 'helper');
    const { id } = w.runtime
      .agent('alpha', (session) =>
        session.turn((turn) =>
          Promise.all([turn.spawn(child, undefined), turn.tool('send', {}, () => sent.promise, { effect: true })]),
        ),
      )
      .start(undefined);
    await settle(w.clock);
    const key = pending('instance', id);
    await latch(w, key, id);
    const [before] = await w.runtime.receipts();
    expect(before!.sessions.map(({ agent, state }) => [agent, state])).toEqual([
      ['alpha', 'unconfirmed'],
      ['helper', 'stopped'],
    ]);

    w.source.engage('killswitch.instance', id);
    await settle(w.clock);
    sent.resolve();
    await settle(w.clock);
    const receipts = await w.runtime.receipts();
    expect(receipts).toHaveLength(1);
    const [receipt] = receipts;
    expect(receipt).toMatchObject({
      stop: { reason: 'bad letters', by: 'ann', since: 7 },
      stages: { ...before!.stages, done: expect.any(Number) },
      formerly: [before!.id],
    });
    expect(receipt!.sessions.map(({ agent, state }) => [agent, state])).toEqual([
      ['alpha', 'stopped'],
      ['helper', 'stopped'],
    ]);
    expect(receipt).not.toHaveProperty('released');
    // Whoever wrote down one of the names finds it.
    for (const name of [before!.id, key, receipt!.id, receipt!.stop.id]) expect(isReceiptOf(receipt!, name)).toBe(true);
    expect(isReceiptOf(receipt!, pending('instance', `${id}0`))).toBe(false);
  });

  test('calls stopped whom the latch had ended in another process, also where the reading was heard first (S10)', async () => {
    const one = await world();
    const { id } = rest(one).start(undefined);
    await settle(one.clock);
    const store = one.store.share();
    const { watch } = store;
    let isDeaf = true;
    store.watch = (listener) => watch.call(store, (change) => void (isDeaf || listener(change)));
    const two = await world({ store, clock: one.clock, source: memorySource(switches as never) as never });
    const key = pending('instance', id);
    // It does not live to tell of it.
    one.store.writeReceipt = () => new Promise(() => {});
    await one.store.mark(key, 'engaged', 0, { reason: 'bad letters', at: 7, series: 'memory:test', subject: id });
    const ended = one.runtime.settled(id);
    await one.runtime.refresh();
    expect((await ended).status).toBe('terminated');
    const reading = formatStopKey({
      kind: 'switch',
      tier: 'instance',
      subject: subjectKey(id),
      series: seriesKey('memory:test'),
    });
    // It hears of the reading alone, and then of both.
    const { stops } = store;
    await store.mark(reading, 'engaged', 4, { reason: 'bad letters', at: 9, series: 'memory:test', subject: id });
    store.stops = async () => (await stops.call(store)).filter((stop) => stop.key !== key);
    await two.runtime.refresh();
    await settle(two.clock, 2_000);
    const told = async () => (await two.runtime.receipts()).find(({ stop }) => stop.id === reading)!.sessions;
    expect(await told()).toMatchObject([{ session: id, state: 'already-ended' }]);
    isDeaf = false;
    store.stops = stops;
    await two.runtime.refresh();
    await settle(two.clock, 2_000);
    expect(await told()).toMatchObject([{ session: id, state: 'stopped' }]);
  });

  test('goes on in a process that starts later, and ends with the release of the reading’s stop', async () => {
    const w = await world();
    const { id } = rest(w).start(undefined);
    await settle(w.clock);
    await latch(w, pending('feature', 'alpha'), 'alpha');
    w.source.engage('killswitch.feature.alpha');
    await settle(w.clock);
    const again = await w.restart();
    rest(again);
    await settle(w.clock);
    const [one, ...others] = await again.runtime.receipts();
    expect(others).toEqual([]);
    expect(one).toMatchObject({ sessions: [{ session: id, state: 'paused' }], formerly: [`${pending('feature', 'alpha')}.0`] });
    w.source.release('killswitch.feature.alpha');
    await settle(w.clock);
    expect(await again.runtime.receipts()).toMatchObject([{ id: one!.id, released: expect.any(Number) }]);
  });

  test('names what a process ended under the latch that is gone before the reading comes (S10)', async () => {
    const one = await world();
    const two = await world({ store: one.store.share(), clock: one.clock, source: memorySource(switches as never) as never });
    const { id } = rest(two).start(undefined);
    await settle(one.clock);
    await latch(two, pending('instance', id), id);
    await settle(one.clock);
    await two.runtime.close();
    one.source.engage('killswitch.instance', id);
    await settle(one.clock);
    const receipts = await one.runtime.receipts();
    expect(receipts).toHaveLength(1);
    expect(receipts[0]!.sessions).toMatchObject([{ session: id, state: 'stopped', process: two.store.processId }]);
  });

  test('is not told of as released by a process that hears of the latch’s end and of the reading at once', async () => {
    const one = await world();
    const told: string[] = [];
    // It looks when it is told to, and so at both at once; the order in which a folder lists them is nobody's.
    const store = one.store.share();
    const { stops } = store;
    store.stops = async () => (await stops.call(store)).toSorted((a) => (a.marks.released >= a.marks.engaged ? -1 : 1));
    store.watch = () => () => undefined;
    const two = await world({ store, clock: one.clock, source: memorySource(switches as never) as never });
    const { id } = rest(two).start(undefined);
    await settle(one.clock);
    await latch(two, pending('feature', 'alpha'), 'alpha');
    two.runtime.subscribe((event) => {
      if (event.type === 'stop') told.push(`${event.engaged}`);
    });
    one.source.engage('killswitch.feature.alpha');
    await settle(one.clock);
    await two.runtime.refresh();
    await settle(one.clock);
    expect(told).toEqual([]);
    const receipts = await two.runtime.receipts();
    expect(receipts).toHaveLength(1);
    expect(receipts[0]!.sessions.map(({ session }) => session)).toEqual([id]);
  });

  test('takes over what a process that cannot know it any more had said, and believes what one says that goes on', () => {
    const part = (id: string, process: string, at: number, state: 'stopped' | 'already-ended', more: object = {}): ReceiptPart =>
      ({
        id,
        stop: { id, since: 1 },
        stages: { recorded: at, fenced: at, done: at },
        sessions: [{ session: 's-1', path: ['s-1'], agent: 'a', workflow: 'alpha', state, checkpointTurn: 1, calls: [] }],
        grants: [],
        residue: [`said by ${id} at ${at}`],
        process,
        at,
        others: [],
        missing: {},
        ...more,
      }) as unknown as ReceiptPart;
    const [receipt, ...others] = joinReceipts(
      [
        part('latch.0', 'p-1', 1, 'stopped', { released: 9 }),
        part('reading.4', 'p-1', 2, 'already-ended', { formerly: ['latch.0'], stages: {} }),
      ],
      { isAlive: () => true },
    );
    expect(others).toEqual([]);
    expect(receipt).toMatchObject({ id: 'reading.4', sessions: [{ state: 'stopped' }], residue: ['said by reading.4 at 2'] });
    expect(receipt!.stages).not.toHaveProperty('done');
    expect(receipt).not.toHaveProperty('released');
  });
});

describe('the receipt of a terminate whose process died in the middle of it', () => {
  test('names what it ran, as ended by whoever took it over (S10, I3)', async () => {
    const one = await world();
    const two = await world({ store: one.store.share(), clock: one.clock, source: memorySource(switches as never) as never });
    const gate = deferred();
    const body = (session: Session) => session.turn((turn) => turn.tool('look', {}, () => gate.promise, { effect: false }));
    const found = deferred();
    const { adopt } = one.store.lineage;
    one.store.lineage.adopt = async (agents) => {
      await found.promise;
      return adopt.call(one.store.lineage, agents);
    };
    one.runtime.agent('alpha', body);
    const { id } = two.runtime.agent('alpha', body).start(undefined);
    await settle(one.clock);
    // It dies as it was told: it has neither confirmed nor written a word.
    two.store.reopen();
    await latch(one, pending('instance', id), id);
    const [before] = await one.runtime.receipts();
    expect(before).toMatchObject({ sessions: [], stages: { fenced: expect.any(Number) } });
    found.resolve();
    await settle(one.clock);
    const [told] = await one.runtime.receipts();
    expect(told!.sessions).toMatchObject([{ session: id, state: 'stopped', calls: [{ name: 'look', outcome: 'aborted' }] }]);
    expect(told!.sessions).toHaveLength(1);
  });

  test.each(['had done its part', 'starts later'])(
    'says of what it had ended and not told of what is in its records, by one that %s (S10)',
    async (other) => {
      const one = await world();
      const join = () => world({ store: one.store.share(), clock: one.clock, source: memorySource(switches as never) as never });
      const two = await join();
      const sent = deferred();
      const { id } = two.runtime
        .agent('alpha', (session) => session.turn((turn) => turn.tool('pay', {}, () => sent.promise, { effect: true })))
        .start(undefined);
      await settle(one.clock);
      await latch(one, pending('instance', id), id);
      await settle(one.clock, 2_000);
      expect((await one.runtime.receipts())[0]!.sessions).toMatchObject([{ session: id, state: 'unconfirmed' }]);
      two.store.writeReceipt = () => new Promise(() => {});
      const ended = two.runtime.settled(id);
      sent.resolve();
      expect((await ended).status).toBe('terminated');
      // Nobody is given what has ended.
      one.store.lineage.adopt = async () => ({ claims: [], journals: [] });
      if (other === 'starts later') one.store.reopen();
      two.store.reopen();
      const three = other === 'starts later' ? await join() : one;
      await settle(one.clock, 5_000);
      expect(await three.runtime.receipts()).toMatchObject([
        { stages: { done: expect.any(Number) }, sessions: [{ session: id, state: 'stopped', why: endedElsewhere }] },
      ]);
    },
  );
});

describe('a stop whose sessions go to another process while this one is at stopping them', () => {
  /** It has an effect under way, and is told that another process has it. */
  async function lostWhileStopped(action: 'pause' | 'terminate'): Promise<TestWorld> {
    const { store, tell } = tellingStore();
    const w = await world({ store });
    w.runtime.subscribe(() => {});
    const { id } = w.runtime
      .agent('alpha', (session) => session.turn((turn) => turn.tool('pay', {}, () => new Promise(() => {}))))
      .start(undefined);
    await settle(w.clock);
    await w.runtime.stop({ session: id, reason: 'odd', by: 'ann', action });
    await settle(w.clock);
    expect((await w.runtime.receipts())[0]!.stages).not.toHaveProperty('drained');
    tell({ takenOver: [id] });
    return w;
  }

  test.each(['pause', 'terminate'] as const)('is done here without them: %s (S10)', async (action) => {
    const w = await lostWhileStopped(action);
    await settle(w.clock, 5_000);
    expect(await w.runtime.receipts()).toMatchObject([
      { stages: { done: expect.any(Number) }, sessions: [{ state: 'unconfirmed', why: elsewhere }] },
    ]);
  });

  test.each([
    ['once', 2_000],
    ['for a minute', 60_000],
  ])('learns how they ended there although the store did not answer %s after it was done (S10)', async (_, ms) => {
    const w = await lostWhileStopped('terminate');
    const { lineage } = w.store;
    lineage.hasBegun = async () => true;
    await settle(w.clock, 5_000);
    expect((await w.runtime.receipts())[0]).toMatchObject({ stages: { done: expect.any(Number) } });
    lineage.ends = () => Promise.reject(new Error('no answer in time'));
    await settle(w.clock, ms);
    lineage.ends = async (_root, [s]) => new Map([[s!, { t: 'settled', s: s!, e: 2, at: 1, status: 'completed' }]]);
    await settle(w.clock, 120_000);
    expect((await w.runtime.receipts())[0]!.sessions).toMatchObject([{ state: 'already-ended', why: endedThere }]);
  });

  test.each([
    ['has ended them there and is gone', true],
    ['has claimed them', false],
  ])('is done without them where they lay parked here, and the other one %s (S10)', async (_, isOver) => {
    const one = await world();
    const records: JournalRecord[] = [];
    const { append } = one.store;
    one.store.append = (root, record) => {
      records.push(record);
      return append(root, record);
    };
    const join = () => world({ store: one.store.share(), clock: one.clock, source: one.source as never });
    const [two, other] = [await join(), await join()];
    const { id } = rest(one).start(undefined);
    await settle(one.clock);
    one.source.engage('killswitch.global');
    await settle(one.clock);
    one.store.reopen();
    await settle(one.clock);
    for (const { store, runtime } of [two, other]) {
      // Listened to, so that what they say of it is not printed.
      runtime.subscribe(() => {});
      store.claim = () => {
        throw new Error('EIO');
      };
    }
    await two.runtime.stop({ session: id, reason: 'odd', by: 'ann' });
    await settle(one.clock, 1_000);
    const told = async () => (await two.runtime.receipts()).find(({ stop }) => stop.tier === 'instance')!;
    expect((await told()).stages).not.toHaveProperty('drained');
    const there: JournalRecord[] = [
      { t: 'claim', s: id, e: 7, at: 1 },
      { t: 'settled', s: id, e: 7, at: 2, status: 'completed' },
    ];
    two.store.lineage.adopt = async () => ({
      claims: isOver ? [] : [{ session: subjectKey(id), epoch: 7, alive: true }],
      journals: [{ process: 'p-other', alive: false, records: isOver ? [...records, ...there] : records }],
    });
    // Somebody dies, so it is looked what was left.
    other.store.reopen();
    await settle(one.clock, 5_000);
    expect(await told()).toMatchObject({ stages: { done: expect.any(Number) }, sessions: [{ session: id }] });
  });
});

describe('the receipt of a switch’s stop', () => {
  const reading = formatStopKey({
    kind: 'switch',
    tier: 'feature',
    subject: subjectKey('alpha'),
    series: seriesKey('memory:test'),
  });

  test('is one at whatever positions the switch is read engaged meanwhile, also for a process that starts then (S10)', async () => {
    const one = await world();
    const { id } = rest(one).start(undefined);
    await settle(one.clock);
    one.source.engage('killswitch.feature.alpha');
    await settle(one.clock);
    const [first] = await one.runtime.receipts();
    // Its flag was edited.
    one.source.engage('killswitch.feature.alpha');
    await settle(one.clock);
    const again = await one.restart();
    rest(again);
    const two = await world({ store: again.store.share(), clock: one.clock, source: memorySource(switches as never) as never });
    await settle(one.clock, 5_000);
    for (const { runtime } of [again, two])
      expect(await runtime.receipts()).toMatchObject([
        { id: first!.id, stages: { done: expect.any(Number) }, sessions: [{ session: id, state: 'paused' }] },
      ]);
    one.source.release('killswitch.feature.alpha');
    await settle(one.clock);
    expect(await two.runtime.receipts()).toMatchObject([{ id: first!.id, released: expect.any(Number) }]);
    one.source.engage('killswitch.feature.alpha');
    await settle(one.clock);
    expect((await two.runtime.receipts()).map((receipt) => [receipt.id === first!.id, receipt.released !== undefined])).toEqual([
      [false, false],
      [true, true],
    ]);
  });

  test('is another one where the switch was released and engaged again before a process had heard of either (S10)', async () => {
    const store = memoryStore();
    // It looks when it is told to.
    store.watch = () => () => undefined;
    const w = await world({ store });
    rest(w).start(undefined);
    await settle(w.clock);
    const words = { reason: 'bad letters', at: 7, series: 'memory:test', subject: 'alpha' };
    await store.mark(reading, 'engaged', 2, words);
    await w.runtime.refresh();
    await settle(w.clock);
    await store.mark(reading, 'released', 3, { ...words, at: 8 });
    await store.mark(reading, 'engaged', 9, { ...words, at: 9 });
    await w.runtime.refresh();
    await settle(w.clock);
    expect((await w.runtime.receipts()).map(({ id, released }) => [id, released !== undefined])).toEqual([
      [`${reading}.4`, false],
      [`${reading}.0`, true],
    ]);
  });

  test('goes on where a process that is behind records a release which is older than it, and is not told of as released (S10)', async () => {
    const store = memoryStore();
    store.watch = () => () => undefined;
    const w = await world({ store });
    const { id } = rest(w).start(undefined);
    await settle(w.clock);
    const words = { reason: 'bad letters', at: 7, series: 'memory:test', subject: 'alpha' };
    await store.mark(reading, 'engaged', 2, words);
    await store.mark(reading, 'released', 3, words);
    await store.mark(reading, 'engaged', 5, { ...words, at: 9 });
    await w.runtime.refresh();
    await settle(w.clock, 1_000);
    const [before] = await w.runtime.receipts();
    expect(before).toMatchObject({ id: `${reading}.4`, stages: { fenced: expect.any(Number) } });
    await store.mark(reading, 'released', 4, words);
    await w.runtime.refresh();
    await settle(w.clock, 1_000);
    const goesOn = async ({ runtime }: TestWorld) => {
      const receipts = await runtime.receipts();
      expect(receipts).toMatchObject([
        { id: `${reading}.5`, formerly: [before!.id], stages: before!.stages, sessions: [{ session: id }] },
      ]);
      expect(receipts[0]).not.toHaveProperty('released');
    };
    await goesOn(w);
    const again = await w.restart();
    rest(again);
    await settle(again.clock, 1_000);
    await goesOn(again);
    await again.store.mark(reading, 'released', 6, words);
    await again.runtime.refresh();
    await settle(again.clock);
    expect(await again.runtime.receipts()).toMatchObject([{ id: `${reading}.5`, released: expect.any(Number) }]);
  });

  test('goes on in one that an older version has written, which called it by the position where it was engaged (S10)', async () => {
    const w = await world();
    const { id } = rest(w).start(undefined);
    await settle(w.clock);
    const { writeReceipt } = w.store;
    w.store.writeReceipt = async () => {};
    w.source.engage('killswitch.feature.alpha');
    await settle(w.clock);
    const [stop] = await w.store.stops();
    const olderId = `${reading}.${stop!.marks.engaged}`;
    const stages = { recorded: 3, fenced: 4 };
    await writeReceipt.call(w.store, { ...(await partOf(w)), id: olderId, stages });
    const again = await w.restart();
    rest(again);
    await settle(again.clock, 5_000);
    const receipts = await again.runtime.receipts();
    expect(receipts).toMatchObject([{ formerly: [olderId], stages, sessions: [{ session: id, state: 'paused' }] }]);
    expect(isReceiptOf(receipts[0]!, olderId)).toBe(true);
  });
});

describe('a receipt that its process was done with a thousand terminates ago', () => {
  /** Of a conversation with a session in each of two processes, of which the second hears of nothing. */
  async function longAgo() {
    const one = await world();
    const store = one.store.share();
    store.watch = () => () => undefined;
    const two = await world({ store, clock: one.clock, source: memorySource(switches as never) as never });
    const agent = rest(one);
    const conversation = { conversationId: 'c-1' };
    const ids = [agent.start(undefined, conversation), rest(two).start(undefined, conversation)].map(({ id }) => id);
    await settle(one.clock);
    const series = pendingSeries('memory:test', 'c1');
    const key = formatStopKey({ kind: 'switch', tier: 'instance', subject: conversationKey('c-1'), series });
    await latch(one, key, 'c-1');
    const of = async () => (await one.runtime.receipts()).find(({ stop }) => stop.id === key)!;
    expect((await of()).sessions).toMatchObject([{ session: ids[0], state: 'stopped' }]);
    for (let n = 0; n < 1_001; n++) {
      const { id } = agent.start(undefined);
      void one.runtime.stop({ session: id, reason: 'odd', by: 'ann' });
      if (n % 50 === 0) await settle(one.clock);
    }
    await settle(one.clock, 1_000);
    return { one, two, ids, key, of };
  }

  test('still names whom it had ended when it goes on for what is taken over late (S10)', async () => {
    const { one, two, ids, key, of } = await longAgo();
    two.store.reopen();
    await settle(one.clock, 1_000);
    expect((await of()).sessions.map(({ session, state }) => [session, state])).toEqual(ids.map((id) => [id, 'stopped']));
    await one.runtime.close();
    const kept = (await one.store.receipts()).find(({ stop }) => stop.id === key)!;
    expect(kept.sessions.map(({ session }) => session)).toEqual(ids);
  }, 30_000);

  test('still says then what it had heard of others, asks on after those it had left open, and names outcomes that nobody knows (S10)', async () => {
    const { one, two, ids, of } = await longAgo();
    const before = await of();
    const [own] = before.sessions;
    await one.store.lineage.register({
      session: 's-open',
      path: ['s-open'],
      agent: 'rest',
      workflow: 'alpha',
      isLocalRoot: true,
    });
    const heard = (session: string, more: Pick<ReceiptSession, 'state' | 'why'>): ReceiptSession => {
      const { process: _, ...rest } = { ...own!, session, path: [session], ...more };
      return rest;
    };
    await one.store.writeReceipt({
      ...before,
      sessions: [
        { ...own!, calls: [{ id: 't1-1', kind: 'tool', name: 'pay', outcome: 'unknown' }] },
        heard('s-there', { state: 'already-ended', why: endedThere }),
        heard('s-open', { state: 'unconfirmed', why: elsewhere }),
      ],
      residue: [`${ids[0]} t1-1 pay: outcome unknown`],
      process: one.store.processId,
      at: 1,
      others: [],
      missing: {},
    });
    two.store.reopen();
    await settle(one.clock, 10_000);
    const after = await of();
    expect(after.sessions.map(({ session, state, why }) => [session, state, why])).toEqual([
      [ids[0], 'stopped', undefined],
      ['s-there', 'already-ended', endedThere],
      [ids[1], 'stopped', undefined],
      ['s-open', 'stopped', neverBegun],
    ]);
    expect(after.residue).toEqual([`${ids[0]} t1-1 pay: outcome unknown`]);
  }, 30_000);
});

describe('a graph at rest that three processes know of, of which the one that took it up', () => {
  /** One has run it and is gone; it lies where two and three find it. */
  async function three(define: (w: TestWorld) => { start(input: undefined): { readonly id: string } }) {
    const one = await world();
    const { id } = define(one).start(undefined);
    await settle(one.clock);
    const join = () => world({ store: one.store.share(), clock: one.clock, source: one.source as never });
    const [two, three] = [await join(), await join()];
    one.source.engage('killswitch.global');
    await settle(one.clock);
    one.store.reopen();
    await settle(one.clock);
    return { id, two, three, source: one.source, clock: one.clock };
  }
  const withChild = (w: TestWorld) => {
    const child = rest(w, 'child');
    return w.runtime.agent('alpha', (session) => session.turn((turn) => turn.spawn(child, undefined)));
  };

  test.each([
    ['at once', true],
    ['once the others have left it to that one', false],
  ])('is killed in the middle of ending it, %s, is ended by another to its root (S10, I3)', async (_, isAtOnce) => {
    const { id, two, three: last, clock } = await three(withChild);
    const { append, claim } = two.store;
    two.store.append = (root, record) => {
      append(root, record);
      if (record.t === 'settled' && isAtOnce) two.store.reopen();
    };
    // Slower than it.
    const lastClaim = last.store.claim;
    let isFirst = true;
    last.store.claim = (session, epoch) => {
      if (isFirst) throw new Error('EIO');
      return lastClaim(session, epoch);
    };
    two.store.claim = (session, epoch) => {
      if (session === id) throw new Error('EIO');
      return claim(session, epoch);
    };
    await last.store.mark(pending('instance', id), 'engaged', 0, { reason: 'odd', at: 1, subject: id });
    await two.runtime.refresh();
    await settle(clock);
    expect(two.runtime.sessions().map(({ state }) => state)).toEqual(['parked', 'terminated']);
    isFirst = false;
    await last.runtime.refresh();
    await settle(clock, 5_000);
    if (!isAtOnce) {
      expect(last.runtime.sessions().map(({ state }) => state)).toEqual(['elsewhere', 'elsewhere']);
      two.store.reopen();
      await settle(clock, 5_000);
    }
    expect(last.runtime.sessions()).toEqual([]);
    const receipt = (await last.runtime.receipts()).find(({ stop }) => stop.tier === 'instance');
    expect(receipt).toMatchObject({
      stages: { done: expect.any(Number) },
      sessions: [
        { agent: 'alpha', state: 'stopped', process: last.store.processId, calls: [{ name: 'child' }] },
        { agent: 'child', state: 'stopped', process: last.store.processId },
      ],
    });
  });

  test('dies before it has written that, goes on in another (I14)', async () => {
    const body = (until: Promise<unknown>) => (w: TestWorld) => w.runtime.agent('alpha', (session) => session.turn(() => until));
    const { id, two, three: last, source, clock } = await three(body(new Promise(() => {})));
    for (const one of [two, last]) body(Promise.resolve())(one);
    const { claim } = two.store;
    two.store.claim = (session, epoch) => {
      const isOurs = claim(session, epoch);
      two.store.reopen();
      return isOurs;
    };
    const end = last.runtime.settled(id);
    source.release('killswitch.global');
    await settle(clock, 5_000);
    expect((await end).status).toBe('completed');
  });

  test('ends it and dies, is told of to whoever waits for that, and let go of', async () => {
    const body = (until: Promise<unknown>) => (w: TestWorld) => w.runtime.agent('alpha', (session) => session.turn(() => until));
    const { id, two, three: last, source, clock } = await three(body(new Promise(() => {})));
    body(Promise.resolve())(two);
    const end = last.runtime.settled(id);
    source.release('killswitch.global');
    await settle(clock);
    expect(two.runtime.sessions()).toEqual([]);
    two.store.reopen();
    await settle(clock);
    expect((await end).status).toBe('completed');
    expect(last.runtime.sessions()).toEqual([]);
  });
});

describe('a receipt of what another process ran', () => {
  test('tells of no call as in flight once it has ended there (S10)', async () => {
    const two = await world();
    const gate = deferred();
    const body = (session: Session) => session.turn((turn) => turn.tool('look', {}, () => gate.promise, { effect: false }));
    const { id, outcome } = two.runtime.agent('alpha', body).start(undefined);
    await settle(two.clock);
    // It reads what is under way, and hears no more of it.
    const one = await world({ store: two.store.share(), clock: two.clock, source: memorySource(switches as never) as never });
    gate.resolve();
    await settle(two.clock);
    expect((await outcome).status).toBe('completed');
    one.source.engage('killswitch.feature.alpha');
    await settle(one.clock);
    const [receipt] = await one.runtime.receipts();
    expect(receipt).toMatchObject({
      stages: { done: expect.any(Number) },
      sessions: [{ session: id, state: 'already-ended', calls: [] }],
    });
  });

  test('does not put the bare record of an end over what its own process says of that (S10)', async () => {
    const two = await world({ effectDeadlineMs: 1_000 });
    const child = two.runtime.agent('child', (session: Session) =>
      session.turn((turn) => turn.tool('pay', {}, () => new Promise(() => {}))),
    );
    const { id } = two.runtime
      .agent('alpha', (session: Session) => session.turn((turn) => turn.spawn(child, undefined)))
      .start(undefined);
    await settle(two.clock);
    const childId = two.runtime.sessions().find(({ agent }) => agent === 'child')!.id;
    const one = await world({ store: two.store.share(), clock: two.clock, source: memorySource(switches as never) as never });
    await two.runtime.stop({ session: childId, reason: 'the child', by: 'ann' });
    await two.runtime.stop({ session: id, reason: 'all of it', by: 'ann' });
    await settle(two.clock, 5_000);
    // The last to write.
    await settle(one.clock, 60_000);
    const receipt = (await one.runtime.receipts()).find(({ stop }) => stop.reason === 'all of it');
    expect(receipt!.sessions.find(({ session }) => session === childId)).toMatchObject({
      state: 'stopped',
      process: two.store.processId,
      calls: [{ name: 'pay', outcome: 'unknown' }],
    });
  });

  test('believes the record of an end before what its process had said when it was under way (S10)', () => {
    const part = (process: string, at: number, one: object): ReceiptPart =>
      ({
        id: 'stop',
        stop: { id: 'stop', since: 1 },
        stages: {},
        sessions: [{ session: 's-1', path: ['s-1'], agent: 'a', workflow: 'alpha', checkpointTurn: 1, calls: [], ...one }],
        grants: [],
        residue: [],
        process,
        at,
        others: [],
        missing: {},
      }) as unknown as ReceiptPart;
    const words = [
      part('p-3', 9, { state: 'unconfirmed', why: elsewhere }),
      part('p-1', 8, { state: 'unconfirmed', why: 'its turn has not ended' }),
      part('p-2', 7, { state: 'already-ended', why: endedThere }),
      part('p-1', 6, { state: 'stopped', checkpointTurn: 2 }),
    ];
    const told = (parts: readonly ReceiptPart[]) => joinReceipts(parts, { isAlive: () => true })[0]!.sessions[0]!;
    expect(told(words.slice(0, 2))).toMatchObject({ state: 'unconfirmed', why: 'its turn has not ended', process: 'p-1' });
    expect(told(words.slice(0, 3))).toMatchObject({ state: 'already-ended', why: endedThere });
    expect(told(words.slice(0, 3))).not.toHaveProperty('process');
    expect(told([words[0]!, words[2]!, words[3]!])).toMatchObject({ state: 'stopped', checkpointTurn: 2 });
  });

  test.each([
    ['whose records are given to it', false],
    ['whose records it has to ask for', true],
  ])('names as stopped whom that ended under it and did not live to tell of: one %s (S10)', async (_, isKept) => {
    const two = await world();
    const { id, outcome } = rest(two).start(undefined);
    await settle(two.clock);
    const one = await world({ store: two.store.share(), clock: two.clock, source: memorySource(switches as never) as never });
    two.store.writeReceipt = () => new Promise(() => {});
    await one.runtime.stop({ session: id, reason: 'odd', by: 'ann' });
    await settle(two.clock);
    expect((await outcome).status).toBe('terminated');
    if (isKept) one.store.lineage.adopt = async () => ({ claims: [], journals: [] });
    two.store.reopen();
    await settle(one.clock, 5_000);
    const [receipt] = await one.runtime.receipts();
    expect(receipt).toMatchObject({
      stages: { done: expect.any(Number) },
      sessions: [{ session: id, state: 'stopped' }],
    });
  });
});
