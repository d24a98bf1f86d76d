// ghosts.test.ts: every ghost is found, none invented (I12): each class planted by itself in an otherwise healthy picture, and a real
// runtime stopped and looked at.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatStopKey, type JournalRecord, type Receipt, subjectKey } from 'offswitch';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ghosts } from '../src/cli/ghosts.ts';
import { type Ghost, ghostsIn, inBoth, type Seen } from '../src/cli/ghosts-found.ts';
import type { SessionLine } from '../src/cli/wire.ts';
import { Bench } from './bench.ts';

const now = 1_000_000;
const stop = formatStopKey({
  kind: 'act',
  cause: 'operator',
  action: 'terminate',
  tier: 'instance',
  subject: subjectKey('s-root'),
  id: 'o1',
});

function line(id: string, more: Partial<SessionLine> = {}): SessionLine {
  const path = id === 's-root' ? ['s-root'] : ['s-root', id];
  return {
    id,
    path,
    agent: 'a',
    workflow: 'w',
    state: 'running',
    turn: 1,
    costMicros: 0,
    action: 'run',
    unknownCalls: [],
    calls: [],
    ...more,
  };
}

function receipt(fenced: number | undefined): Receipt {
  return {
    id: stop,
    stop: {
      id: stop,
      cause: 'operator',
      tier: 'instance',
      action: 'terminate',
      subject: { sessionId: 's-root' },
      reason: 'r',
      since: now - 5_000,
    },
    stages: { recorded: now - 5_000, ...(fenced === undefined ? {} : { fenced }) },
    sessions: [],
    grants: [],
    residue: [],
  };
}

function seen(more: Partial<Seen> = {}): Seen {
  return {
    at: now,
    processes: [{ process: 'p1', sessions: [line('s-root'), line('s-child'), line('s-other', { path: ['s-other'] })] }],
    isPartial: false,
    journals: [],
    registered: [],
    stops: [],
    receipts: [],
    grants: [],
    ...more,
  };
}

const stopped = (fenced: number | undefined): Partial<Seen> => ({
  stops: [{ key: stop, marks: { engaged: 0, released: -1 } }],
  receipts: [receipt(fenced)],
});

const born = (s: string): JournalRecord => ({
  t: 'session',
  s,
  e: 1,
  at: 1,
  root: 's-root',
  path: s === 's-root' ? [s] : ['s-root', s],
  agent: 'a',
  workflow: 'w',
});

const classes = (found: readonly Ghost[]): string[] => found.map((one) => `${one.class} ${one.session}`);

/** A call of the root. */
const call = {
  t: 'call',
  s: 's-root',
  e: 1,
  turn: 9,
  key: 'k',
  id: 't9-1',
  kind: 'tool',
  name: 'send',
  class: 'effect',
} as const;

/** A call that was in time, and a clock that was set back since. */
function setBack(): Seen {
  const [setBackMs, fencedAt] = [2_000, now - 60_000];
  return seen({
    ...stopped(fencedAt),
    receipts: [
      {
        ...receipt(fencedAt),
        fences: [
          { process: 'p1', at: fencedAt },
          { process: 'p2', at: fencedAt + 5 },
        ],
      },
    ],
    processes: [
      { process: 'p1', sessions: [], at: now },
      { process: 'p2', sessions: [], at: now - setBackMs },
    ],
    registered: [{ session: 's-root', path: ['s-root'], agent: 'a', workflow: 'w', state: 'terminated' } as never],
    journals: [{ process: 'p2', alive: true, records: [born('s-root'), { ...call, at: fencedAt - 1_000 }] }],
  });
}

