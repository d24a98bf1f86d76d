// latch.test.ts: what the command engages where the flag file says nothing: no file, no control, no runtime, no session yet.

import { rmSync, writeFileSync } from 'node:fs';
import { createRuntime, flagFile, folderStore, type Gate, openGate, type Runtime, type SwitchSource } from 'offswitch';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Bench, switches } from './bench.ts';

let bench: Bench;
const open: { close(): Promise<void> }[] = [];
beforeEach(async () => {
  bench = new Bench();
  await bench.provision();
});
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
  await bench.close();
});

/** A vendor that has everything released and that this command cannot flip, as `fromOpenFeature` is. */
function vendor(): SwitchSource {
  return {
    name: 'openfeature',
    health: { state: 'fresh', since: 0 },
    open: async () => {},
    read: () => ({ state: 'released', origin: 'live', position: { series: 'vendor', n: 7 } }),
    subscribe: () => () => {},
    close: async () => {},
  };
}
async function withoutControl(): Promise<Runtime<'resume-rewrite' | 'batch-scoring'>> {
  const runtime = await createRuntime({ switches, source: vendor(), store: folderStore(bench.folder) });
  open.push(runtime);
  return runtime;
}
async function gateOnly(): Promise<Gate<'resume-rewrite' | 'batch-scoring'>> {
  const gate = await openGate({ switches, source: flagFile(bench.file), store: folderStore(bench.folder), onAlarm: () => {} });
  open.push(gate);
  return gate;
}

describe('engage where the source has no control', () => {
  test.each([
    [['global'], { tier: 'global', action: 'pause', subject: {} }],
    [['feature', 'batch-scoring'], { tier: 'feature', action: 'pause', subject: { workflow: 'batch-scoring' } }],
    [['user', 'U 1'], { tier: 'user', action: 'pause', subject: { userId: 'U 1' } }],
    [['instance', 's-1'], { tier: 'instance', action: 'terminate', subject: { sessionId: 's-1' } }],
    [['instance', 'c-1', '--conversation'], { tier: 'instance', action: 'terminate', subject: { conversationId: 'c-1' } }],
  ])("%j latches an operator's stop, says before and after that it is one, and is confirmed (S3, S10)", async (target, stop) => {
    const runtime = await withoutControl();
    const ran = await bench.cli(['engage', ...target, '--reason', 'incident', '--yes', '--json']);
    expect(ran.code).toBe(0);
    expect(ran.json).toMatchObject({ latchedBy: 'folder', confirmed: true });
    expect(runtime.stops()).toMatchObject([{ ...stop, id: ran.json.stop, cause: 'operator', reason: 'incident', by: 'tester' }]);
    const said = await bench.cli(['engage', ...target, '--reason', 'incident', '--yes']);
    expect(said.out).toContain('read from openfeature, which this command cannot flip');
    expect(said.out).toContain("as an operator's stop. openfeature does not show it");
  });
  test('a paused fleet goes on when that stop is released by act, and not by a release of the switch (S3)', async () => {
    const runtime = await withoutControl();
    const made = await bench.cli(['engage', 'global', '--reason', 'incident', '--yes', '--json']);
    const refused = await bench.cli(['release', 'global', '--reason', 'over', '--yes']);
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('offswitch release --stop') });
    expect(runtime.stops()).toHaveLength(1);
    expect((await bench.cli(['release', '--stop', String(made.json.stop), '--reason', 'over', '--yes'])).code).toBe(0);
    expect(runtime.stops()).toEqual([]);
  });
});

test.each([
  ['engage', async () => bench.start(), 'engage global', ''],
  ['engage without a control', withoutControl, 'engage global', 'folder'],
  ['stop', async () => bench.start(), 'stop s-1', 'folder'],
  ['engage of a user', async () => bench.start(), 'engage user U-1', ''],
])(
  '%s is told to be made, and not to be confirmed, where nobody can be told or asked any more (S10)',
  async (_, begin, words, by) => {
    const runtime = await begin();
    bench.goesAway = true;
    bench.now = () => Date.now() + bench.slept * 50;
    const ran = await bench.cli([...words.split(' '), '--reason', 'incident', '--yes', '--json']);
    expect(ran).toMatchObject({ code: 4, json: { confirmed: false, silent: ['Redis is gone'] } });
    expect(ran.json.latchedBy ?? '').toBe(by);
    await expect.poll(() => runtime.stops()).toMatchObject([{ reason: 'incident' }]);
  },
);

