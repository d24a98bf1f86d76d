// ghosts.process.test.ts: each class of ghost made for real, over a folder and over a real Redis, and a fleet beside it that makes none (I12). The class
// of what a dead process left is in left.process.test.ts.

import {
  type Clock,
  type CredentialBroker,
  createRuntime,
  flagFile,
  type JournalRecord,
  newPathKey,
  type PathKeys,
  pathKeysFromEnv,
  type Revocation,
  type Runtime,
  type StateStore,
  systemClock,
} from 'offswitch';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Ghost } from '../src/cli/ghosts-found.ts';
import { switches } from './bench.ts';
import { StateBench, stateKinds } from './state-bench.ts';

describe.each(stateKinds)('offswitch ghosts over a %s', (kind) => {
  let bench: StateBench;
  const closing: { close(): Promise<void> }[] = [];
  beforeEach(async (context) => {
    bench = await StateBench.open(kind, context);
  });
  afterEach(async () => {
    if (!bench) return;
    bench.isOver = true;
    for (const one of closing.splice(0)) await one.close();
    await bench.close();
  });

  const start = async (
    options: {
      readonly brokers?: Readonly<Record<string, CredentialBroker>>;
      readonly pathKeys?: PathKeys;
      readonly clock?: Clock;
    } = {},
  ) => {
    const store = bench.openStore(options.clock === undefined ? {} : { clock: options.clock });
    const runtime = await createRuntime({ switches, source: flagFile(bench.file), store, ...options });
    closing.push(runtime);
    return runtime;
  };
  /** A process like any other, that confirms what it is told and does as it likes. */
  const startRogue = async (sessions: () => readonly object[]): Promise<StateStore> => {
    const store = bench.openStore();
    await store.open();
    await store.serve?.(async (method) => (method === 'sessions' ? sessions() : { effectDeadlineMs: 100 }));
    closing.push(store);
    return store;
  };
  const ghosts = async (): Promise<readonly string[]> => {
    const ran = await bench.cli(['--state', bench.state, 'ghosts', '--json']);
    const found = ran.json.ghosts as readonly Ghost[];
    expect(ran.code).toBe(found.length > 0 ? 1 : 0);
    return found.map((one) => `${one.class} ${one.session}`).sort();
  };
  const running = (id: string, path: readonly string[], calls: readonly object[] = []): object => ({
    id,
    path,
    agent: 'batch-scoring',
    workflow: 'batch-scoring',
    state: 'running',
    decision: { action: 'run' },
    calls,
  });
  /** Two sessions of an honest process, of which one is stopped for good. */
  const stopOneOf = async (runtime: Runtime, rogue?: StateStore): Promise<{ stopped: string; spared: string }> => {
    const agent = bench.agentOn(runtime as Runtime<'resume-rewrite' | 'batch-scoring'>, 'resume-rewrite');
    const [one, other] = [agent.start(undefined), agent.start(undefined)];
    await runtime.store.flush();
    // What the rogue has under it came there while it ran.
    const rogues = { session: 's-rogue', path: [one.id, 's-rogue'], agent: 'batch-scoring', workflow: 'batch-scoring' };
    if (rogue?.lineage.registersAll)
      await expect.poll(async () => (await rogue.lineage.register({ ...rogues, isLocalRoot: true })).status).toBe('registered');
    await runtime.stop({ session: one.id, reason: 'r', by: 'ann' });
    await one.outcome;
    await expect.poll(async () => (await runtime.receipts())[0]?.stages.fenced, { timeout: 10_000 }).toBeDefined();
    return { stopped: one.id, spared: other.id };
  };

  test('finds a sub-agent that goes on under a parent that was stopped, its calls, and that it is past its deadline', async () => {
    const lines: object[] = [];
    const runtime = await start();
    await startRogue(() => lines);
    const { stopped, spared } = await stopOneOf(runtime as Runtime);
    expect(await ghosts()).toEqual([]);
    // A child of the session that was let be is nobody's ghost, however long it takes.
    const call = { id: 't1-1', kind: 'tool', name: 'send', startedAt: Date.now() + 400 };
    lines.push(running('s-child', [spared, 's-child'], [call]));
    expect(await ghosts()).toEqual([]);
    lines.push(running('s-rogue', [stopped, 's-rogue'], [call]));
    // Its deadline has to pass first.
    await expect.poll(ghosts, { timeout: 20_000 }).toEqual(['ended-parent s-rogue', 'late-call s-rogue', 'overdue s-rogue']);
  }, 60_000);

  test('finds a session under a root that nobody knows, and none under one that another process has', async () => {
    const lines: object[] = [];
    const runtime = await start();
    await startRogue(() => lines);
    const { id } = bench.agentOn(runtime, 'resume-rewrite').start(undefined);
    lines.push(running('s-known', [id, 's-known']));
    expect(await ghosts()).toEqual([]);
    lines.push(running('s-stray', ['s-nobody', 's-stray']));
    expect(await ghosts()).toEqual(['unknown-root s-stray']);
  }, 60_000);

  test('finds a call that began after the fence and has ended since, and not one that was never sent', async () => {
    const lines: object[] = [];
    const runtime = await start();
    const rogue = await startRogue(() => lines);
    const { stopped } = await stopOneOf(runtime as Runtime, rogue);
    const path = [stopped, 's-rogue'];
    const of = { s: 's-rogue', e: 1 } as const;
    const at = Date.now() + 400;
    const call = { ...of, t: 'call', turn: 1, kind: 'tool', name: 'send', class: 'effect' } as const;
    const write = (record: JournalRecord): void => rogue.append('s-rogue', record);
    write({ ...of, t: 'session', at: 1, root: stopped, path, agent: 'batch-scoring', workflow: 'batch-scoring' });
    write({ ...call, at, key: 'a', id: 't1-1' });
    write({ ...of, t: 'end', at, turn: 1, key: 'a', outcome: 'not-sent' });
    await rogue.flush();
    lines.push(running('s-rogue', path));
    const others = ['ended-parent s-rogue', 'overdue s-rogue'];
    await expect.poll(ghosts, { timeout: 20_000 }).toEqual(others);
    write({ ...call, at, key: 'b', id: 't1-2' });
    write({ ...of, t: 'end', at, turn: 1, key: 'b', outcome: 'completed' });
    await rogue.flush();
    expect(await ghosts()).toEqual(['ended-parent s-rogue', 'late-call s-rogue', 'overdue s-rogue']);
  }, 60_000);

  test('finds a call that began after the fence when nothing of its graph is alive any more', async () => {
    const runtime = await start();
    const rogue = await startRogue(() => []);
    const { stopped } = await stopOneOf(runtime as Runtime, rogue);
    const of = { s: 's-rogue', e: 1 } as const;
    const at = Date.now() + 400;
    const write = (record: JournalRecord): void => rogue.append('s-rogue', record);
    write({
      ...of,
      t: 'session',
      at: 1,
      root: stopped,
      path: [stopped, 's-rogue'],
      agent: 'batch-scoring',
      workflow: 'batch-scoring',
    });
    write({ ...of, t: 'call', turn: 1, kind: 'tool', name: 'send', class: 'effect', at, key: 'a', id: 't1-1' });
    write({ ...of, t: 'end', at, turn: 1, key: 'a', outcome: 'completed' });
    write({ ...of, t: 'settled', at, status: 'terminated' });
    rogue.lineage.note('s-rogue', stopped, 'terminated');
    await rogue.flush();
    expect(await ghosts()).toEqual(['late-call s-rogue']);
  }, 60_000);

  test('finds none in a stop that ends as it should, though the root has ended before its sub-agent in a process whose clock is two seconds ahead', async () => {
    const pathKeys = pathKeysFromEnv({ OFFSWITCH_PATH_KEYS: newPathKey() })!;
    const a = await start({ pathKeys });
    const b = await start({ pathKeys, clock: { ...systemClock, now: () => Date.now() + 2_000 } });
    let end = (): void => {};
    let sent = 0;
    const sub = b.agent('batch-scoring', async (session) => {
      for (;;)
        await session.turn((turn) =>
          turn.tool('send', { sent }, () => {
            sent++;
            // Calls until a moment ago by the clock of this process, and one that takes its time.
            return sent < 10 ? undefined : new Promise<void>((resolve) => (end = resolve));
          }),
        );
    });
    const job = a.agent('resume-rewrite', (session) =>
      session.turn((turn) =>
        turn.tool(
          'delegate',
          {},
          async () => {
            const { headers } = await session.carry();
            return (await sub.run(undefined, { parent: await b.accept(headers) })).status;
          },
          { delegates: true },
        ),
      ),
    );
    const { id, outcome } = job.start(undefined);
    await expect.poll(() => sent, { timeout: 10_000 }).toBe(10);
    await a.stop({ session: id, reason: 'r', by: 'ann' });
    expect(await outcome).toMatchObject({ status: 'terminated' });
    await expect.poll(() => b.sessions().map(({ state }) => state)).toEqual(['stopping']);
    expect(await ghosts()).toEqual([]);
    end();
    await expect.poll(async () => (await a.receipts())[0]?.stages.done, { timeout: 10_000 }).toBeDefined();
    expect(await ghosts()).toEqual([]);
  }, 60_000);

  test('finds a credential that is still being taken back from a session that has ended, until that is done (I4)', async () => {
    let answer: Revocation = { state: 'pending', why: 'the printer is off' };
    let lent = 0;
    const runtime = await start({
      brokers: {
        printer: {
          caps: { cascade: 'none', effect: 'immediate', maxResidualMs: 0, canVerify: false, revokesById: true },
          issue: async ({ id, ttlMs }) => ({
            status: 'issued',
            secret: `secret ${++lent}`,
            ref: id,
            expiresAt: Date.now() + ttlMs,
          }),
          revoke: async () => answer,
        },
      },
    });
    const agent = runtime.agent('batch-scoring', (session) =>
      session.turn((turn) =>
        turn.tool('print', {}, async (_, context) => {
          await context.grant('printer');
          await new Promise(() => undefined);
        }),
      ),
    );
    const [one, other] = [agent.start(undefined), agent.start(undefined)];
    await expect.poll(() => lent, { timeout: 10_000 }).toBe(2);
    expect(await ghosts()).toEqual([]);
    await runtime.stop({ session: one.id, reason: 'r', by: 'ann' });
    await expect.poll(ghosts, { timeout: 20_000 }).toEqual([`live-grant ${one.id}`]);
    answer = { state: 'revoked', residualMs: 0 };
    await expect.poll(ghosts, { timeout: 40_000 }).toEqual([]);
    expect(runtime.session(other.id)?.state).toBe('running');
  }, 90_000);
});
