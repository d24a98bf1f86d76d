// vendor.test.ts: the command where the switches are a vendor's: flips through its control, and the express lane beside it.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRuntime, folderStore, type Runtime } from 'offswitch';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Bench, switches } from './bench.ts';
import { FakeVendor } from './fake-vendor.ts';

const secret = 'user:very-secret';
let bench: Bench;
let vendor: FakeVendor;
beforeEach(() => {
  bench = new Bench();
  vendor = new FakeVendor(switches);
  bench.env = { UNLEASH_URL: 'http://127.0.0.1:1', UNLEASH_ADMIN_TOKEN: secret };
  bench.installed.set('@offswitch/unleash/control', vendor.module);
});
afterEach(() => bench.close());

const engage = ['engage', 'feature', 'batch-scoring', '--reason', 'bad scores', '--yes'];
const release = ['release', 'feature', 'batch-scoring', '--reason', 'mended', '--yes'];
const start = () => bench.start({ source: vendor.source });
const causes = (runtime: Runtime<'resume-rewrite' | 'batch-scoring'>): string[] => runtime.stops().map((stop) => stop.cause);
const isPending = (runtime: Runtime<'resume-rewrite' | 'batch-scoring'>): boolean =>
  runtime.stops().some((stop) => stop.id.includes('~'));

