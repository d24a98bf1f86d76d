// lineage-contract.ts: what every store promises that several processes share, as one suite that each runs.
//
//   describeLineageStore('memory', async () => ({ store, share, kill, close }));
//
// A store whose processes see each other has no lease: nobody is ever cut off there, and the tests of leases are skipped by name.

import {
  formatStopKey,
  type JournalRecord,
  type LineageStore,
  type Registered,
  type RegisteredState,
  type Registration,
  type StateStore,
  type StoreChange,
  subjectKey,
} from '@offswitch/runtime';
import { afterEach, describe, expect, test } from 'vitest';

/** One state shared by several processes, each a store that is not opened yet. */
export interface LineageHarness {
  readonly store: StateStore;
  /** Another process on the same state. */
  share(): Promise<StateStore>;
  /** The process of this store is gone, as after a kill -9, and counts as gone to the others. */
  kill(store: StateStore): Promise<void>;
  readonly lease?: {
    /** Nothing between this store and the state passes any more; it does not know. Its lease has not run out by that. */
    cut(store: StateStore): Promise<void>;
    mend(store: StateStore): Promise<void>;
    /** Time passes, for this store and for what the others think of it, until its lease has run out. */
    runOut(store: StateStore): Promise<void>;
  };
  close(): Promise<void>;
}

/** Then each process is given all that is left, and the epoch that one claims says whose it is. */
const sharedJournals = 'processes of this store read each other’s journals';
const details = { reason: 'it went wrong', at: 1000 };
const stopKey = (id: string): string =>
  formatStopKey({ kind: 'act', cause: 'operator', action: 'terminate', tier: 'instance', subject: subjectKey(id), id: 'o-1' });

interface More extends Partial<Omit<Registration, 'session' | 'path'>> {}
function registration(path: readonly string[], more: More = {}): Registration {
  return { session: path.at(-1)!, path, agent: 'writer', workflow: 'drafts', isLocalRoot: path.length === 1, ...more };
}
function record(s: string, path: readonly string[]): JournalRecord {
  return { t: 'session', s, e: 1, at: 1, root: path[0]!, path, agent: 'writer', workflow: 'drafts' };
}

/** How long something that another process does may take to be told here. Milliseconds. */
const withinMs = 10_000;