describe('a stop where only a gate runs', () => {
  const engage = ['engage', 'feature', 'batch-scoring', '--reason', 'bad scores', '--yes'];
  test('is answered as soon as the gate refuses, with the stages that are true, and no word of the turn in progress (S10)', async () => {
    const gate = await gateOnly();
    await gate.decide({ workflow: 'batch-scoring', sessionId: 's-1' });
    const ran = await bench.cli([...engage, '--json']);
    expect(ran).toMatchObject({ code: 0, json: { confirmed: true, stages: ['recorded', 'fenced'] } });
    expect(bench.slept).toBeLessThan(2_000);
    expect((await gate.decide({ workflow: 'batch-scoring', sessionId: 's-1' })).action).toBe('pause');
    const [receipt] = (await bench.cli(['receipts', '--json'])).json.receipts as never[];
    expect(receipt).toMatchObject({
      stages: { done: expect.any(Number) },
      sessions: [{ session: 's-1', state: 'paused', why: expect.stringContaining('was refused') }],
    });
  });
  test('says in words what is not known', async () => {
    const gate = await gateOnly();
    await gate.decide({ workflow: 'batch-scoring', sessionId: 's-1' });
    const { out } = await bench.cli(engage);
    expect(out).toContain('✓ nothing new starts');
    expect(out).toContain('1 session not yet at rest');
    expect(out).toContain('a gate alone refuses the next turn');
    expect(out).not.toContain('✓ work in flight finished');
  });
  test('that covers no session of it is done at once', async () => {
    await gateOnly();
    expect(await bench.cli([...engage, '--json'])).toMatchObject({ code: 0, json: { stages: expect.arrayContaining(['done']) } });
    expect(bench.slept).toBeLessThan(2_000);
  });
});

describe('a stop of a conversation', () => {
  const engage = ['engage', 'instance', 'c-1', '--conversation', '--reason', 'runaway', '--yes'];
  const release = ['release', 'instance', 'c-1', '--conversation', '--reason', 'over', '--yes'];
  const runner = (runtime: Runtime<'resume-rewrite' | 'batch-scoring'>): ((conversationId: string) => Promise<string>) => {
    const agent = runtime.agent('resume-rewrite', (session) => session.turn(async () => 'over'));
    return async (conversationId) => (await agent.run(undefined, { conversationId })).status;
  };

  test('whose flag file was lost ends each run that starts later, from the latch alone, and no other conversation (S4)', async () => {
    await bench.visit();
    await bench.cli(engage);
    writeFileSync(bench.file, '');
    const runtime = await bench.start();
    const gate = await gateOnly();
    expect(await gate.decide({ workflow: 'resume-rewrite', sessionId: 's-9', conversationId: 'c-1' })).toMatchObject({
      action: 'terminate',
      tier: 'instance',
      reason: 'runaway',
    });
    expect(runtime.stops()).toMatchObject([{ subject: { conversationId: 'c-1' }, cause: 'switch' }]);
    const run = runner(runtime);
    expect([await run('c-1'), await run('c-2')]).toEqual(['terminated', 'completed']);
  });
  test('permits a new run once its flag is released, with and without a process alive, and the ended run stays ended (S6)', async () => {
    const runtime = await bench.start();
    const run = runner(runtime);
    expect(await run('c-1')).toBe('completed');
    await bench.cli(engage);
    expect(await run('c-1')).toBe('terminated');
    await bench.cli(release);
    expect(await run('c-1')).toBe('completed');
    await bench.cli(engage);
    expect(await run('c-1')).toBe('terminated');
    await runtime.close();
    await bench.cli(release);
    expect(await runner(await bench.start())('c-1')).toBe('completed');
  });
  test('on a damaged flag file is latched by an operator, ends the runs there are, and is released by act', async () => {
    const runtime = await bench.start();
    const agent = bench.agentOn(runtime, 'resume-rewrite');
    const mine = agent.start(undefined, { conversationId: 'c-1' });
    const other = agent.start(undefined, { conversationId: 'c-2' });
    rmSync(bench.file);
    const made = await bench.cli([...engage, '--json']);
    expect(made).toMatchObject({ code: 0, json: { latchedBy: 'folder' } });
    expect((await mine.outcome).status).toBe('terminated');
    expect(runtime.session(other.id)?.state).toBe('running');
    const letGo = await bench.cli(['release', '--stop', String(made.json.stop), '--reason', 'over', '--yes']);
    expect(letGo.code).toBe(0);
    expect(letGo.out).toContain('those that were ended stay ended');
    expect(runtime.stops()).toEqual([]);
  });
});