describe('a flip of a switch that is read from a vendor', () => {
  test("goes out through that vendor's control with the credentials of the environment, and is confirmed by the running process", async () => {
    const runtime = await start();
    const ran = await bench.cli(engage);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).toContain('on-call. Unleash enforces it: the token in UNLEASH_ADMIN_TOKEN decides');
    expect(ran.out).toContain('✓ written to Unleash and read back');
    expect(vendor.made[0]).toMatchObject({
      url: 'http://127.0.0.1:1',
      token: secret,
      project: 'default',
      environment: 'production',
    });
    expect(vendor.flips).toMatchObject([{ action: 'engage', key: 'killswitch.feature.batch-scoring', by: 'tester' }]);
    await expect.poll(() => isPending(runtime)).toBe(false);
    expect(runtime.stops()).toMatchObject([
      { cause: 'switch', reason: 'bad scores', by: 'tester', subject: { workflow: 'batch-scoring' } },
    ]);
    const back = await bench.cli([...release, '--json']);
    expect(back).toMatchObject({ code: 0, json: { confirmed: true, held: [] } });
    expect(runtime.stops()).toEqual([]);
  });
  test('stops before the vendor was polled, and goes by the vendor from the first poll on (S3)', async () => {
    vendor.isHeardOnRefresh = false;
    const runtime = await start();
    expect((await bench.cli(engage)).code).toBe(0);
    expect([causes(runtime), isPending(runtime)]).toEqual([['switch'], true]);
    expect((await bench.cli(['status'])).out).toContain('no process has read it there yet');
    vendor.poll();
    await expect.poll(() => isPending(runtime)).toBe(false);
    expect(causes(runtime)).toEqual(['switch']);
    expect((await bench.cli(['status'])).out).not.toContain('no process has read it there yet');
    vendor.byHand('release', 'killswitch.feature.batch-scoring');
    vendor.poll();
    await expect.poll(() => runtime.stops()).toEqual([]);
  });
  test('stops before the vendor has answered', async () => {
    const runtime = await start();
    let answer = (): void => undefined;
    vendor.answered = new Promise((resolve) => {
      answer = resolve;
    });
    const ran = bench.cli(engage);
    await expect.poll(() => causes(runtime)).toEqual(['switch']);
    answer();
    expect((await ran).code).toBe(0);
  });
  test('engaged, released and engaged again between two polls: the first engage, which is still read, takes nothing over (S3, S4)', async () => {
    vendor.isHeardOnRefresh = false;
    const runtime = await start();
    await bench.cli(engage);
    vendor.poll();
    await expect.poll(() => isPending(runtime)).toBe(false);
    const told: boolean[] = [];
    runtime.subscribe((event) => {
      if (event.type === 'stop') told.push(event.engaged);
    });
    vendor.byHand('release', 'killswitch.feature.batch-scoring');
    expect((await bench.cli(engage)).code).toBe(0);
    await runtime.refresh();
    expect(isPending(runtime)).toBe(true);
    vendor.poll();
    await expect.poll(() => isPending(runtime)).toBe(false);
    expect([causes(runtime), told]).toEqual([['switch'], []]);
    vendor.byHand('release', 'killswitch.feature.batch-scoring');
    vendor.poll();
    await expect.poll(() => runtime.stops()).toEqual([]);
  });
  test('that was engaged already goes by the reading there is, and is released with it', async () => {
    vendor.isHeardOnRefresh = false;
    const runtime = await start();
    vendor.byHand('engage', 'killswitch.feature.batch-scoring');
    vendor.poll();
    vendor.isSoAlready = true;
    expect(await bench.cli(engage)).toMatchObject({ code: 0, out: expect.stringContaining('said so already') });
    await expect.poll(() => isPending(runtime)).toBe(false);
    expect(causes(runtime)).toEqual(['switch']);
    vendor.byHand('release', 'killswitch.feature.batch-scoring');
    vendor.poll();
    await expect.poll(() => runtime.stops()).toEqual([]);
  });
  test('that somebody makes while another is released is not released with it (S1)', async () => {
    vendor.isHeardOnRefresh = false;
    const runtime = await start();
    let after = Number.POSITIVE_INFINITY;
    vendor.meanwhile = async () => {
      await bench.cli(engage);
      after = vendor.refreshes;
    };
    const ran = bench.cli(release);
    await expect.poll(() => vendor.refreshes > after).toBe(true);
    expect([causes(runtime), isPending(runtime)]).toEqual([['switch'], true]);
    await runtime.release({ stop: runtime.stops()[0]!.id, reason: 'seen', by: 'ann' });
    expect((await ran).out).not.toContain('released by act');
  });
  test('released before anybody has read it is released by act, and is told so', async () => {
    vendor.isHeardOnRefresh = false;
    const runtime = await start();
    await bench.cli(engage);
    const ran = await bench.cli(release);
    expect(ran.code).toBe(0);
    expect(ran.out).toContain('released by act');
    expect(runtime.stops()).toEqual([]);
  });
  test.each([true, false])(
    'of a conversation, released before a process has read it, is for good for whom one that is gone has left (S6); by act: %s',
    async (isAct) => {
      vendor.isHeardOnRefresh = false;
      const before = await start();
      const { id } = bench.agentOn(before, 'batch-scoring').start(undefined, { conversationId: 'c-1' });
      await before.close();
      const target = ['instance', 'c-1', '--conversation'];
      await bench.cli(['engage', ...target, '--reason', 'odd', '--yes']);
      const stored = await folderStore(bench.folder).stops();
      const latch = stored.find(({ engaged }) => engaged?.subject === 'c-1')!;
      expect(stored).toHaveLength(2);
      const args = isAct ? ['--stop', latch.key] : target;
      vendor.poll();
      expect(await bench.cli(['release', ...args, '--reason', 'over', '--yes'])).toMatchObject({ code: 0, err: '' });
      vendor.poll();
      const after = await start();
      const settled = after.settled(id);
      const agent = bench.agentOn(after, 'batch-scoring');
      expect((await settled).status).toBe('terminated');
      const fresh = agent.start(undefined, { conversationId: 'c-1' });
      if (!isAct) await expect.poll(() => after.session(fresh.id)?.state).toBe('running');
    },
  );
  test('that awaits the history of a server that was swapped is not released with the switch of the new one (S1, S3)', async () => {
    vendor.isHeardOnRefresh = false;
    const before = await start();
    await bench.cli(engage);
    await before.close();
    vendor = new FakeVendor(switches, { series: 'unleash:other' });
    bench.installed.set('@offswitch/unleash/control', vendor.module);
    const runtime = await start();
    const ran = await bench.cli(release);
    expect(ran).toMatchObject({ code: 4, out: expect.stringContaining('offswitch release --stop') });
    expect(isPending(runtime)).toBe(true);
    const id = runtime.stops()[0]!.id;
    expect((await bench.cli(['release', '--stop', id, '--reason', 'moved', '--yes'])).code).toBe(0);
    expect(runtime.stops()).toEqual([]);
  });
  test('with no process alive is in force at the next start, however late the vendor is heard (S4)', async () => {
    await (await start()).close();
    vendor = new FakeVendor(switches);
    bench.installed.set('@offswitch/unleash/control', vendor.module);
    expect((await bench.cli(['engage', 'user', 'u-1', '--reason', 'asked', '--yes'])).out).toContain(
      'it will be stopped at start',
    );
    const runtime = await start();
    expect(runtime.stops()).toMatchObject([{ tier: 'user', subject: { userId: 'u-1' }, reason: 'asked' }]);
    vendor.poll();
    await expect.poll(() => isPending(runtime)).toBe(false);
    expect(causes(runtime)).toEqual(['switch']);
  });
  test('where readings have no position, a release is an act, once nothing reads engaged any more (S3)', async () => {
    vendor = new FakeVendor(switches, { withoutPositions: true });
    bench.installed.set('@offswitch/unleash/control', vendor.module);
    const runtime = await start();
    await bench.cli(engage);
    await expect.poll(() => causes(runtime)).toEqual(['switch']);
    expect(isPending(runtime)).toBe(false);
    expect(await bench.cli([...release, '--json'])).toMatchObject({ code: 0, json: { confirmed: true } });
    expect(runtime.stops()).toEqual([]);
  });
  test('of a conversation ends the runs there are and those to come, until it is released (S6)', async () => {
    const runtime = await start();
    const agent = bench.agentOn(runtime, 'resume-rewrite');
    const mine = agent.start(undefined, { conversationId: 'c-1' });
    const other = agent.start(undefined, { conversationId: 'c-2' });
    const target = ['instance', 'c-1', '--conversation'];
    expect((await bench.cli(['engage', ...target, '--reason', 'runaway', '--yes'])).code).toBe(0);
    expect((await mine.outcome).status).toBe('terminated');
    expect((await agent.start(undefined, { conversationId: 'c-1' }).outcome).status).toBe('terminated');
    expect((await bench.cli(['release', ...target, '--reason', 'over', '--yes'])).code).toBe(0);
    const again = agent.start(undefined, { conversationId: 'c-1' });
    expect(runtime.session(again.id)?.decision.action).toBe('run');
    expect(runtime.session(other.id)?.state).toBe('running');
  });
  test('leaves no credential in the state folder', async () => {
    await start();
    await bench.cli(engage);
    for (const name of readdirSync(bench.folder, { recursive: true, withFileTypes: true })) {
      if (name.isFile()) expect(readFileSync(join(name.parentPath, name.name), 'utf8')).not.toContain(secret);
    }
  });
  test.each(['--credentials', '--env-file'])(
    'takes credentials from a file, beneath those of the environment: %s',
    async (option) => {
      await start();
      bench.env = { UNLEASH_PROJECT: 'agents' };
      const file = join(bench.place, 'vendor.env');
      writeFileSync(file, `UNLEASH_URL=http://127.0.0.1:2\nUNLEASH_ADMIN_TOKEN=${secret}\nUNLEASH_PROJECT=other\n`);
      expect((await bench.cli([option, file, ...engage])).code).toBe(0);
      expect(vendor.made[0]).toMatchObject({ url: 'http://127.0.0.1:2', project: 'agents' });
    },
  );
});

