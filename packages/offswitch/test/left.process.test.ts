// left.process.test.ts: what a process left that was killed, over a folder and over a real Redis: it is listed, ended with the others by one
// order for each root, and a ghost until somebody has marked it.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createRuntime, flagFile, type Runtime } from 'offswitch';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { switches } from './bench.ts';
import { StateBench, stateKinds } from './state-bench.ts';

const program = fileURLToPath(new URL('./agent-process.mjs', import.meta.url));

/** Of those that live: a busy machine must not have them counted as gone. */
const longLeaseMs = 15_000;
/** Of the one that is killed. */
const shortLeaseMs = 1_000;

interface Line {
  readonly id: string;
  readonly state: string;
}

describe.each(stateKinds)('what a killed process left in a %s', (kind) => {
  let bench: StateBench;
  const runtimes: Runtime[] = [];
  const children: ChildProcess[] = [];
  beforeEach(async (context) => {
    bench = await StateBench.open(kind, context);
  });
  afterEach(async () => {
    if (!bench) return;
    bench.isOver = true;
    for (const child of children.splice(0)) child.kill('SIGKILL');
    for (const runtime of runtimes.splice(0)) await runtime.close();
    await bench.close();
  });

  const start = async () => {
    const store = bench.openStore({ leaseMs: longLeaseMs });
    const runtime = await createRuntime({ switches, source: flagFile(bench.file), store });
    runtimes.push(runtime as Runtime);
    return runtime;
  };
  const spawn = async (
    name: string,
    user?: string,
    leaseMs = longLeaseMs,
    conversation: readonly string[] = [],
  ): Promise<{ child: ChildProcess; id: string }> => {
    const args = [bench.state, bench.file, name, String(leaseMs), ...(user === undefined ? [] : [user, ...conversation])];
    const child = fork(program, args, { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    children.push(child);
    const [message] = (await once(child, 'message')) as [{ id?: string }];
    return { child, id: message.id ?? '' };
  };
  const kill = async (child: ChildProcess): Promise<void> => {
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  const cli = (args: readonly string[], answers?: readonly string[]) =>
    bench.cli(['--state', bench.state, ...args, '--json'], answers);
  const states = async (...args: string[]): Promise<Record<string, string>> =>
    Object.fromEntries(((await cli(['sessions', ...args])).json.sessions as Line[]).map((one) => [one.id, one.state]));
  const within = { timeout: 40_000, interval: 100 };
  /** What the session of a killed process is called. In a folder whoever lives marks it soon after, and then it lies parked. */
  const left = kind === 'folder' ? expect.stringMatching(/^(orphaned|parked)$/) : 'orphaned';

  test('is listed as orphaned, and not as running, until a process takes it up (S10)', { timeout: 120_000 }, async () => {
    const here = await start();
    const mine = bench.agentOn(here, 'resume-rewrite').start(undefined, { userId: 'u-1' });
    const { child, id } = await spawn('batch-scoring', 'u-2', shortLeaseMs);
    expect(await states()).toEqual({ [mine.id]: 'running', [id]: 'running' });
    await kill(child);
    await expect.poll(() => states(), within).toEqual({ [mine.id]: 'running', [id]: left });
    expect(await cli(['ghosts'])).toMatchObject({ code: 0, json: { ghosts: [] } });
    await spawn('batch-scoring');
    await expect.poll(() => states(), within).toEqual({ [mine.id]: 'running', [id]: 'running' });
  });

  test('is previewed and ended with the others by one order for each root, is a ghost until it is marked, and none after (S6, S12, I12)', {
    timeout: 120_000,
  }, async () => {
    const here = await start();
    const agent = bench.agentOn(here, 'resume-rewrite');
    const mine = agent.start(undefined, { userId: 'u-1' });
    const other = agent.start(undefined, { userId: 'u-10' });
    const alive = await spawn('resume-rewrite', 'u-1');
    const dead = await spawn('batch-scoring', 'u-1', shortLeaseMs);
    await kill(dead.child);
    await expect.poll(() => states(), within).toMatchObject({ [dead.id]: left });

    const refused = await bench.cli(['--state', bench.state, 'terminate', '--user', 'u-1', '--reason', 'stolen'], ['n']);
    expect(refused.asked).toEqual(['End 3 sessions of user u-1 for good? [y/N] ']);
    for (const id of [mine.id, alive.id, dead.id]) expect(refused.out).toContain(id);
    const flip = await bench.cli(['--state', bench.state, 'engage', 'user', 'u-1', '--reason', 'stolen'], ['n']);
    expect(flip.out).toContain('stops 3 sessions\n');
    expect(refused.out).not.toContain(other.id);
    expect(here.session(mine.id)?.state).toBe('running');

    const ran = await cli(['terminate', '--user', 'u-1', '--reason', 'stolen', '--yes']);
    expect(ran).toMatchObject({ code: 0, json: { sessions: 3, confirmed: true } });
    // Redis cannot tell a dead process from one that is cut off: its session is named, and no work is said to have finished (S10, I3).
    expect(ran.json.unconfirmed).toEqual(kind === 'folder' ? [] : [dead.id]);
    expect((ran.json.stages as string[]).includes('drained')).toBe(kind === 'folder');
    const orders = (ran.json.stops as { session: string }[]).map((one) => one.session);
    expect(orders.sort()).toEqual([mine.id, alive.id, dead.id].sort());
    expect((await mine.outcome).status).toBe('terminated');
    expect(here.session(other.id)?.state).toBe('running');

    // In a folder whoever lives takes it up and marks it; in Redis it waits for one that defines its agent, and is told as a ghost until then.
    const found = kind === 'folder' ? [] : [{ class: 'dead-process', session: dead.id }];
    await expect.poll(() => cli(['ghosts']), within).toMatchObject({ code: found.length, json: { ghosts: found } });
    await spawn('batch-scoring');
    await expect.poll(async () => (await cli(['ghosts'])).json.ghosts, within).toEqual([]);
    expect(await states()).toEqual({ [other.id]: 'running' });
    const forensics = await cli(['forensics', dead.id]);
    expect(forensics).toMatchObject({ code: 0, json: { verified: 'yes' } });
  });

  const isTerminated = async (id: string): Promise<boolean> => (await cli(['forensics', id])).code === 0;
  const conversation = ['instance', 'c-1', '--conversation', '--reason', 'odd', '--yes'];

  test('is ended for good with its conversation, which is released before a process takes it up (S6)', {
    timeout: 120_000,
  }, async () => {
    const dead = await spawn('batch-scoring', 'u-1', shortLeaseMs, ['c-1']);
    await kill(dead.child);
    await expect.poll(() => states(), within).toMatchObject({ [dead.id]: kind === 'folder' ? 'parked' : expect.any(String) });
    expect(await cli(['engage', ...conversation])).toMatchObject({ json: { preview: { sessions: 1 } } });
    expect(await cli(['release', ...conversation])).toMatchObject({ code: 0 });
    const next = await spawn('batch-scoring', 'u-1', longLeaseMs, ['c-1']);
    await expect.poll(() => isTerminated(dead.id), within).toBe(true);
    expect(await states()).toEqual({ [next.id]: 'running' });
  });

  test('and what a frozen one has is ended for good with its conversation: it hears of that before it goes on, or nothing is released (S6)', {
    timeout: 120_000,
  }, async () => {
    await start();
    const frozen = await spawn('batch-scoring', 'u-1', shortLeaseMs, ['c-1']);
    frozen.child.kill('SIGSTOP');
    // Redis calls it gone once its lease is over; a folder sees that it lives.
    if (kind === 'redis') await expect.poll(() => states(), within).toMatchObject({ [frozen.id]: 'orphaned' });
    await cli(['engage', ...conversation]);
    const refused = { code: 4, json: { error: { code: 'sessions_unknown' } } };
    expect(await cli(['release', ...conversation])).toMatchObject(kind === 'redis' ? { code: 0 } : refused);
    frozen.child.kill('SIGCONT');
    await expect.poll(() => isTerminated(frozen.id), within).toBe(true);
    expect(await cli(['release', ...conversation])).toMatchObject({ code: 0 });
    const next = await spawn('batch-scoring', 'u-1', longLeaseMs, ['c-1']);
    expect(await states()).toEqual({ [next.id]: 'running' });
  });
});
