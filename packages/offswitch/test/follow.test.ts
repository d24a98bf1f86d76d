// follow.test.ts: what a command says of a stop, by what the running processes answer.

import type { Stop } from '@offswitch/core';
import type { Receipt } from '@offswitch/runtime';
import { expect, test } from 'vitest';
import type { Command } from '../src/cli/command.ts';
import { followStop } from '../src/cli/follow.ts';
import { releaseStop } from '../src/cli/release.ts';
import { Bench } from './bench.ts';

const stopOf = (n: number, since = 1_000): Stop => ({
  id: `act.operator.terminate.instance.s-${n}.o1`,
  cause: 'operator',
  tier: 'instance',
  action: 'terminate',
  subject: { sessionId: `s-${n}` },
  reason: 'odd',
  since,
});

/** One process that holds these, and has been told by the others of all but some. */
function commandOver(
  stops: readonly Stop[],
  unfenced: ReadonlySet<string>,
): { readonly command: Command; readonly asked: unknown[] } {
  const asked: unknown[] = [];
  const receipts = stops.map(
    (stop): Receipt => ({
      id: stop.id,
      stop,
      stages: { recorded: 1, ...(unfenced.has(stop.id) ? {} : { fenced: 1, drained: 1, revoked: 1, done: 1 }) },
      sessions: [],
      grants: [],
      residue: [],
    }),
  );
  let now = 0;
  const answers: Record<string, (params: { readonly since?: number; readonly stops?: readonly string[] }) => unknown> = {
    status: () => ({ stops }),
    ping: () => ({}),
    // As a runtime answers: the newest hundred, those that are named, or all since then.
    receipts: (params) => {
      asked.push(params);
      if (params.stops) return receipts.filter(({ id }) => params.stops!.includes(id));
      return params.since === undefined ? receipts.slice(0, 100) : receipts.filter(({ stop }) => stop.since >= params.since!);
    },
  };
  const place = { ask: async (method: string, params = {}) => [{ process: 'p1', pid: 1, result: answers[method]!(params) }] };
  const io = {
    now: () => now,
    sleep: async (ms: number) => {
      now += ms;
    },
    hasColour: false,
  };
  return { command: { io, place, say: () => undefined } as unknown as Command, asked };
}

test.each([
  [250, { stops: expect.any(Array) }],
  [600, { since: 1_000 }],
])('a command confirms orders only when each of them is confirmed, however many they are: %i (S10)', async (count, params) => {
  const orders = Array.from({ length: count }, (_, n) => stopOf(n));
  const older = Array.from({ length: 20 }, (_, n) => stopOf(1_000 + n, 10));
  const isOrder = ({ since }: Stop): boolean => since === 1_000;
  const late = commandOver([...orders, ...older], new Set([orders[200]!.id]));
  const unconfirmed = await followStop(late.command, isOrder);
  expect([unconfirmed.isFenced, unconfirmed.stages]).toEqual([false, ['recorded']]);
  expect(late.asked[0]).toEqual(params);
  const confirmed = await followStop(commandOver([...orders, ...older], new Set()).command, isOrder);
  expect([confirmed.isFenced, confirmed.receipts.length]).toEqual([true, count]);
});

test('a command confirms nothing for a process of an older version, which tells of some of its orders only (S10)', async () => {
  const { command } = commandOver(
    Array.from({ length: 250 }, (_, n) => stopOf(n)),
    new Set(),
  );
  const { ask } = command.place;
  command.place.ask = (method) => ask(method, {});
  expect((await followStop(command, () => true)).isFenced).toBe(false);
});

test('a release that no process answered says so of those that run, and not that none does (S10)', async () => {
  const said: string[] = [];
  const marked: string[] = [];
  const id = 'act.operator.pause.instance.s-1.o1';
  const place = {
    stops: async () => [{ key: id, marks: { engaged: 0, released: -1 }, engaged: { reason: 'odd', at: 1, subject: 's-1' } }],
    ask: async () => [{ process: 'p1', pid: 7, error: { code: 'timeout', message: 'no answer' } }],
    mark: async (key: string, side: string) => void marked.push(`${key} ${side}`),
  };
  const io = { now: () => 2, hasColour: false };
  const command = { io, place, say: (line: string) => said.push(line) } as unknown as Command;
  const { exitCode, json } = await releaseStop(command, id, undefined, { reason: 'well', by: 'ann' }, true);
  expect(marked).toEqual([`${id} released`]);
  expect([exitCode, json.confirmed, (json.silent as string[]).length]).toEqual([4, false, 1]);
  expect(said.join()).not.toContain('No process is running');
});

test.each([
  ['terminate', '--user', 'u-1'],
  ['stop', ''],
  ['engage', 'user', 'u-1'],
])('%s names each receipt once, however many processes tell of it (I10)', async (...words) => {
  const bench = new Bench();
  try {
    await bench.provision();
    const runtimes = [await bench.start(), await bench.start(), await bench.start(), await bench.start()];
    const agents = runtimes.slice(0, 3).map((runtime) => bench.agentOn(runtime, 'resume-rewrite'));
    const ids = agents.map((agent) => agent.start(undefined, { userId: 'u-1' }).id);
    const args = words.map((word) => (word === '' ? ids[0]! : word));
    const { code, json } = await bench.cli([...args, '--reason', 'r', '--yes', '--json']);
    const receipts = json.receipts as string[];
    expect([code, json.processes, receipts.length]).toEqual([0, 4, words[0] === 'terminate' ? 3 : 1]);
    expect(new Set(receipts).size).toBe(receipts.length);
  } finally {
    bench.isOver = true;
    await bench.close();
  }
});

test('a stop that a process has not let go of in time is not called another history (S10)', async () => {
  const said: string[] = [];
  const { command } = commandOver([], new Set());
  const stop: Stop = { ...stopOf(1), id: 'act.operator.pause.instance.s-1.o1', action: 'pause' };
  const { ask } = command.place;
  command.place.ask = async (method) =>
    method === 'status' || method === 'release'
      ? [{ process: 'p1', pid: 1, result: method === 'status' ? { stops: [stop] } : [stop] }]
      : ask(method);
  Object.assign(command, { say: (line: string) => said.push(line) });
  Object.assign(command.place, { stops: async () => [] });
  const { exitCode, json } = await releaseStop(command, stop.id, undefined, { reason: 'well', by: 'ann' }, true);
  expect([exitCode, json.confirmed, json.held]).toEqual([4, false, [stop]]);
  expect(said.join()).toContain(`still in force: ${stop.id}`);
  expect(said.join()).not.toContain('nother history');
});

test.each([
  ['terminate', '--user', 'u-1'],
  ['engage', 'user', 'u-1'],
])('%s waits once for a process that hangs, and says what the others do (S10)', async (...words) => {
  const bench = new Bench();
  try {
    await bench.provision();
    const runtime = await bench.start();
    bench.agentOn(runtime, 'resume-rewrite').start(undefined, { userId: 'u-1' });
    bench.hasFrozenBeside = true;
    const { code, json } = await bench.cli([...words, '--reason', 'r', '--yes', '--json']);
    expect([code, json.processes, json.confirmed]).toEqual([4, 1, false]);
    expect([json.stages, json.silent]).toMatchObject([
      expect.arrayContaining(['fenced']),
      [expect.stringContaining('process 4 did not answer')],
    ]);
    const told = bench.asked.findIndex((one) => /^re(read|fresh)/.test(one));
    expect(bench.asked.slice(told).filter((one) => one.endsWith('all'))).toEqual([]);
  } finally {
    await bench.close();
  }
});