describe('an engage that the vendor does not take', () => {
  test("stops all the same as an operator's stop, and says so with the vendor's own words (S3)", async () => {
    const runtime = await start();
    vendor.failure = Object.assign(new Error('[approval_required] approve change request 7 in the dashboard'), {
      code: 'approval_required',
    });
    const ran = await bench.cli(engage);
    expect(ran.code).toBe(0);
    expect(ran.out).toContain('Unleash could not be asked about the switch');
    expect(ran.out).toContain('Unleash could not be flipped: approve change request 7 in the dashboard');
    expect(ran.out).toContain("as an operator's stop. Unleash does not show it");
    expect(runtime.stops()).toMatchObject([{ cause: 'operator', reason: 'bad scores' }]);
    vendor.failure = undefined;
    const letGo = await bench.cli(['release', '--stop', runtime.stops()[0]!.id, '--reason', 'over', '--yes']);
    expect(letGo.code).toBe(0);
    expect(runtime.stops()).toEqual([]);
  });
  test("is told to stop as an operator's stop where what was latched for it cannot be let go of: that stands too (S3, S10)", async () => {
    const runtime = await start();
    vendor.failure = new Error('no rights');
    bench.releasesNothing = true;
    const ran = await bench.cli(engage);
    expect(ran.code).toBe(0);
    expect(causes(runtime).sort()).toEqual(['operator', 'switch']);
    const latched = runtime.stops().find((one) => one.cause === 'switch')!.id;
    expect(ran.out).toContain(`${latched} stands too, and could not be let go of: Redis is gone`);
  });
  test('is not kept waiting by a vendor that does not say how the switch is set', async () => {
    const runtime = await start();
    vendor.isSilent = true;
    const ran = await bench.cli(engage);
    expect(ran).toMatchObject({
      code: 0,
      out: expect.stringContaining('could not be asked about the switch: no answer within 2 s'),
    });
    await expect.poll(() => isPending(runtime)).toBe(false);
    expect(causes(runtime)).toEqual(['switch']);
  });
  test('for want of credentials names the variables, stops as an operator, and a release is refused', async () => {
    const runtime = await start();
    bench.env = {};
    const ran = await bench.cli(engage);
    expect(ran.code).toBe(0);
    expect(ran.out).toContain('set UNLEASH_URL');
    expect(ran.out).toContain('UNLEASH_ADMIN_TOKEN');
    expect(causes(runtime)).toEqual(['operator']);
    expect(await bench.cli(release)).toMatchObject({ code: 1, err: expect.stringContaining('UNLEASH_ADMIN_TOKEN') });
  });
  test('for want of the package says what to install', async () => {
    const runtime = await start();
    bench.installed.clear();
    const ran = await bench.cli(engage);
    expect(ran.out).toContain('npm install @offswitch/unleash');
    expect(causes(runtime)).toEqual(['operator']);
    for (const args of [['provision'], ['inspect'], ['history'], release])
      expect(await bench.cli(args)).toMatchObject({ code: 1, err: expect.stringContaining('npm install @offswitch/unleash') });
    const { out, code } = await bench.cli(['status']);
    expect([code, out.includes('npm install @offswitch/unleash')]).toEqual([0, true]);
  });
});