describe('ghosts', () => {
  test('are none in a fleet that runs, or that is being stopped as it should', () => {
    expect(ghostsIn(seen())).toEqual([]);
    expect(ghostsIn(seen(stopped(undefined)))).toEqual([]);
    expect(
      ghostsIn(
        seen({
          ...stopped(now - 1_000),
          processes: [
            {
              process: 'p1',
              sessions: [line('s-root', { state: 'stopping', calls: [{ id: 't1-1', name: 'send', startedAt: now - 2_000 }] })],
            },
          ],
        }),
      ),
    ).toEqual([]);
  });

  test('are a session that runs although its parent has ended', () => {
    const processes = [{ process: 'p1', sessions: [line('s-root', { state: 'terminated' }), line('s-child')] }];
    expect(classes(ghostsIn(seen({ processes })))).toEqual(['ended-parent s-child']);
  });

  test('are not what was accepted under a session that had completed, for as long as the root lives; under one that was ended they are', () => {
    const kid = line('s-kid', { path: ['s-root', 's-mid', 's-kid'] });
    const under = (root: string, mid: string) =>
      seen({
        processes: [
          { process: 'p1', sessions: [line('s-root', { state: root }), line('s-mid', { state: mid })] },
          { process: 'p2', sessions: [kid] },
        ],
      });
    expect(ghostsIn(under('running', 'completed'))).toEqual([]);
    expect(classes(ghostsIn(under('running', 'terminated')))).toEqual(['ended-parent s-kid']);
    expect(classes(ghostsIn(under('completed', 'completed')))).toEqual(['ended-parent s-kid']);
  });

  test('are a session under a root that nobody knows, but not while somebody does not answer (R10)', () => {
    const processes = [{ process: 'p1', sessions: [line('s-child')] }];
    expect(classes(ghostsIn(seen({ processes })))).toEqual(['unknown-root s-child']);
    expect(ghostsIn(seen({ processes, isPartial: true }))).toEqual([]);
    expect(ghostsIn(seen({ processes, journals: [{ process: 'p0', alive: true, records: [born('s-root')] }] }))).toEqual([]);
  });

  test('are a call that began after the fence, beyond what two clocks may differ, in whatever process', () => {
    const calls = [{ id: 't9-1', name: 'send', startedAt: now - 400 }];
    const processes = [
      { process: 'p1', sessions: [line('s-root', { state: 'terminated' }), line('s-child', { calls, state: 'stopping' })] },
    ];
    expect(
      classes(ghostsIn(seen({ ...stopped(now - 1_000), processes: [{ process: 'p1', sessions: [line('s-root', { calls })] }] }))),
    ).toEqual(['late-call s-root']);
    expect(ghostsIn(seen({ ...stopped(now - 500), processes }))).toEqual([]);
  });

  test('are not what a stop has reached and its process ends yet, though what is above has ended elsewhere; past the deadline, or once all is done, they are', () => {
    const processes = [
      { process: 'p1', sessions: [line('s-root', { state: 'terminated' })] },
      { process: 'p2', sessions: [line('s-child', { state: 'stopping' })] },
    ];
    const under = (...stages: (number | undefined)[]) => {
      const [fenced, done] = stages;
      const one = receipt(fenced);
      return seen({
        ...stopped(fenced),
        receipts: [{ ...one, stages: { ...one.stages, ...(done === undefined ? {} : { done }) } }],
        processes,
      });
    };
    expect(ghostsIn(under(undefined))).toEqual([]);
    expect(ghostsIn(under(now - 3_000))).toEqual([]);
    expect(classes(ghostsIn(under(now - 3_000, now - 1_000)))).toEqual(['ended-parent s-child']);
    expect(classes(ghostsIn(under(now - 11_000)))).toEqual(['ended-parent s-child', 'overdue s-child']);
    // Some process elsewhere never confirms, so that it is never fenced.
    const muchLater = { ...under(undefined), at: now + 6_000 };
    expect(classes(ghostsIn(muchLater))).toEqual(['ended-parent s-child']);
  });

  test('are told by the clock of the process that has them, where it says when it knew of the fence', () => {
    const aheadMs = 2_000;
    const fencedAt = now - 1_000;
    const under = (startedAt: number, isSaid: boolean, more: Partial<SessionLine> = {}) => {
      const calls = [{ id: 't9-1', name: 'send', startedAt }];
      const call = { t: 'call', s: 's-root', e: 1, at: startedAt, turn: 9, key: 'k', id: 't9-1' } as const;
      return seen({
        ...stopped(fencedAt),
        receipts: [{ ...receipt(fencedAt), ...(isSaid ? { fences: [{ process: 'p1', at: fencedAt + aheadMs }] } : {}) }],
        processes: [{ process: 'p1', sessions: [line('s-root', { state: 'stopping', ...more, calls })], at: now + aheadMs }],
        journals: [
          {
            process: 'p1',
            alive: true,
            records: [born('s-root'), { ...call, kind: 'tool', name: 'send', class: 'effect' }],
          },
        ],
      });
    };
    // Before it knew, and after: what the clocks of two machines may differ by does not come into it.
    expect(ghostsIn(under(fencedAt + aheadMs - 1, true))).toEqual([]);
    expect(classes(ghostsIn(under(fencedAt + aheadMs + 1, true)))).toEqual(['late-call s-root']);
    expect(classes(ghostsIn({ ...under(fencedAt + aheadMs + 1, true), processes: [] }))).toEqual(['late-call s-root']);
    // It has not said, so there is only its clock.
    const [ghost] = ghostsIn(under(fencedAt + aheadMs - 1, false));
    expect(ghost).toMatchObject({ class: 'late-call', why: expect.stringContaining('if its clock is right') });
  });

  test('are perhaps a call of a process that was cut off while another fenced the stop: two clocks tell of it, and it is a note (I1, I12)', () => {
    const [behindMs, cutOffMs] = [60_000, 5_000];
    const fencedAt = now - 8_000;
    const under = (startedAfterMs: number, more: Partial<Seen> = {}) => {
      const startedAt = fencedAt - behindMs + startedAfterMs;
      return seen({
        ...stopped(fencedAt),
        receipts: [
          {
            ...receipt(fencedAt),
            fences: [
              { process: 'p1', at: fencedAt },
              { process: 'p2', at: fencedAt - behindMs + cutOffMs },
            ],
          },
        ],
        processes: [
          { process: 'p1', sessions: [], at: now },
          {
            process: 'p2',
            sessions: [line('s-root', { state: 'stopping', calls: [{ id: 't9-1', name: 'send', startedAt }] })],
            at: now - behindMs,
          },
        ],
        ...more,
      });
    };
    const [ghost, ...others] = ghostsIn(under(3_000));
    expect(others).toEqual([]);
    expect(ghost).toMatchObject({
      class: 'late-call',
      isUncertain: true,
      why: expect.stringContaining('if no clock was set since: it knew 5000 ms later than another'),
    });
    // Past the moment at which it knew itself, one clock is enough.
    const [certain] = ghostsIn(under(6_000));
    expect(certain).toMatchObject({ class: 'late-call', why: 'send began 1000 ms after every process had confirmed the stop' });
    expect(certain).not.toHaveProperty('isUncertain');
    expect(ghostsIn(under(100))).toEqual([]);
    // As far apart as their answers may be, the two moments are not told apart.
    expect(ghostsIn(under(3_000, { withinMs: 4_000 }))).toEqual([]);
    // Of one that does not say what time it is, nobody knows what its moment is here.
    const { processes, ...rest } = under(3_000);
    expect(ghostsIn({ ...rest, processes: processes.slice(1) })).toEqual([]);
    const journals = (startedAfterMs: number) => [
      { process: 'p2', alive: true, records: [born('s-root'), { ...call, at: fencedAt - behindMs + startedAfterMs }] },
    ];
    const told = processes.map((one) => ({ ...one, sessions: [] }));
    expect(classes(ghostsIn({ ...rest, processes: told, journals: journals(3_000) })).includes('late-call s-root')).toBe(true);
    expect(classes(ghostsIn({ ...rest, processes: told, journals: journals(100) })).includes('late-call s-root')).toBe(false);
  });

  test('are none for certain where a clock was set after the stop: what is compared is what two clocks say now (I12)', () => {
    const found = ghostsIn(setBack());
    expect(found).toMatchObject([{ class: 'late-call', session: 's-root', isUncertain: true }]);
  });

  test('are overdue by the clock of their process, not by the one of who looks', () => {
    const behindMs = 60_000;
    const overdue = (afterMs: number) =>
      seen({
        ...stopped(now - 5_000),
        receipts: [{ ...receipt(now - 5_000), fences: [{ process: 'p1', at: now - behindMs }] }],
        processes: [
          {
            process: 'p1',
            sessions: [line('s-root', { state: 'stopping' })],
            effectDeadlineMs: 1_000,
            at: now - behindMs + afterMs,
          },
        ],
      });
    expect(ghostsIn(overdue(1_000))).toEqual([]);
    expect(classes(ghostsIn(overdue(2_000)))).toEqual(['overdue s-root']);
  });

  test('are a stopped session past its deadline, which is its process’s own', () => {
    const of = (effectDeadlineMs: number): Partial<Seen> => ({
      ...stopped(now - 5_000),
      processes: [{ process: 'p1', sessions: [line('s-root', { state: 'stopping' })], effectDeadlineMs }],
    });
    expect(classes(ghostsIn(seen(of(1_000))))).toEqual(['overdue s-root']);
    expect(ghostsIn(seen(of(10_000)))).toEqual([]);
  });

  test('are what a dead process left under a terminate, once nobody who lives has marked it', () => {
    const journals = [{ process: 'p0', alive: false, records: [born('s-root')] }];
    const processes = [{ process: 'p1', sessions: [] }];
    expect(classes(ghostsIn(seen({ ...stopped(now - 500), journals, processes })))).toEqual(['dead-process s-root']);
    // At the next start it is marked; where nobody runs, nothing is alive.
    expect(ghostsIn(seen({ ...stopped(now - 500), journals, processes: [] }))).toEqual([]);
    // Under no stop it waits for somebody who has its agent.
    expect(ghostsIn(seen({ journals, processes }))).toEqual([]);
    const settled = { t: 'settled', s: 's-root', e: 2, at: 2, status: 'terminated' } as const;
    const marked = [...journals, { process: 'p2', alive: true, records: [settled] }];
    expect(ghostsIn(seen({ ...stopped(now - 500), journals: marked, processes }))).toEqual([]);
  });

  test('are a grant that works although its session has ended', () => {
    const record = {
      id: 'g1',
      session: 's-gone',
      path: ['s-gone'],
      broker: 'mail',
      process: 'p1',
      state: 'active',
      at: 1,
      expiresAt: now + 60_000,
    } as const;
    const ended = { t: 'settled', s: 's-gone', e: 1, at: 2, status: 'completed' } as const;
    const journals = [
      { process: 'p1', alive: true, records: [{ ...born('s-gone'), root: 's-gone', path: ['s-gone'] } as JournalRecord, ended] },
    ];
    const grants = [{ record: record as never, isOwnerAlive: true }];
    expect(classes(ghostsIn(seen({ grants, journals })))).toEqual(['live-grant s-gone']);
    const inState = (state: string) =>
      classes(ghostsIn(seen({ grants: [{ record: { ...record, state } as never, isOwnerAlive: true }], journals })));
    // Until it is revoked, or can be none any more, it may work: also while it is being revoked, and where it cannot be.
    for (const state of ['issuing', 'revoking', 'irrevocable']) expect(inState(state)).toEqual(['live-grant s-gone']);
    for (const state of ['revoked', 'expired', 'not-issued']) expect(inState(state)).toEqual([]);
    // Its process died, and nobody lists its session any more.
    expect(classes(ghostsIn(seen({ grants })))).toEqual(['live-grant s-gone']);
    expect(
      ghostsIn(seen({ grants: [{ record: { ...record, expiresAt: now } as never, isOwnerAlive: true }], journals })),
    ).toEqual([]);
    expect(
      ghostsIn(seen({ grants: [{ record: { ...record, session: 's-other' } as never, isOwnerAlive: true }], journals })),
    ).toEqual([]);
  });

  test('are a grant of a session that was stopped for good while nobody ran: nobody was there to fence it, or to take the grant back', () => {
    const record = {
      id: 'g1',
      session: 's-root',
      path: ['s-root'],
      broker: 'mail',
      process: 'p1',
      state: 'active',
      at: 1,
      expiresAt: now + 60_000,
    };
    const journals = [{ process: 'p1', alive: false, records: [born('s-root')] }];
    const left = { journals, grants: [{ record: record as never, isOwnerAlive: false }], processes: [] };
    const { stops } = stopped(undefined) as Pick<Seen, 'stops'>;
    expect(classes(ghostsIn(seen({ ...left, stops })))).toEqual(['live-grant s-root']);
    expect(classes(ghostsIn(seen(left)))).toEqual([]);
    // Of a process that does not answer it is not known whether it has taken it in.
    expect(classes(ghostsIn(seen({ ...left, stops, isPartial: true })))).toEqual([]);
  });

  test('are a grant that has no end, and one of which only a damaged file is left', () => {
    const record = {
      id: 'g1',
      session: '',
      path: [],
      broker: 'unknown',
      process: 'p1',
      state: 'irrevocable',
      at: 0,
      expiresAt: 8.64e15,
    };
    const [ghost] = ghostsIn(seen({ grants: [{ record: record as never, isOwnerAlive: false }] }));
    expect(ghost).toMatchObject({ class: 'live-grant', why: expect.stringContaining('may work until it is removed by hand') });
  });

  test('are told only when both looks found them; a session that goes on calling is one', () => {
    const one = { class: 'late-call', session: 's', of: 't1-1', why: '' } as const;
    const other = { class: 'overdue', session: 's', why: '' } as const;
    expect(inBoth([one, other], [{ ...one, of: 't2-1' }])).toHaveLength(1);
    expect(inBoth([other], [one])).toEqual([]);
  });
});