/** Runs the contract. `make` returns a fresh, empty state each time. */
export function describeLineageStore(name: string, make: () => Promise<LineageHarness>): void {
  const made: LineageHarness[] = [];
  const two = async (options: Parameters<StateStore['open']>[0] = {}) => {
    const harness = await make();
    made.push(harness);
    const a = harness.store;
    const b = await harness.share();
    await begin(a, options);
    await begin(b, options);
    return { harness, a, b, inA: lineageOf(a), inB: lineageOf(b) };
  };

  describe(`a store that processes share: ${name}`, () => {
    afterEach(async () => {
      for (const harness of made.splice(0)) await harness.close();
    });

    describe('a session', () => {
      test('is known to every process once it is registered, with all that was said of it', async () => {
        const { inA, inB, a } = await two();
        const root = registration(['r-1'], { user: 'Ü-1', conversation: 'c 1\t"x"' });
        expect(await inA.register(root)).toEqual({ status: 'registered' });
        const child = registration(['r-1', 's-2'], { agent: 'reader', workflow: 'other' });
        await inA.register(child);
        expect(await inB.find('r-1', 'r-1')).toEqual({ ...root, process: a.processId, state: 'running' });
        expect(await inB.find('s-2', 'r-1')).toEqual({ ...child, process: a.processId, state: 'running' });
        expect(await inB.find('s-3', 'r-1')).toBe(undefined);
      });

      test('that was detached is known with whom it left, also to who asks for its graph, or when its process is gone (S2)', async () => {
        const { harness, inA, inB, a } = await two();
        const left = [{ workflow: 'jobs', user: 'Ü-1' }, { user: 'u "2"\n' }, { workflow: 'nightly' }];
        const root = registration(['r-1'], { left });
        await inA.register(root);
        await inA.register(registration(['r-1', 's-2']));
        const [first, below] = (await inB.subtree('r-1', 'r-1')).sessions;
        expect([first?.left, below?.left]).toEqual([left, undefined]);
        inA.note('r-1', 'r-1', 'resting');
        await a.flush();
        await harness.kill(a);
        expect(await inB.find('r-1', 'r-1')).toEqual({ ...root, process: a.processId, state: 'resting' });
      });

      test('registered twice is one (I10)', async () => {
        const { inA } = await two();
        const root = registration(['r-1']);
        expect([await inA.register(root), await inA.register(root)]).toEqual([
          { status: 'registered' },
          { status: 'registered' },
        ]);
        expect((await inA.subtree('r-1', 'r-1')).sessions).toHaveLength(1);
      });

      test('is refused under a root that nobody knows (S6)', async () => {
        const { inA, inB } = await two();
        expect(await inB.register(registration(['r-1', 's-2'], { isLocalRoot: true, call: 'k' }))).toEqual({
          status: 'refused',
          code: 'root_unknown',
        });
        await inA.register(registration(['r-1']));
        expect((await inB.register(registration(['r-1', 's-2'], { isLocalRoot: true, call: 'k' }))).status).toBe('registered');
      });

      for (const state of ['completed', 'terminated', 'failed'] as const)
        test(`is refused under a root that is ${state} (S6)`, async () => {
          const { inA, inB, a } = await two();
          await inA.register(registration(['r-1']));
          inA.note('r-1', 'r-1', state);
          await a.flush();
          expect(await inB.register(registration(['r-1', 's-2'], { isLocalRoot: true, call: 'k' }))).toEqual({
            status: 'refused',
            code: 'root_settled',
          });
          expect((await inB.find('r-1', 'r-1'))?.state).toBe(state);
        });

      test('has the state that its process noted last', async () => {
        const { inA, inB, a } = await two();
        await inA.register(registration(['r-1']));
        await inA.register(registration(['r-1', 's-2']));
        const states: (RegisteredState | undefined)[] = [];
        for (const state of ['resting', 'running', 'terminated'] as const) {
          inA.note('s-2', 'r-1', state);
          await a.flush();
          states.push((await inB.find('s-2', 'r-1'))?.state);
        }
        expect(states).toEqual(['resting', 'running', 'terminated']);
      });

      test('that has ended stays ended, whatever is noted of it later (S6)', async () => {
        const { inA, inB, a } = await two();
        await inA.register(registration(['r-1']));
        await inA.register(registration(['r-1', 's-2']));
        for (const state of ['terminated', 'running', 'completed'] as const) inA.note('s-2', 'r-1', state);
        await a.flush();
        expect((await inB.find('s-2', 'r-1'))?.state).toBe('terminated');
      });

      test('knows every stop that was durable before it began: it is born stopped (I2)', async () => {
        const { inB, a, b, inA } = await two();
        await inA.register(registration(['r-1']));
        for (let round = 0; round < 20; round++) {
          const heard = new Set<string>();
          const end = b.watch((change) => {
            for (const stop of change.stops ?? []) heard.add(stop.key);
          });
          const key = stopKey(`r-${round}`);
          await a.mark(key, 'engaged', 0, details);
          await inB.register(registration(['r-1', `s-${round}`], { isLocalRoot: true, call: `k-${round}` }));
          expect(heard.has(key)).toBe(true);
          end();
        }
      });

      test('that is refused because its root has ended knows the stop that ended that: it was stopped, and has not failed (I2, S10)', async () => {
        const { inA, inB, a, b } = await two();
        for (let round = 0; round < 20; round++) {
          const root = `r-${round}`;
          await inA.register(registration([root]));
          const heard = new Set<string>();
          const end = b.watch((change) => {
            for (const stop of change.stops ?? []) heard.add(stop.key);
          });
          await a.mark(stopKey(root), 'engaged', 0, details);
          inA.note(root, root, 'terminated');
          await a.flush();
          const refused = await inB.register(registration([root, `s-${round}`], { isLocalRoot: true, call: 'k' }));
          expect(refused).toEqual({ status: 'refused', code: 'root_settled' });
          expect(heard.has(stopKey(root))).toBe(true);
          end();
        }
      });
    });

    describe('how a session ended', () => {
      test('is answered in every process, and of one that has not ended it is not', async () => {
        const { harness, inA, inB, a } = await two();
        await inA.register(registration(['r-1']));
        await inB.register(registration(['r-1', 's-2'], { isLocalRoot: true, call: 'k' }));
        a.append('r-1', record('r-1', ['r-1']));
        await a.flush();
        expect(await inB.ended('r-1', 'r-1')).toBe(undefined);
        const settled = { t: 'settled', s: 'r-1', e: 1, at: 2, status: 'completed', result: { n: 1 } } as const;
        a.append('r-1', settled);
        inA.note('r-1', 'r-1', 'completed');
        await a.flush();
        expect(await inB.ended('r-1', 'r-1')).toEqual(settled);
        await harness.kill(a);
        expect(await inB.ended('r-1', 'r-1')).toEqual(settled);
        expect([await inB.ended('s-2', 'r-1'), await inB.ended('nobody', 'r-9')]).toEqual([undefined, undefined]);
      });

      test('is answered for many of a graph at once, and for those alone that have ended', async () => {
        const { inA, inB, a } = await two();
        await inA.register(registration(['r-1']));
        for (const session of ['s-1', 's-2', 's-3']) {
          await inA.register(registration(['r-1', session]));
          a.append('r-1', record(session, ['r-1', session]));
        }
        const settled = { t: 'settled', s: 's-1', e: 1, at: 2, status: 'completed', result: { n: 1 } } as const;
        const stopped = { t: 'settled', s: 's-3', e: 1, at: 3, status: 'terminated' } as const;
        a.append('r-1', settled);
        a.append('r-1', stopped);
        inA.note('s-1', 'r-1', 'completed');
        inA.note('s-3', 'r-1', 'terminated');
        await a.flush();
        const ends = await inB.ends('r-1', ['s-3', 's-2', 's-1', 'nobody']);
        expect(Object.fromEntries(ends)).toEqual({ 's-1': settled, 's-3': stopped });
        expect((await inB.ends('r-9', ['s-1'])).size + (await inB.ends('r-1', [])).size).toBeLessThanOrEqual(1);
      });

      test('is another question than whether it ever began: what was only registered did nothing', async () => {
        const { inA, inB, b } = await two();
        await inA.register(registration(['r-1']));
        await inB.register(registration(['r-1', 's-2'], { isLocalRoot: true, call: 'k' }));
        expect(await inA.hasBegun('s-2', 'r-1')).toBe(false);
        b.append('s-2', record('s-2', ['r-1', 's-2']));
        await b.flush();
        expect([await inA.hasBegun('s-2', 'r-1'), await inA.hasBegun('s-20', 'r-1')]).toEqual([true, false]);
      });

      test('that was only registered may be claimed again, and who had claimed it before is known when that has died before a word (S7, I14)', async () => {
        const { harness, inA, inB, a, b } = await two({ runsSessions: true });
        await inA.register(registration(['r-1']));
        await inB.register(registration(['r-1', 's-2'], { isLocalRoot: true, call: 'k' }));
        expect(await inA.claimed('s-2', 'r-1')).toBe(undefined);
        expect(b.claim('s-2', 2)).toBe(true);
        await b.flush();
        expect(await inA.claimed('s-2', 'r-1')).toEqual({ epoch: 2, process: b.processId });
        await harness.kill(b);
        await inA.adopt(['writer']);
        expect([a.claim('s-2', 2), a.claim('s-2', 3)]).toEqual([false, true]);
        await a.flush();
        expect(await inA.claimed('s-2', 'r-1')).toEqual({ epoch: 3, process: a.processId });
        expect(await inA.claimed('s-20', 'r-1')).toBe(undefined);
      });
    });

    describe('a call of a parent in another process', () => {
      test('has one child, whichever process is asked for it', async () => {
        const { inA, inB, b } = await two();
        await inA.register(registration(['r-1']));
        const first = registration(['r-1', 's-2'], { isLocalRoot: true, call: 'k' });
        expect((await inB.register(first)).status).toBe('registered');
        const again = await inA.register(registration(['r-1', 's-3'], { isLocalRoot: true, call: 'k' }));
        expect(again).toEqual({ status: 'exists', session: { ...first, process: b.processId, state: 'running' } });
        expect(await inB.register(first)).toEqual({ status: 'registered' });
        expect(await inA.find('s-3', 'r-1')).toBe(undefined);
      });

      test('has one child when two processes begin it at once', async () => {
        const { inA, inB } = await two();
        await inA.register(registration(['r-1']));
        for (let round = 0; round < 20; round++) {
          const more = { isLocalRoot: true, call: `k-${round}` };
          const both = await Promise.all([
            inA.register(registration(['r-1', `a-${round}`], more)),
            inB.register(registration(['r-1', `b-${round}`], more)),
          ]);
          expect(both.map((one) => one.status).sort()).toEqual(['exists', 'registered']);
          const winner = both[0]!.status === 'registered' ? `a-${round}` : `b-${round}`;
          expect(both.find(isExisting)?.session.session).toBe(winner);
        }
      });

      test('is told of what its child does, in the process of the parent alone', async () => {
        const { harness, inA, inB, a, b } = await two();
        const c = await harness.share();
        await begin(c);
        const strangers: StoreChange[] = [];
        for (const one of [b, c]) one.watch((change) => change.children && strangers.push(change));
        await inA.register(registration(['r-1']));
        await inB.register(registration(['r-1', 's-2'], { isLocalRoot: true, call: 'turn 3\n"k"' }));
        for (const state of ['resting', 'running', 'completed'] as const) {
          const told = new Promise<StoreChange>((resolve) => {
            a.watch((change) => change.children?.some((one) => one.state === state) && resolve(change));
          });
          inB.note('s-2', 'r-1', state);
          await b.flush();
          expect((await told).children).toContainEqual({ parent: 'r-1', call: 'turn 3\n"k"', child: 's-2', state });
        }
        expect(strangers).toEqual([]);
      });

      test('is told of a child that came to be in its own process too, and of its rest each time that is said', async () => {
        const { inA, a } = await two();
        await inA.register(registration(['r-1']));
        await inA.register(registration(['r-1', 's-2'], { isLocalRoot: true, call: 'k' }));
        // Whoever waits for it may have begun to after the first time.
        for (let time = 0; time < 2; time++) {
          const told = new Promise<StoreChange>((resolve) => {
            a.watch(({ children }) => children && resolve({ children }));
          });
          inA.note('s-2', 'r-1', 'resting');
          await a.flush();
          expect((await told).children).toEqual([{ parent: 'r-1', call: 'k', child: 's-2', state: 'resting' }]);
        }
      });

      test('leaves its root open when the child has ended in its own process', async () => {
        const { inA, inB, b } = await two();
        await inA.register(registration(['r-1']));
        await inB.register(registration(['r-1', 's-2'], { isLocalRoot: true, call: 'k' }));
        inB.note('s-2', 'r-1', 'completed');
        b.forget('r-1');
        await b.flush();
        expect(await inA.register(registration(['r-1', 's-3']))).toEqual({ status: 'registered' });
      });
    });

    describe('a subtree', () => {
      test('is read whole in pages, in every process (I12)', async () => {
        const { inA, inB, a, b } = await two();
        const all: Registration[] = [registration(['r-1'])];
        for (let i = 1; i < 60; i++) {
          const parent = all[(i * 7) % Math.min(i, 23)]!;
          all.push(registration([...parent.path, `s-${i}`]));
        }
        for (const one of all) await inA.register(one);
        const away = registration([...all[40]!.path, 'away'], { isLocalRoot: true, call: 'k' });
        await inB.register(away);
        const below = registration([...away.path, 'below']);
        await inB.register(below);
        await inA.register(registration(['other']));
        for (const top of [all[0]!, all[1]!, all[40]!, away])
          for (const limit of [1, 7, 1000]) {
            const found = await wholeSubtree(inB, top.session, 'r-1', limit);
            const under = [...all, away, below].filter(({ path }) => path.includes(top.session));
            expect(found.map((one) => one.session).sort()).toEqual(under.map((one) => one.session).sort());
            for (const one of found) {
              const meant = under.find(({ session }) => session === one.session)!;
              const isAway = meant === away || meant === below;
              expect(one).toEqual({ ...meant, process: (isAway ? b : a).processId, state: 'running' });
            }
          }
        expect(await inB.subtree('nobody', 'r-1')).toEqual({ sessions: [] });
      });
    });

    describe('processes', () => {
      test('are listed with a name for people, and with whether they live', async () => {
        const { harness, inA, a, b, inB } = await two();
        await inB.register(registration(['r-1']));
        const ids = (await inA.processes()).filter((one) => one.isAlive).map((one) => one.id);
        expect(ids.sort()).toEqual([a.processId, b.processId].sort());
        for (const one of await inA.processes()) expect(one.name).not.toBe('');
        await harness.kill(b);
        expect((await inA.processes()).filter((one) => one.isAlive).map((one) => one.id)).toEqual([a.processId]);
      });
    });

    describe('a session of which only the id is known', () => {
      test('is located in a graph that has not ended, wherever it runs in it, also once its process is gone', async () => {
        const { harness, inA, inB, a, b } = await two();
        const call = { isLocalRoot: true, call: 'k' };
        for (const path of [['r-1'], ['r-1', 's-2'], ['r-3'], ['r-3', 's-3']]) await inA.register(registration(path));
        for (const one of [registration(['r-1', 'away'], call), registration(['r-1', 'away', 'below']), registration(['r-2'])])
          await inB.register(one);
        const owners = { 'r-1': a, 's-2': a, 's-3': a, away: b, below: b, 'r-2': b };
        const located = async (by: LineageStore, session: string) => {
          const found = await by.locate(session);
          return [found?.session, found?.path[0], found?.process];
        };
        const roots = { 's-3': 'r-3', 'r-2': 'r-2' } as Partial<Record<string, string>>;
        const meant = (session: keyof typeof owners) => [session, roots[session] ?? 'r-1', owners[session].processId];
        const ids = Object.keys(owners) as (keyof typeof owners)[];
        for (const by of [inA, inB]) {
          for (const session of ids) expect(await located(by, session)).toEqual(meant(session));
          expect(await by.locate('nobody')).toBe(undefined);
        }
        expect(await inB.locate('s-2')).toEqual(await inB.find('s-2', 'r-1'));
        await harness.kill(a);
        for (const session of ids) expect(await located(inB, session)).toEqual(meant(session));
      });
    });

    describe('a process that is not heard from', () => {
      test('is named with the local roots it had, until it is heard from again (I11, S10)', async ({ skip }) => {
        const { harness, a, inA, inB } = await two({ runsSessions: true });
        const { lease } = harness;
        if (!lease) return skip('of a process of this store it is always known whether it has ended');
        await inA.register(registration(['r-1']));
        await inA.register(registration(['r-1', 's-2']));
        await inB.register(registration(['r-2']));
        await inA.register(registration(['r-2', 'away'], { isLocalRoot: true, call: 'k' }));
        expect(await inB.unheard()).toEqual([]);
        await lease.cut(a);
        await lease.runOut(a);
        const unheard = await inB.unheard();
        expect(unheard.map(({ process }) => process)).toEqual([a.processId]);
        expect(unheard[0]!.localRoots.toSorted((one, two) => (one.session < two.session ? -1 : 1))).toEqual([
          { session: 'away', root: 'r-2' },
          { session: 'r-1', root: 'r-1' },
        ]);
        await lease.mend(a);
        await until(() => !inA.isCutOff());
        expect(await inB.unheard()).toEqual([]);
      });

      test('has nothing left once others have taken over what it ran (I11, S10)', async ({ skip }) => {
        const { harness, a, inA, inB } = await two({ runsSessions: true });
        const { lease } = harness;
        if (!lease) return skip('of a process of this store it is always known whether it has ended');
        await inA.register(registration(['r-1']));
        a.append('r-1', record('r-1', ['r-1']));
        await a.flush();
        await lease.cut(a);
        await lease.runOut(a);
        expect((await inB.unheard()).flatMap(({ localRoots }) => localRoots)).toHaveLength(1);
        expect((await inB.adopt(['writer'])).journals).toHaveLength(1);
        expect((await inB.unheard()).flatMap(({ localRoots }) => localRoots)).toEqual([]);
      });

      test('is none that lives, none that has closed with all it ran at its end, and none that runs no sessions', async () => {
        const { harness, a, inA, inB } = await two({ runsSessions: true });
        await inA.register(registration(['r-1']));
        await inB.register(registration(['r-2']));
        expect([await inA.unheard(), await inB.unheard()]).toEqual([[], []]);
        inA.note('r-1', 'r-1', 'completed');
        await a.flush();
        await a.close();
        expect(await inB.unheard()).toEqual([]);
        const gate = await harness.share();
        await begin(gate);
        await lineageOf(gate).register(registration(['loop'], { isLoop: true }));
        await harness.kill(gate);
        expect(await inB.unheard()).toEqual([]);
      });

      test('is none where each sees whether the others live', async ({ skip }) => {
        const { harness, a, inA, inB } = await two({ runsSessions: true });
        if (harness.lease) return skip('processes of this store are known by their leases');
        await inA.register(registration(['r-1']));
        await harness.kill(a);
        expect(await inB.unheard()).toEqual([]);
      });
    });

    describe('a stop', () => {
      test('is confirmed when every other live process has told its listeners (I1)', async () => {
        const { harness, inA, a, b } = await two();
        const c = await harness.share();
        await begin(c);
        for (let round = 0; round < 20; round++) {
          const key = stopKey(`s-${round}`);
          const heard: string[] = [];
          const ends = [b, c].map((one) =>
            one.watch((change) => change.stops?.some((stop) => stop.key === key) && heard.push(one.processId)),
          );
          await a.mark(key, 'engaged', 0, details);
          const { confirmed, unconfirmed } = await inA.confirm(key, 0);
          expect(unconfirmed).toEqual([]);
          expect(confirmed).toEqual(expect.arrayContaining([b.processId, c.processId]));
          expect(heard.sort()).toEqual([b.processId, c.processId].sort());
          for (const end of ends) end();
        }
      });

      test('waits for no process that is gone (I11)', async () => {
        const { harness, inA, a, b, inB } = await two();
        await inB.register(registration(['r-1']));
        await harness.kill(b);
        await a.mark(stopKey('s-1'), 'engaged', 0, details);
        expect((await inA.confirm(stopKey('s-1'), 0)).unconfirmed).toEqual([]);
      });
    });

    describe('what a process left that is gone', () => {
      const leave = async (count = 1) => {
        const all = await two();
        const { inA, a, inB, b } = all;
        const roots = Array.from({ length: count }, (_, i) => `r-${i}`);
        for (const id of roots) {
          await inA.register(registration([id]));
          await inA.register(registration([id, `${id}-c`]));
          a.append(id, record(id, [id]));
          a.append(id, record(`${id}-c`, [id, `${id}-c`]));
        }
        await inB.register(registration(['r-0', 'away'], { isLocalRoot: true, call: 'k' }));
        b.append('away', record('away', ['r-0', 'away']));
        for (const id of roots) expect(a.claim(id, 2)).toBe(true);
        await a.flush();
        await b.flush();
        return { ...all, roots };
      };

      test('is told of to the others', async () => {
        const { harness, a, b } = await leave();
        const told = new Promise<void>((resolve) => {
          b.watch((change) => change.isOrphaned && resolve());
        });
        await harness.kill(a);
        await told;
      });

      test('goes to who asks for its agent, with its journal and its claims, and without what others run (S7)', async ({
        skip,
      }) => {
        const { harness, a, b, inB } = await leave();
        if (!inB.registersAll) return skip(sharedJournals);
        expect(await inB.adopt(['writer'])).toEqual({ claims: [], journals: [] });
        await harness.kill(a);
        expect(await inB.adopt(['nobody'])).toEqual({ claims: [], journals: [] });
        expect([b.claim('r-0', 3), b.claim('r-0-c', 2)]).toEqual([false, false]);
        const { journals, claims } = await inB.adopt(['reader', 'writer']);
        expect(journals).toEqual([
          { process: a.processId, alive: false, records: [record('r-0', ['r-0']), record('r-0-c', ['r-0', 'r-0-c'])] },
        ]);
        expect(claims).toEqual([{ session: subjectKey('r-0'), epoch: 2, alive: false }]);
        expect([b.claim('r-0', 2), b.claim('r-0', 3), b.claim('r-0-c', 2)]).toEqual([false, true, true]);
        for (const id of ['r-0', 'r-0-c']) expect((await inB.find(id, 'r-0'))?.process).toBe(b.processId);
        expect(await inB.adopt(['writer'])).toEqual({ claims: [], journals: [] });
      });

      test('is told of again, and taken over, where the one who claimed it dies before it has written a word (I14)', async ({
        skip,
      }) => {
        const { harness, a, b, inB } = await leave();
        if (inB.registersAll) return skip('a process of this store owns what it is given before it claims');
        const orphaned = () => new Promise<void>((resolve) => void b.watch((change) => change.isOrphaned && resolve()));
        const ofA = orphaned();
        await harness.kill(a);
        await ofA;
        await inB.adopt(['writer']);
        const c = await harness.share();
        await begin(c);
        const ofC = orphaned();
        expect(c.claim('r-0', 3)).toBe(true);
        await harness.kill(c);
        await ofC;
        const { journals, claims } = await inB.adopt(['writer']);
        expect(journals.flatMap(({ records }) => records.map(({ s }) => s))).toContain('r-0');
        expect(claims).toContainEqual({ session: subjectKey('r-0'), epoch: 3, alive: false });
      });

      test('goes to one process alone when all ask at once (S7)', async ({ skip }) => {
        const { harness, a, b, roots, inB } = await leave(30);
        if (!inB.registersAll) return skip(sharedJournals);
        const others = [b, await harness.share(), await harness.share()];
        for (const one of others.slice(1)) await begin(one);
        await harness.kill(a);
        const adopted = await Promise.all(others.map((one) => lineageOf(one).adopt(['writer'])));
        const owners = adopted.flatMap((one, index) =>
          one.journals.flatMap(({ records }) => records.filter(({ s }) => roots.includes(s)).map(({ s }) => [s, index] as const)),
        );
        expect(owners.map(([s]) => s).sort()).toEqual([...roots].sort());
        for (const [s, owner] of owners) expect(others.map((one) => one.claim(s, 3))).toEqual(others.map((_, i) => i === owner));
      });

      test('that has settled is nobody’s to take over', async ({ skip }) => {
        const { harness, a, inA, inB } = await leave();
        if (!inB.registersAll) return skip(sharedJournals);
        inA.note('r-0', 'r-0', 'completed');
        await a.flush();
        await harness.kill(a);
        expect(await inB.adopt(['writer'])).toEqual({ claims: [], journals: [] });
      });

      test('is over where it is a root of which no word was written: it did nothing, and nobody can ask for it again', async ({
        skip,
      }) => {
        const { harness, a, b, inA, inB } = await leave();
        if (!inB.registersAll) return skip(sharedJournals);
        await inA.register(registration(['r-new']));
        await harness.kill(a);
        await inB.adopt(['writer']);
        await b.flush();
        expect((await inB.find('r-new', 'r-new'))?.state).toBe('failed');
        expect((await inB.find('r-0', 'r-0'))?.state).toBe('running');
      });

      test('is the loop’s own where a gate asked for it: no agent of that name takes it over, and it goes on where it asks next (S6)', async () => {
        const { harness, a, b, inA, inB } = await leave();
        const loop = registration(['loop'], { isLoop: true });
        await inA.register(loop);
        await a.flush();
        await harness.kill(a);
        const { journals } = await inB.adopt(['writer']);
        expect(journals.flatMap(({ records }) => records.map(({ s }) => s))).not.toContain('loop');
        await b.flush();
        expect((await inB.find('loop', 'loop'))?.state).toBe('running');
        expect((await inB.register(registration(['loop', 'below'], { isLocalRoot: true, call: 'k' }))).status).toBe('registered');
        expect(await inB.register(loop)).toEqual({ status: 'registered' });
        expect((await inB.find('loop', 'loop'))?.process).toBe(b.processId);
        inB.note('loop', 'loop', 'completed');
        await b.flush();
        expect((await inB.find('loop', 'loop'))?.state).toBe('completed');
      });

      test('is found when nobody was there to see it go', async ({ skip }) => {
        const { harness, a, b, inB } = await leave();
        if (!inB.registersAll) return skip(sharedJournals);
        await harness.kill(b);
        await harness.kill(a);
        const next = await harness.share();
        await begin(next);
        const { journals } = await lineageOf(next).adopt(['writer']);
        expect(journals.flatMap((one) => one.records.map(({ s }) => s)).sort()).toEqual(['away', 'r-0', 'r-0-c']);
      });
    });

    describe('a process that cannot be reached', () => {
      test('goes on until its lease runs out, is then cut off and says so, and comes back by itself (I11)', async ({ skip }) => {
        const { harness, a, inA } = await two();
        const { lease } = harness;
        if (!lease) return skip('processes of this store have no lease');
        await lease.cut(a);
        expect(inA.isCutOff()).toBe(false);
        await lease.runOut(a);
        expect(inA.isCutOff()).toBe(true);
        expect(a.health.state).toBe('failed');
        await expect(inA.register(registration(['r-1']))).rejects.toMatchObject({ code: 'store_failed' });
        expect(() => a.claim('r-1', 2)).toThrow(expect.objectContaining({ code: 'store_failed' }));
        await lease.mend(a);
        await until(() => !inA.isCutOff());
        expect(a.health).toEqual({ state: 'ok' });
        expect(await inA.register(registration(['r-1']))).toEqual({ status: 'registered' });
      });

      test('knows every stop made meanwhile before it may go on (I1)', async ({ skip }) => {
        const { harness, a, b, inA, inB } = await two();
        const { lease } = harness;
        if (!lease) return skip('processes of this store have no lease');
        const wasCutOff = new Map<string, boolean>();
        a.watch((change) => {
          for (const stop of change.stops ?? []) wasCutOff.set(stop.key, inA.isCutOff());
        });
        await lease.cut(a);
        await lease.runOut(a);
        const keys = Array.from({ length: 50 }, (_, i) => stopKey(`s-${i}`));
        for (const key of keys) await b.mark(key, 'engaged', 0, details);
        expect((await inB.confirm(keys[49]!, 0)).unconfirmed).toEqual([]);
        await lease.mend(a);
        await until(() => !inA.isCutOff());
        expect(keys.map((key) => wasCutOff.get(key))).toEqual(keys.map(() => true));
      });

      test('is told of what was taken over meanwhile, before it may go on, and claims none of it (S7)', async ({ skip }) => {
        const { harness, a, b, inA, inB } = await two();
        const { lease } = harness;
        if (!lease) return skip('processes of this store have no lease');
        await inA.register(registration(['r-1']));
        await inA.register(registration(['r-1', 's-2']));
        await inA.register(registration(['r-2'], { agent: 'another' }));
        a.append('r-1', record('r-1', ['r-1']));
        a.append('r-1', record('s-2', ['r-1', 's-2']));
        await a.flush();
        const told: boolean[] = [];
        const takenOver = new Promise<readonly string[]>((resolve) => {
          a.watch((change) => change.takenOver && told.push(inA.isCutOff()) && resolve(change.takenOver));
        });
        await lease.cut(a);
        // Written while nobody hears of it: another process goes on without it.
        a.append('r-1', { t: 'turn', s: 'r-1', e: 1, at: 2, turn: 1 });
        await lease.runOut(a);
        const records = (await inB.adopt(['writer'])).journals.flatMap((one) => one.records);
        expect(records).toHaveLength(2);
        expect(b.claim('r-1', 2)).toBe(true);
        b.append('r-1', { t: 'claim', s: 'r-1', e: 2, at: 3 });
        await b.flush();
        await lease.mend(a);
        expect(await takenOver).toEqual(['r-1']);
        expect(told).toEqual([true]);
        await until(() => !inA.isCutOff());
        // The last word of a copy that was abandoned.
        a.append('r-1', { t: 'turn', s: 'r-1', e: 1, at: 4, turn: 2 });
        expect([a.claim('r-1', 3), a.claim('s-2', 2), a.claim('r-2', 2)]).toEqual([false, false, true]);
        await a.flush();
        await harness.kill(b);
        const after = (await inA.adopt(['writer'])).journals.flatMap((one) => one.records);
        expect(after.filter((one) => one.t === 'turn')).toEqual([]);
        expect(after.filter((one) => one.t === 'claim')).toHaveLength(1);
      });

      test('is told of it each time, also of what it had lost before and was given again (S7)', async ({ skip }) => {
        const { harness, a, b, inA } = await two();
        const { lease } = harness;
        if (!lease) return skip('processes of this store have no lease');
        const c = await harness.share();
        await begin(c);
        await inA.register(registration(['r-1']));
        a.append('r-1', record('r-1', ['r-1']));
        await a.flush();
        const lost: string[] = [];
        a.watch((change) => lost.push(...(change.takenOver ?? [])));
        const loseTo = async (other: StateStore): Promise<void> => {
          await lease.cut(a);
          await lease.runOut(a);
          expect((await lineageOf(other).adopt(['writer'])).journals).toHaveLength(1);
          await lease.mend(a);
          await until(() => !inA.isCutOff());
        };
        await loseTo(b);
        expect(lost).toEqual(['r-1']);
        await harness.kill(b);
        // One of its connections may have to be found dead first.
        await until(async () => (await inA.adopt(['writer']).catch(() => undefined))?.journals.length === 1);
        expect(a.claim('r-1', 2)).toBe(true);
        await a.flush();
        await loseTo(c);
        expect(lost).toEqual(['r-1', 'r-1']);
        expect(a.claim('r-1', 3)).toBe(false);
      });
    });
  });
}

/** Opened, and answering: that is what makes it count as alive. */
async function begin(store: StateStore, options: Parameters<StateStore['open']>[0] = {}): Promise<void> {
  await store.open(options);
  await store.serve?.(async () => ({}), { keepsAlive: false });
}

function lineageOf(store: StateStore): LineageStore {
  return store.lineage;
}

function isExisting(one: Registered): one is Extract<Registered, { readonly status: 'exists' }> {
  return one.status === 'exists';
}

async function wholeSubtree(lineage: LineageStore, session: string, root: string, limit: number) {
  const found = [];
  let after: string | undefined;
  for (let pages = 0; pages < 1000; pages++) {
    const page = await lineage.subtree(session, root, { limit, ...(after === undefined ? {} : { after }) });
    expect(page.sessions.length).toBeLessThanOrEqual(limit);
    found.push(...page.sessions);
    if (page.next === undefined) return found;
    after = page.next;
  }
  throw new Error('the pages never end');
}

/** What a store says of itself by a plain method has no notice to wait for. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const endsAt = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > endsAt) throw new Error(`did not come true within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