describe("an act, with no process alive, on a vendor's stop", () => {
  test('is refused while the vendor still says engaged, and made where it cannot be asked', async () => {
    await (await start()).close();
    await bench.cli(engage);
    const [stored] = await folderStore(bench.folder).stops();
    const args = ['release', '--stop', stored!.key, '--reason', 'over', '--yes'];
    const flag = switches.feature('batch-scoring');
    vendor.inspections = [{ key: flag.key, flag, engaged: 'everybody', targets: [], findings: [] }];
    expect(await bench.cli(args)).toMatchObject({ code: 1, err: expect.stringContaining('still says engaged') });
    vendor.failure = new Error('unreachable');
    expect(await bench.cli(args)).toMatchObject({ code: 0, out: expect.stringContaining('could not be asked') });
  });
});

describe('provision', () => {
  test('shows the plan and writes nothing; with --apply it asks, writes, and then has nothing to do', async () => {
    await start();
    const plan = await bench.cli(['provision']);
    expect(plan).toMatchObject({ code: 0, out: expect.stringContaining('nothing was written') });
    expect(await bench.cli(['provision', '--apply'], [''])).toMatchObject({ code: 3, asked: ['Create 5 flags? [y/N] '] });
    expect(vendor.isProvisioned).toBe(false);
    expect(await bench.cli(['provision', '--apply', '--yes'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('5 flags created'),
    });
    expect((await bench.cli(['provision'])).out).toContain('nothing to create');
  });
  test('of another vendor than the one that is read goes there: so that it is ready before the swap', async () => {
    await bench.provision();
    await bench.visit();
    const ran = await bench.cli(['provision', '--source', 'unleash', '--apply', '--yes']);
    expect(ran).toMatchObject({ code: 0, out: expect.stringContaining('Unleash, project default, environment production') });
    expect(vendor.isProvisioned).toBe(true);
    expect(await bench.cli(['provision', '--source', 'nobody'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('nobody'),
    });
  });
});

describe('inspect and history', () => {
  test('show each finding, and inspect fails where a switch would stop nobody (S13)', async () => {
    await start();
    const flag = switches.global;
    const finding = { code: 'inverted-polarity', severity: 'error', message: 'off means engaged here' } as const;
    vendor.inspections = [{ key: flag.key, flag, engaged: 'nobody', targets: [], findings: [] }];
    expect((await bench.cli(['inspect'])).code).toBe(0);
    vendor.inspections = [{ key: flag.key, flag, engaged: 'nobody', targets: [], findings: [finding] }];
    const ran = await bench.cli(['inspect']);
    expect(ran).toMatchObject({ code: 1, out: expect.stringContaining('error inverted-polarity: off means engaged here') });
    expect((await bench.cli(['status'])).out).toContain('off means engaged here');
  });
  test('history is who, when and why, newest first, and a key that nobody declared is a usage error', async () => {
    await start();
    await bench.cli(engage);
    await bench.cli(release);
    const { out } = await bench.cli(['history', '--key', 'killswitch.feature.batch-scoring']);
    expect(out.indexOf('mended')).toBeLessThan(out.indexOf('bad scores'));
    expect((await bench.cli(['history', '--key', 'nope'])).code).toBe(2);
    expect((await bench.cli(['history', '--limit', '0'])).code).toBe(2);
  });
});

describe('the declaration in the state folder', () => {
  test('names the history of a source that came up late, so that a flip can be latched for it', async () => {
    const late = new FakeVendor(switches);
    const { open } = late.source;
    Object.defineProperty(late.source, 'open', { value: () => Promise.resolve() });
    const runtime = await createRuntime({ switches, source: late.source, store: folderStore(bench.folder) });
    const declared = (): Record<string, unknown> =>
      (JSON.parse(readFileSync(join(bench.folder, 'switches.json'), 'utf8')) as { source: Record<string, unknown> }).source;
    try {
      expect(declared().series).toBeUndefined();
      await open.call(late.source);
      await expect.poll(() => declared().series).toBe('unleash:test');
    } finally {
      await runtime.close();
    }
  });
});