describe('offswitch ghosts where a clock was set after the stop', () => {
  test('says what is not certain beside the ghosts, and ends with neither 0 nor 1 (I12)', async () => {
    const { processes, journals, ...rest } = setBack();
    const said: string[] = [];
    const place = {
      exists: () => true,
      stops: async () => rest.stops,
      receipts: async () => rest.receipts,
      grants: async () => [],
      journals: async () => ({ journals }),
      registered: async () => rest.registered,
      ask: async (method: string) =>
        processes.map(({ process, sessions, at }) => ({ process, pid: 1, result: method === 'status' ? { at } : sessions })),
    };
    const io = { hasColour: false, now: () => now, sleep: async () => {} };
    const command = { io, place, isJson: false, say: (text: string) => said.push(text) };
    const { json, exitCode } = await ghosts(command as never);
    expect(json).toMatchObject({ ghosts: [], uncertain: [{ class: 'late-call', session: 's-root' }] });
    expect(exitCode).toBe(4);
    expect(said.slice(1)).toEqual([expect.stringMatching(/^\? not certain: s-root t9-1 in p2: /), 'no ghost that is certain']);
  });
});

describe('offswitch ghosts', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = new Bench();
    await bench.provision();
  });
  afterEach(() => bench.close());

  test('finds none in a fleet whose sessions were stopped, ended or run', async () => {
    const runtime = await bench.start();
    const agent = bench.agentOn(runtime, 'resume-rewrite');
    const { id, outcome } = agent.start(undefined);
    agent.start(undefined);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await outcome;
    const ran = await bench.cli(['ghosts', '--json']);
    expect(ran).toMatchObject({ code: 0, json: { ghosts: [], silent: [] } });
  });

  test.each(['ghosts', 'terminate', 'sessions'])(
    '%s over a journal that cannot be read says so and ends with no 0, whoever runs (S10)',
    async (name) => {
      const first = await bench.start();
      const { id } = bench.agentOn(first, 'resume-rewrite').start(undefined, { userId: 'u-1' });
      await expect.poll(() => first.session(id)?.turn).toBeGreaterThan(3);
      await first.close();
      const folder = join(bench.folder, 'journal');
      for (const one of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        if (!one.isFile()) continue;
        const path = join(one.parentPath, one.name);
        writeFileSync(path, readFileSync(path).fill('z', 5, 30));
      }
      const args = { ghosts: [], terminate: ['--user', 'u-1', '--reason', 'r', '--yes'], sessions: [] }[name]!;
      const ran = await bench.cli([name, ...args]);
      expect(ran.code).not.toBe(0);
      expect(ran.out).toContain(bench.folder);
      expect(ran.out).not.toContain('no ghosts');
      expect((await bench.cli([name, ...args, '--json'])).json.problems).toHaveLength(1);
    },
  );

  test('of a folder that is not there says so', async () => {
    const ran = await bench.cli(['ghosts']);
    expect(ran).toMatchObject({ code: 1 });
    expect(ran.err).toContain('no state folder');
    await bench.visit();
    expect(await bench.cli(['ghosts'])).toMatchObject({ code: 0, out: 'no ghosts\n' });
  });
});
