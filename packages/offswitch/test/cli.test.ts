import fs, { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import {
  conversationKey,
  flagFile,
  flagFileControl,
  folderStore,
  formatStopKey,
  isEngaged,
  newPathKey,
  openGate,
  subjectKey,
  type Tier,
} from 'offswitch';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Io } from '../src/cli/io.ts';
import { main } from '../src/cli/main.ts';
import { folderPlace, type Place } from '../src/cli/place.ts';
import { Bench, switches } from './bench.ts';

let bench: Bench;
beforeEach(async () => {
  bench = new Bench();
  await bench.provision();
});
afterEach(() => bench.close());

describe('a flip with no process alive', () => {
  beforeEach(() => bench.visit());

  test('shows the effect and who is authorised, asks first, and does nothing on anything but yes (S12)', async () => {
    const ran = await bench.cli(['engage', 'global', '--reason', 'bad letters'], ['']);
    expect(ran.code).toBe(3);
    expect(ran.asked).toEqual(['Stop all agents? [y/N] ']);
    expect(ran.out).toContain(switches.global.effect);
    expect(ran.out).toContain('on-call. A flag file enforces nobody');
    expect(ran.err).toContain('Nothing was changed');
    expect((await flagFileControl(bench.file).inspect(switches))[0]!.engaged).toBe('nobody');
  });
  test('is refused without a terminal and without --yes, with the way out', async () => {
    const ran = await bench.cli(['engage', 'global', '--reason', 'bad letters']);
    expect(ran.code).toBe(3);
    expect(ran.err).toContain('--yes');
  });
  test('is written, read back, and never called stopped: it will be at start (S10)', async () => {
    const ran = await bench.cli(['engage', 'feature', 'batch-scoring', '--reason', 'bad scores'], ['y']);
    expect(ran.code).toBe(0);
    expect(ran.out).toMatch(/read back at revision \d+/);
    expect(ran.out).toContain('no process is running; it will be stopped at start');
    expect(ran.out).not.toContain('nothing new starts');
  });
  test.each([[['engage', 'user', 'u-1']], [['engage', 'instance', 'c-1', '--conversation']], [['stop', 'the session']]])(
    '%j counts what a process that is gone has left: that is whom it stops (S12)',
    async (args) => {
      const runtime = await bench.start();
      const agent = bench.agentOn(runtime, 'resume-rewrite');
      const { id } = agent.start(undefined, { userId: 'u-1', conversationId: 'c-1' });
      agent.start(undefined, { userId: 'u-2' });
      await runtime.close();
      const named = args.map((one) => (one === 'the session' ? id : one));
      const ran = await bench.cli([...named, '--reason', 'x'], ['n']);
      expect(ran.out).toMatch(/stops 1 session, where they are next taken up: no process is running on .*\n.*resume-rewrite 1\n/);
      await bench.start();
      expect((await bench.cli([...named, '--reason', 'x'], ['n'])).out).toContain('stops 1 session\n');
    },
  );
  test('counts those of a journal that cannot be read as unknown, and is made all the same (S3, S10)', async () => {
    fs.rmSync(`${bench.folder}/journal`, { recursive: true });
    writeFileSync(`${bench.folder}/journal`, 'no folder');
    const ran = await bench.cli(['engage', 'user', 'u-1', '--reason', 'x', '--yes']);
    expect(ran.out).toContain('what was left there is not counted');
    expect(ran.out).toContain('✓ written to');
  });
  test('of an unknown workflow names the nearest and is a usage error', async () => {
    const ran = await bench.cli(['engage', 'feature', 'batch-scorin', '--reason', 'x', '--yes']);
    expect(ran.code).toBe(2);
    expect(ran.err).toContain('did you mean "batch-scoring"?');
  });
  test.each([
    [['engage', 'global', '--yes'], '--reason'],
    [['engage', 'global', '--reason', '  ', '--yes'], '--reason'],
    [['engage', 'user', '--reason', 'x', '--yes'], 'user id'],
    [['engage', 'galaxy', '--reason', 'x', '--yes'], 'no tier'],
    [['engage', 'user', 'a\nb', '--reason', 'x', '--yes'], 'control character'],
    [['release', '--reason', 'x', '--yes'], 'say what to release'],
    [
      ['release', 'act.operator.pause.instance.s-1.c0', '--reason', 'x', '--yes'],
      'offswitch release --stop act.operator.pause.instance.s-1.c0',
    ],
    [['resolve', 's-1', 't1-1'], '--happened'],
    [['release', '--breaker', 'turns', '--workflow', 'batch-scorin', '--reason', 'x', '--yes'], 'did you mean "batch-scoring"?'],
  ])('%j is a usage error that says what is missing', async (args, words) => {
    const ran = await bench.cli(args);
    expect(ran.code).toBe(2);
    expect(ran.err).toContain(words);
    expect(ran.err).not.toContain('    at ');
  });
  test.each([[['engage']], [['bogus']], [['status', '--bogus']], [['stop']]])(
    '%j with --json is one JSON object on stdout, like every answer',
    async (args) => {
      const ran = await bench.cli([...args, '--json']);
      expect(ran).toMatchObject({ code: 2, json: { error: { exitCode: 2 } } });
      expect((await bench.cli([...args])).out).toBe('');
    },
  );
  test('is above the position at which the stop was last read engaged, so that a release releases (S3)', async () => {
    const store = folderStore(bench.folder);
    await store.open();
    const key = formatStopKey({ kind: 'switch', tier: 'user', subject: subjectKey('u-1'), series: 'x' });
    await store.mark(key, 'engaged', 41, { reason: 'r', at: 1, subject: 'u-1', series: 'file:x' });
    await store.close();
    const ran = await bench.cli(['release', 'user', 'u-1', '--reason', 'well again', '--yes', '--json']);
    expect(ran.json).toMatchObject({ flip: { position: { n: 42 } } });
    const other = await bench.cli(['engage', 'user', 'u-2', '--reason', 'x', '--yes', '--json']);
    expect(other.json).toMatchObject({ flip: { position: { n: 43 } } });
  });
  test.each([
    [['global'], { tier: 'global', action: 'pause', subject: {} }],
    [['feature', 'batch-scoring'], { tier: 'feature', action: 'pause', subject: { workflow: 'batch-scoring' } }],
    [['user', 'U 1'], { tier: 'user', action: 'pause', subject: { userId: 'U 1' } }],
    [['instance', 's-1'], { tier: 'instance', action: 'terminate', subject: { sessionId: 's-1' } }],
  ])('of %j on a damaged flag file stops all the same, as an operator, and says so (S3)', async (target, stop) => {
    const broken = '{"flags": {';
    writeFileSync(bench.file, broken);
    const ran = await bench.cli(['engage', ...target, '--reason', 'incident', '--yes']);
    expect(ran.code).toBe(0);
    expect(ran.out).toContain(bench.file);
    expect(ran.out).toContain("an operator's stop. The flag file does not show it");
    expect(readFileSync(bench.file, 'utf8')).toBe(broken);
    const runtime = await bench.start();
    expect(runtime.stops()).toMatchObject([{ ...stop, cause: 'operator', reason: 'incident', by: 'tester' }]);
  });
  test("that a damaged file made an operator's stop is not called released with the switch (S1)", async () => {
    const sound = readFileSync(bench.file, 'utf8');
    writeFileSync(bench.file, '');
    const made = await bench.cli(['engage', 'global', '--reason', 'incident', '--yes', '--json']);
    writeFileSync(bench.file, sound);
    const runtime = await bench.start();
    const ran = await bench.cli(['release', 'global', '--reason', 'over', '--yes']);
    expect(ran.code).toBe(4);
    expect(ran.out).toContain(`offswitch release --stop ${made.json.stop}`);
    // The name is right, and nobody goes on.
    expect(ran.out).not.toMatch(/check the name|✓ released/);
    const told = await bench.cli(['release', 'global', '--reason', 'over', '--yes', '--json']);
    expect(told).toMatchObject({ code: 4, json: { confirmed: false, held: [], others: [{ id: made.json.stop }] } });
    expect(runtime.stops()).toHaveLength(1);
    expect(await bench.cli(['release', '--stop', String(made.json.stop), '--reason', 'over', '--yes'])).toMatchObject({
      code: 0,
    });
    expect(runtime.stops()).toEqual([]);
  });
});

test("a release of a conversation that an operator's stop still ends says so, and which (S1, S10)", async () => {
  await bench.visit();
  const sound = readFileSync(bench.file, 'utf8');
  writeFileSync(bench.file, '');
  const target = ['instance', 'c-1', '--conversation'];
  const made = await bench.cli(['engage', ...target, '--reason', 'incident', '--yes', '--json']);
  writeFileSync(bench.file, sound);
  const args = ['release', ...target, '--reason', 'over', '--yes', '--json'];
  expect(await bench.cli(args)).toMatchObject({ code: 4, json: { others: [{ id: made.json.stop }] } });
  // Of another conversation, and of a session of that name, it holds nothing.
  for (const other of [
    ['instance', 'c-2', '--conversation'],
    ['instance', 'c-1'],
  ])
    expect(await bench.cli(['release', ...other, '--reason', 'over', '--yes', '--json'])).toMatchObject({
      code: 0,
      json: { others: [] },
    });
});

describe('a stop that another history of the switch made', () => {
  const moved = { reason: 'from the old place', at: 1, series: 'file:old' };
  const cases: readonly [string, readonly string[], Tier, string, string][] = [
    ['a workflow', ['feature', 'batch-scoring'], 'feature', 'batch-scoring', 'batch-scoring'],
    ['a conversation', ['instance', 'c-1', '--conversation'], 'instance', conversationKey('c-1'), 'c-1'],
  ];
  test.each(cases)(
    'of %s is not called released with nobody running, and is named (S1, S10)',
    async (_, target, tier, subject, name) => {
      await bench.visit();
      const key = formatStopKey({ kind: 'switch', tier, subject, series: 'old' });
      const store = folderStore(bench.folder);
      await store.open();
      await store.mark(key, 'engaged', 41, { ...moved, subject: name });
      await store.close();
      const args = ['release', ...target, '--reason', 'over', '--yes'];
      const ran = await bench.cli(args);
      expect(ran.out).toContain(`release it: offswitch release --stop ${key}`);
      expect(await bench.cli([...args, '--json'])).toMatchObject({ code: 4, json: { others: [{ id: key }] } });
      await bench.cli(['release', '--stop', key, '--reason', 'over', '--yes']);
      expect(await bench.cli([...args, '--json'])).toMatchObject({ code: 0, json: { others: [] } });
    },
  );
});

describe('a flip that no process has read yet', () => {
  test('stands when the flag file is lost before anybody reads it (S4)', async () => {
    await bench.visit();
    await bench.cli(['engage', 'feature', 'batch-scoring', '--reason', 'bad scores', '--yes']);
    await bench.cli(['engage', 'user', 'u-1', '--reason', 'asked', '--yes']);
    rmSync(bench.file);
    const runtime = await bench.start();
    expect(runtime.stops().map((stop) => [stop.tier, stop.subject, stop.reason])).toEqual([
      ['feature', { workflow: 'batch-scoring' }, 'bad scores'],
      ['user', { userId: 'u-1' }, 'asked'],
    ]);
  });
  test('of a user who has no session is released by name in a running process too', async () => {
    const runtime = await bench.start();
    await bench.cli(['engage', 'user', '__proto__', '--reason', 'asked', '--yes']);
    expect(runtime.stops()).toHaveLength(1);
    const ran = await bench.cli(['release', 'user', '__proto__', '--reason', 'over', '--yes', '--json']);
    expect(ran).toMatchObject({ code: 0, json: { held: [], confirmed: true } });
    expect(runtime.stops()).toEqual([]);
  });
  test('is released by name like any other', async () => {
    await bench.visit();
    await bench.cli(['engage', 'global', '--reason', 'incident', '--yes']);
    await bench.cli(['release', 'global', '--reason', 'over', '--yes']);
    expect((await bench.start()).stops()).toEqual([]);
  });
});

describe('a flag file older than the one a running process has seen', () => {
  test('takes flips above what was seen, so that they are believed: engage and release both hold (S3, S10)', async () => {
    const runtime = await bench.start();
    const asShipped = readFileSync(bench.file, 'utf8');
    writeFileSync(bench.file, asShipped.replace('"offswitch.revision": 1', '"offswitch.revision": 80'));
    await runtime.refresh();
    writeFileSync(bench.file, asShipped);
    await runtime.refresh();
    const engaged = await bench.cli(['engage', 'global', '--reason', 'incident', '--yes', '--json']);
    expect(engaged).toMatchObject({ code: 0, json: { flip: { position: { n: 81 } }, confirmed: true } });
    const released = await bench.cli(['release', 'global', '--reason', 'over', '--yes', '--json']);
    expect(released).toMatchObject({ code: 0, json: { confirmed: true, held: [] } });
    expect(runtime.stops()).toEqual([]);
  });
});

describe('break-glass with no process alive', () => {
  beforeEach(() => mkdirSync(bench.folder));

  test('of an id that nobody knows is recorded, told to be nobody known, and confirmed by nobody (S10)', async () => {
    await bench.visit();
    const ran = await bench.cli(['stop', 's-typo', '--reason', 'x', '--yes']);
    expect(ran.code).toBe(4);
    expect(ran.out).toContain('no session s-typo is known');
    const { code, json } = await bench.cli(['stop', 's-typo', '--reason', 'x', '--yes', '--json']);
    expect([code, json.known, json.confirmed, json.processes]).toEqual([4, false, false, 0]);
    await bench.start();
    const live = await bench.cli(['stop', 's-other', '--reason', 'x', '--yes', '--json']);
    expect([live.code, live.json.known, live.json.confirmed]).toEqual([4, false, true]);
  });
  test('of a session that it ended before, which nobody remembers, says so and is well (S10)', async () => {
    const runtime = await bench.start();
    const run = bench.agentOn(runtime, 'resume-rewrite').start(undefined);
    await bench.cli(['stop', run.id, '--reason', 'x', '--yes']);
    expect((await run.outcome).status).toBe('terminated');
    const ran = await bench.cli(['stop', run.id, '--reason', 'x', '--yes']);
    expect(ran).toMatchObject({
      code: 0,
      out: expect.stringContaining('this order was given before, and nobody has the session any more'),
    });
    expect(ran.out).not.toContain('is known');
    const { json } = await bench.cli(['stop', run.id, '--reason', 'x', '--yes', '--json']);
    expect(json).toMatchObject({ known: true, before: json.stop });
  });
  test('of a session that was left behind is recorded and well', async () => {
    const runtime = await bench.start();
    const { id } = bench.agentOn(runtime, 'resume-rewrite').start(undefined);
    await runtime.close();
    const ran = await bench.cli(['stop', id, '--reason', 'x', '--yes', '--json']);
    expect(ran).toMatchObject({ code: 0, json: { known: true, confirmed: false, processes: 0 } });
  });
  test('in a folder that is not there stops nobody, says so, and makes none', async () => {
    rmSync(bench.folder, { recursive: true });
    const ran = await bench.cli(['stop', 's-1', '--reason', 'x', '--yes', '--json']);
    expect(ran).toMatchObject({ code: 1, json: { error: { code: 'no_folder' } } });
    expect(() => readFileSync(bench.folder)).toThrow('ENOENT');
    for (const folder of ['stops', 'journal']) mkdirSync(`${bench.folder}/${folder}`, { recursive: true });
    const unused = await bench.cli(['status', '--json']);
    expect(unused).toMatchObject({ code: 1, json: { problems: [expect.stringContaining('no application has written')] } });
  });
  test.each(['', 'http://127.0.0.1/', 'rdis://127.0.0.1'])(
    'of a place that is none (%j) is a wrong command line',
    async (state) => {
      expect(await bench.cli(['--state', state, 'status', '--json'])).toMatchObject({
        code: 2,
        json: { error: { code: 'no_place' } },
      });
    },
  );
  test.each([
    ['rdis://ann:hunter2@127.0.0.1', 'no_place'],
    ['redis:/ann:hunter2@127.0.0.1', 'bad_state'],
    ['Redis://:hunter2@127.0.0.1', 'not_installed'],
    [' redis://:hunter2@127.0.0.1', 'not_installed'],
    ['valkeys://ann:hunter2@127.0.0.1', 'not_installed'],
  ])('repeats nothing of %j, in which there is a password', async (state, code) => {
    const ran = await bench.cli(['--state', state, 'stop', 's-1', '--reason', 'x', '--yes', '--json']);
    expect(ran.json.error).toMatchObject({ code });
    expect(ran.err + ran.out).not.toContain('hunter2');
  });
  test('latches in the folder, under which the next process starts (S4)', async () => {
    rmSync(bench.file);
    const ran = await bench.cli(['stop', 's-1', '--reason', 'runs wild', '--yes']);
    expect(ran.out).toContain('it will be stopped at start');
    const [stored] = await folderStore(bench.folder).stops();
    expect(stored).toMatchObject({ engaged: { reason: 'runs wild', by: 'tester', subject: 's-1' } });
    expect(isEngaged(stored!.marks)).toBe(true);
  });
  test('is released by act, by the id that status shows', async () => {
    const { json } = await bench.cli(['stop', 's-1', '--pause', '--reason', 'x', '--yes', '--json']);
    const shown = await bench.cli(['status']);
    expect(shown.out).toContain(String(json.stop));
    const ran = await bench.cli(['release', '--stop', String(json.stop), '--reason', 'looked at', '--yes']);
    expect(ran.code).toBe(0);
    const [stored] = await folderStore(bench.folder).stops();
    expect(isEngaged(stored!.marks)).toBe(false);
  });
});

describe('terminate', () => {
  test('ends every graph of a user for good, with one order each, and nobody else (S2, S6, I7)', async () => {
    const runtime = await bench.start();
    const [rewrite, scoring] = [bench.agentOn(runtime, 'resume-rewrite'), bench.agentOn(runtime, 'batch-scoring')];
    const his = [rewrite.start(undefined, { userId: 'u-1' }), scoring.start(undefined, { userId: 'u-1' })];
    const other = rewrite.start(undefined, { userId: 'u-10' });
    const ran = await bench.cli(['terminate', '--user', 'u-1', '--reason', 'the account was stolen', '--json', '--yes']);
    expect(ran.code).toBe(0);
    expect(ran.json).toMatchObject({ sessions: 2, confirmed: true });
    expect((ran.json.stops as { session: string }[]).map((one) => one.session).sort()).toEqual(his.map((one) => one.id).sort());
    for (const one of his) expect((await one.outcome).status).toBe('terminated');
    expect(runtime.session(other.id)?.state).toBe('running');
  });
  test('ends what was detached there, with its sub-agents in every process, and a flip counts them: a switch reaches them too (S2, S12)', async () => {
    vi.stubEnv('OFFSWITCH_PATH_KEYS', newPathKey());
    const { here, there, detached, below } = await bench.detached('u-1');
    vi.unstubAllEnvs();
    const flip = await bench.cli(['engage', 'feature', 'batch-scoring', '--reason', 'r'], ['n']);
    expect(flip.out).toContain('right now   stops 2 sessions');
    const settled = [here.settled(detached), there.settled(below)];
    const ran = await bench.cli(['terminate', '--workflow', 'batch-scoring', '--reason', 'r', '--json', '--yes']);
    expect(ran).toMatchObject({ code: 0, json: { sessions: 2, stops: [{ session: detached }], confirmed: true } });
    expect((await Promise.all(settled)).map(({ status }) => status)).toEqual(['terminated', 'terminated']);
  });
  test('shows what it ends and asks first; no is no (S12)', async () => {
    const runtime = await bench.start();
    const { id } = bench.agentOn(runtime, 'batch-scoring').start(undefined, { userId: 'u-1' });
    const ran = await bench.cli(['terminate', '--workflow', 'batch-scoring', '--reason', 'r'], ['n']);
    expect(ran.code).toBe(3);
    expect(ran.out).toContain(id);
    expect(ran.asked).toEqual(['End 1 session of workflow batch-scoring for good? [y/N] ']);
    expect(runtime.session(id)?.state).toBe('running');
  });
  test('ends what was left behind too, where it is next taken up (S4)', async () => {
    const first = await bench.start();
    const { id } = bench.agentOn(first, 'batch-scoring').start(undefined, { userId: 'u-1' });
    await first.close();
    const ran = await bench.cli(['terminate', '--workflow', 'batch-scoring', '--reason', 'r', '--yes', '--json']);
    expect(ran.json).toMatchObject({ sessions: 1, processes: 0 });
    const next = await bench.start();
    const settled = next.settled(id);
    bench.agentOn(next, 'batch-scoring');
    expect((await settled).status).toBe('terminated');
  });
  test.each([
    [['terminate', '--reason', 'r', '--yes'], 2, '--workflow'],
    [['terminate', '--user', 'u', '--workflow', 'w', '--reason', 'r', '--yes'], 2, 'whose sessions'],
    [['terminate', '--user', 'u-2', '--yes'], 2, '--reason'],
  ])('%j says what is missing', async (args, code, words) => {
    const ran = await bench.cli(args);
    expect(ran.code).toBe(code);
    expect(ran.err).toContain(words);
  });
  test('of a workflow that is not declared, and that nobody runs, is a wrong command line, as engage has it', async () => {
    await bench.visit();
    const args = ['terminate', '--workflow', 'resume-rewrit', '--reason', 'r', '--yes'];
    expect(await bench.cli(args)).toMatchObject({ code: 2, err: expect.stringContaining('resume-rewrite') });
  });
  test('where no application has written anything is no success: it may be a typo', async () => {
    const empty = `${bench.place}/empty`;
    const args = ['terminate', '--user', 'u-1', '--reason', 'r', '--yes', '--json'];
    expect(await bench.cli(['--state', empty, ...args])).toMatchObject({ code: 1, json: { error: { code: 'no_folder' } } });
    expect(fs.existsSync(empty)).toBe(false);
    fs.mkdirSync(empty);
    for (const words of [args, ['ghosts', '--json']])
      expect(await bench.cli(['--state', empty, ...words])).toMatchObject({ code: 1, json: { error: {} } });
  });
  test('of a user who has no session says whose there are, and ends nobody', async () => {
    const runtime = await bench.start();
    const { id } = bench.agentOn(runtime, 'batch-scoring').start(undefined, { userId: 'u-1' });
    const ran = await bench.cli(['terminate', '--user', 'u-2', '--reason', 'r', '--yes']);
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.out).toContain('no live session of user u-2; there are some of u-1');
    expect(runtime.session(id)?.state).toBe('running');
  });
});

describe('a place with a typo in it', () => {
  const reads = ['sessions', 'receipts', 'audit', 'audit verify', 'ghosts'];
  test.each([...reads, 'receipts r-1'])('is no place in which nothing is wrong: %s (S10)', async (words) => {
    const state = `${bench.place}/nowhere`;
    const there = () => bench.cli(['--state', state, ...words.split(' '), '--json']);
    expect(await there()).toMatchObject({ code: 1, json: { error: { code: 'no_folder' } } });
    mkdirSync(state);
    expect(await there()).toMatchObject({ code: 1, json: { error: {} } });
    for (const folder of ['stops', 'receipts', 'journal', 'grants']) mkdirSync(`${state}/${folder}`);
    expect(await there()).toMatchObject({ code: 1, json: { error: { code: 'no_state' } } });
  });
  test.each(reads)('is told from one in which nothing has happened yet: %s', async (words) => {
    await bench.visit();
    expect((await bench.cli([...words.split(' '), '--json'])).json.error).toBeUndefined();
  });
  test.each([...reads, 'status', 'stop s-1 --reason x --yes', 'engage global --reason x --yes'])(
    'is told from one that cannot be looked at: %s (S10)',
    async (words) => {
      fs.symlinkSync('loop', `${bench.place}/loop`);
      const ran = await bench.cli(['--state', `${bench.place}/loop/state`, ...words.split(' ')]);
      expect(ran.code).toBe(1);
      expect(ran.out + ran.err).toContain('ELOOP');
      expect(ran.out + ran.err).not.toMatch(/there is no (state )?folder|no application has written|: none/);
    },
  );
});

describe('resolve with no process alive', () => {
  test('keeps how the person knows beside who said so', async () => {
    await bench.visit();
    const args = ['resolve', 's-1', 't1-1', '--did-not', '--reason', 'not in the outbox', '--by', 'ada'];
    expect((await bench.cli(args)).code).toBe(0);
    const [name] = fs.readdirSync(`${bench.folder}/resolutions`);
    expect(JSON.parse(readFileSync(`${bench.folder}/resolutions/${name}`, 'utf8'))).toMatchObject({
      verdict: 'did-not',
      by: 'ada',
      reason: 'not in the outbox',
    });
  });
});

describe('sessions with no process alive', () => {
  test('are told from the journals, and goes on is what they do at the next start', async () => {
    const runtime = await bench.start();
    bench.agentOn(runtime, 'resume-rewrite').start(undefined, { userId: 'u-1' });
    await runtime.close();
    const ran = await bench.cli(['sessions', '--json']);
    expect(ran.code).toBe(0);
    expect(ran.json).toMatchObject({ sessions: [{ agent: 'resume-rewrite', user: 'u-1', state: 'parked' }] });
  });
});

describe('sessions with no process alive, under stops in force', () => {
  test('are told with what will hold them at the next start, and the others to go on (S1, S2)', async () => {
    const runtime = await bench.start();
    const scoring = bench.agentOn(runtime, 'batch-scoring');
    const one = scoring.start(undefined, { userId: 'u-1' });
    const two = scoring.start(undefined, { conversationId: 'c-1' });
    const rewrite = bench.agentOn(runtime, 'resume-rewrite');
    const three = rewrite.start(undefined, { userId: 'u-1' });
    const four = rewrite.start(undefined);
    await runtime.close();
    await bench.cli(['engage', 'user', 'u-1', '--reason', 'asked to stop', '--yes']);
    await bench.cli(['stop', two.id, '--reason', 'runs wild', '--yes']);
    const { out } = await bench.cli(['sessions']);
    expect(out).toContain('what nothing holds goes on at the next start');
    expect(out).toMatch(new RegExp(`${one.id} .*parked +user switch: asked to stop`));
    expect(out).toMatch(new RegExp(`${two.id} .*parked +instance operator: runs wild`));
    expect(out).toMatch(new RegExp(`${three.id} .*parked +user switch: asked to stop`));
    expect(out).toMatch(new RegExp(`${four.id} .*parked *\\n`));
    await bench.cli(['engage', 'feature', 'batch-scoring', '--reason', 'bad scores', '--yes']);
    const { json } = await bench.cli(['sessions', '--json']);
    const lines = json.sessions as { id: string; action: string; reason: string }[];
    expect(lines.find((line) => line.id === two.id)).toMatchObject({ action: 'terminate', reason: 'runs wild' });
  });
});

describe('sessions with no process alive, under a switch of whom a detached one left', () => {
  test('are told to be held, also those that it had in another process (S2, R15)', async () => {
    vi.stubEnv('OFFSWITCH_PATH_KEYS', newPathKey());
    const { here, there, detached, below } = await bench.detached('u-1');
    vi.unstubAllEnvs();
    await Promise.all([here.close(), there.close()]);
    await bench.cli(['engage', 'feature', 'batch-scoring', '--reason', 'bad scores', '--yes']);
    const { json } = await bench.cli(['sessions', '--json']);
    const lines = json.sessions as { id: string; action: string; tier: string }[];
    expect(lines.map(({ id, action, tier }) => [id, action, tier]).sort()).toEqual(
      [detached, below].map((id) => [id, 'pause', 'feature']).sort(),
    );
  });
});

describe('sessions that were left in a folder that cannot be written', () => {
  const full = (): never => {
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  };
  /** A full disk: what is there can be read, and nothing can be made. */
  async function onFullDisk<T>(work: () => Promise<T>): Promise<T> {
    const { openSync, mkdirSync: makeDirectory } = fs;
    const isThere = (path: unknown): boolean => String(path).startsWith(bench.folder);
    const spies = [
      vi.spyOn(fs, 'mkdirSync').mockImplementation((...args) => (isThere(args[0]) ? full() : makeDirectory(...args))),
      vi
        .spyOn(fs, 'openSync')
        .mockImplementation((...args) => (isThere(args[0]) && args[1] !== 'r' ? full() : openSync(...args))),
    ];
    try {
      return await work();
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
  }

  test('are told as ever, by sessions and by status: not written is not the same as none (S10)', async () => {
    const runtime = await bench.start();
    bench.agentOn(runtime, 'resume-rewrite').start(undefined, { userId: 'u-1' });
    await runtime.close();
    const [ran, status] = await onFullDisk(async () => [
      await bench.cli(['sessions', '--json']),
      await bench.cli(['status', '--json']),
    ]);
    expect(ran).toMatchObject({ code: 0, json: { sessions: [{ agent: 'resume-rewrite', state: 'parked' }] } });
    expect(status).toMatchObject({ code: 0, json: { sessions: { parked: 1 }, problems: [] } });
  });
  test('are told beside those of a process that started there, which has taken none of them up', async () => {
    const runtime = await bench.start();
    const { id } = bench.agentOn(runtime, 'resume-rewrite').start(undefined);
    await runtime.close();
    await onFullDisk(async () => {
      const second = await bench.start();
      expect(second.store.health.state).toBe('memory');
      const other = bench.agentOn(second, 'batch-scoring').start(undefined);
      const { json, code } = await bench.cli(['sessions', '--json']);
      expect(code).toBe(0);
      expect((json.sessions as { id: string }[]).map((one) => one.id).sort()).toEqual([id, other.id].sort());
      expect((await bench.cli(['status', '--json'])).json).toMatchObject({ sessions: { parked: 1 } });
    });
  });
  test('are told to be unknown, with exit code 1, where they cannot be read either (S10)', async () => {
    await bench.visit();
    rmSync(`${bench.folder}/journal`, { recursive: true });
    writeFileSync(`${bench.folder}/journal`, '');
    expect(await bench.cli(['sessions', '--json'])).toMatchObject({ code: 1, json: { error: { code: 'store_failed' } } });
    const status = await bench.cli(['status']);
    expect(status.code).toBe(1);
    expect(status.out).toContain('sessions: not known');
    expect(status.out).not.toContain('sessions: none');
  });
  test('are told not to be all there are where a journal is damaged', async () => {
    const runtime = await bench.start();
    const { processId } = runtime.store;
    bench.agentOn(runtime, 'resume-rewrite').start(undefined, { userId: 'u-1' });
    await runtime.close();
    const path = `${bench.folder}/journal/${processId}.0.log`;
    writeFileSync(path, readFileSync(path, 'utf8').replace('"session"', '"sessiom"'));
    const ran = await bench.cli(['sessions', '--json']);
    expect(ran).toMatchObject({ code: 1, json: { problems: [expect.stringContaining('is damaged')] } });
    expect(await bench.cli(['status', '--json'])).toMatchObject({ code: 1 });
  });
  test('are only looked at: the command makes nothing in a folder that is not there', async () => {
    expect((await bench.cli(['sessions'])).code).toBe(1);
    expect(() => readFileSync(bench.folder)).toThrow('ENOENT');
  });
});

describe('a terminate', () => {
  test('is released by no act, with or without a process: it is for good (S6)', async () => {
    mkdirSync(bench.folder);
    const alone = await bench.cli(['stop', 's-1', '--reason', 'x', '--yes', '--json']);
    const args = ['release', '--stop', String(alone.json.stop), '--reason', 'x', '--yes'];
    expect(await bench.cli(args)).toMatchObject({ code: 1 });
    await bench.start();
    const ran = await bench.cli(args);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('for good');
    const [stored] = await folderStore(bench.folder).stops();
    expect(isEngaged(stored!.marks)).toBe(true);
  });
});

describe('a flag file that was checked out anew while stops are in force', () => {
  test('lifts none of them by flips of another switch: what it had lost is written back, and told (I13)', async () => {
    const asShipped = readFileSync(bench.file, 'utf8');
    const first = await bench.start();
    await bench.cli(['engage', 'global', '--reason', 'incident', '--yes']);
    await bench.cli(['engage', 'feature', 'resume-rewrite', '--reason', 'bad output', '--yes']);
    await first.close();
    writeFileSync(bench.file, asShipped);
    const told = await bench.cli(['engage', 'user', 'u-1', '--reason', 'asked', '--yes']);
    expect(told.out.match(/the flag file had lost it/g)).toHaveLength(2);
    // One write for all: at a revision in between, what was not written back yet would read released.
    expect((await flagFileControl(bench.file).history({ limit: 3 })).map((flip) => flip.position!.n)).toEqual([4, 4, 4]);
    for (const verb of ['release', 'engage', 'release']) {
      const flip = await bench.cli([verb, 'user', 'u-1', '--reason', 'again', '--yes']);
      expect([flip.code, flip.out.includes('had lost it')]).toEqual([0, false]);
    }
    const second = await bench.start();
    expect(second.stops().map((stop) => [stop.tier, stop.reason])).toEqual([
      ['global', 'incident'],
      ['feature', 'bad output'],
    ]);
    expect((await bench.cli(['release', 'global', '--reason', 'over', '--yes'])).code).toBe(0);
    expect(second.stops().map((stop) => stop.tier)).toEqual(['feature']);
  });
});

describe('status', () => {
  test('tells with no process alive what the folder and the file say, and says so', async () => {
    await bench.visit();
    await bench.cli(['engage', 'user', 'u-9', '--reason', 'x', '--yes']);
    const ran = await bench.cli(['status']);
    expect(ran.code).toBe(0);
    expect(ran.out).toContain('no process answers');
    expect(ran.out).toMatch(/killswitch\.user +engaged for some .*\[u-9\]/);
    expect(ran.out).toMatch(/killswitch\.global +released .*never drilled/);
  });
  test('shows a switch that is missing, of the wrong type or on for everybody as not live (S13)', async () => {
    await bench.visit();
    const text = JSON.parse(readFileSync(bench.file, 'utf8'));
    delete text.flags['killswitch.global'];
    text.flags['killswitch.feature.batch-scoring'].variants = { on: 'yes', off: 'no' };
    text.flags['killswitch.user'].defaultVariant = 'engaged' in text.flags['killswitch.user'].variants ? 'engaged' : 'on';
    writeFileSync(bench.file, JSON.stringify(text));
    const { json } = await bench.cli(['status', '--json']);
    const faults = Object.fromEntries(
      (json.switches as { key: string; faults: string[] }[]).map((one) => [one.key, one.faults.join(' ')]),
    );
    expect(faults['killswitch.global']).toContain('missing');
    expect(faults['killswitch.feature.batch-scoring']).toContain('wrong-type');
    expect(faults['killswitch.user']).toContain('untargeted');
  });
  test('shows what stops the most first, and of the stops of single sessions, which stay for good, the newest; --all shows all', async () => {
    await bench.visit();
    for (let i = 1; i <= 12; i++) {
      bench.now = () => 1_800_000_000_000 + i;
      await bench.cli(['stop', `s-${i}`, '--reason', 'odd', '--yes']);
    }
    await bench.cli(['engage', 'global', '--reason', 'x', '--yes']);
    await bench.visit();
    const { out } = await bench.cli(['status']);
    const rows = out.split('\n').filter((line) => /^ {2}(global|instance) /.test(line));
    expect(rows[0]).toContain('global');
    expect(rows.slice(1).map((row) => row.trim().split(/ +/)[1])).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3].map((n) => `s-${n}`));
    expect(out).toContain('and 2 older of single sessions: offswitch status --all');
    expect((await bench.cli(['status', '--all'])).out).toMatch(/instance +s-1 /);
    expect(((await bench.cli(['status', '--json'])).json.stops as unknown[]).length).toBe(13);
  });
  test('lets no escape sequence of a reason through to the terminal', async () => {
    mkdirSync(bench.folder);
    await bench.cli(['stop', 's-1', '--reason', 'evil \u001b[2J\u0007 \u202e reason', '--yes']);
    const ran = await bench.cli(['status']);
    expect(ran.out).toContain('evil');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the point of the test
    expect(ran.out).not.toMatch(/[\u001b\u0007\u202e]/);
  });
  test('of a folder that is not there, or that nobody has used, is an answer and no success, and makes none', async () => {
    const ran = await bench.cli(['status']);
    expect(ran.code).toBe(1);
    expect(ran.out).toContain('no switches are declared here yet');
    expect(ran.out).toContain(`there is no folder ${bench.folder}`);
    expect(() => readFileSync(bench.folder)).toThrow('ENOENT');
  });
});

describe('a process that does not answer', () => {
  test('is not taken for none: what a flip stops is said to be unknown, not nobody (S10)', async () => {
    await bench.visit();
    let out = '';
    const silent: Place = {
      ...folderPlace(bench.folder),
      ask: async () => [{ process: 'p-1', pid: 4, error: { code: 'timeout', message: 'no answer' } }],
    };
    const io: Io = {
      out: (text) => {
        out += text;
      },
      err: () => {},
      isInteractive: false,
      hasColour: false,
      env: {},
      user: 'tester',
      ask: async () => '',
      now: () => 0,
      sleep: async () => {},
    };
    expect(await main(['--state', bench.folder, 'engage', 'global', '--reason', 'x'], io, () => silent)).toBe(3);
    expect(out).toContain('cannot be counted: no running process answered');
    expect(out).not.toContain('no process is running');
  });
});

describe('with a process running', () => {
  test('a release of what nobody engaged says so: the name may have a typo in it', async () => {
    await bench.start();
    await bench.cli(['engage', 'user', 'u-1', '--reason', 'odd', '--yes']);
    const words = 'no stop of user u-1x is in force here';
    expect((await bench.cli(['release', 'user', 'u-1x', '--reason', 'well', '--yes'])).out).toContain(words);
    const right = await bench.cli(['release', 'user', 'u-1', '--reason', 'well', '--yes']);
    expect([right.code, right.out.includes('is in force here')]).toEqual([0, false]);
  });
  test.each([[['global']], [['user', 'u-1']], [['instance', 's-1']]])(
    'a flip of %j that is made twice is confirmed twice (S10)',
    async (target) => {
      const runtime = await bench.start();
      bench.agentOn(runtime, 'batch-scoring').start(undefined, { userId: 'u-1' });
      for (const reason of ['first', 'second', 'third'])
        expect(await bench.cli(['engage', ...target, '--reason', reason, '--yes', '--json'])).toMatchObject({
          code: 0,
          json: { confirmed: true },
        });
    },
  );
  test('receipts counts apart who had ended before the stop, in the list and in one in full (S10)', async () => {
    const runtime = await bench.start();
    const helper = runtime.agent('helper', async () => 'found');
    const turns = bench.agentOn(runtime, 'resume-rewrite');
    const scoring = runtime.agent('batch-scoring', async (session) => {
      for (let n = 0; n < 2; n++) await session.turn((turn) => turn.spawn(helper, undefined));
      while (!bench.isOver) await session.turn(() => wait(2));
    });
    const one = scoring.start(undefined);
    const other = turns.start(undefined);
    await expect.poll(() => runtime.session(one.id)?.turn ?? 0).toBeGreaterThan(2);
    await bench.cli(['engage', 'feature', 'batch-scoring', '--reason', 'bad scores', '--yes']);
    await bench.cli(['stop', other.id, '--reason', 'runs wild', '--yes']);
    const list = await bench.cli(['receipts']);
    expect(list.out).toMatch(/batch-scoring +done +1 session, and 2 that had ended /);
    expect(list.out).toMatch(new RegExp(`${other.id} +done +1 session  `));
    const { receipts } = (await bench.cli(['receipts', '--json'])).json as { receipts: { id: string; stop: { tier: string } }[] };
    const paused = receipts.find(({ stop }) => stop.tier === 'feature');
    expect((await bench.cli(['receipts', String(paused?.id)])).out).toMatch(/ covers +1 session, and 2 that had ended\n/);
  });
  test('engage stops what it previewed, tells the stages as they became true, and release lets it go on (S10)', async () => {
    const runtime = await bench.start();
    const scoring = bench.agentOn(runtime, 'batch-scoring');
    const rewrite = bench.agentOn(runtime, 'resume-rewrite');
    const one = scoring.start(undefined, { userId: 'u-1' });
    const two = rewrite.start(undefined, { userId: 'u-2' });
    const ran = await bench.cli(['engage', 'feature', 'batch-scoring', '--reason', 'bad scores'], ['y']);
    expect(ran.out).toMatch(/stops 1 session\n.*batch-scoring 1\n.*u-1 1/);
    const stages = ['recorded', 'nothing new starts', 'work in flight finished', 'done'].map((stage) =>
      ran.out.indexOf(`✓ ${stage}`),
    );
    expect(stages.every((at) => at > 0)).toBe(true);
    expect([...stages].sort((a, b) => a - b)).toEqual(stages);
    expect(ran.code).toBe(0);
    expect(runtime.session(one.id)?.decision.action).toBe('pause');
    expect(runtime.session(two.id)?.state).toBe('running');

    const shown = await bench.cli(['sessions']);
    expect(shown.out).toMatch(new RegExp(`${one.id}.*paused +feature switch: bad scores`));
    const list = await bench.cli(['receipts', '--json']);
    const [receipt] = list.json.receipts as { id: string }[];
    expect((await bench.cli(['receipts', receipt!.id])).out).toContain(one.id);

    const released = await bench.cli(['release', 'feature', 'batch-scoring', '--reason', 'mended', '--yes']);
    expect(released).toMatchObject({ code: 0 });
    expect(released.out).toContain('confirmed by every running process');
    expect(runtime.stops()).toEqual([]);
  });
  test('an id nobody has is warned of, with those that differ in one character', async () => {
    const runtime = await bench.start();
    bench.agentOn(runtime, 'resume-rewrite').start(undefined, { userId: 'u-12' });
    const ran = await bench.cli(['engage', 'user', 'u-13', '--reason', 'x'], ['n']);
    expect(ran.code).toBe(3);
    expect(ran.out).toContain('no live session of user u-13; nearest: u-12');
  });
  test('engage for a user with no live session is confirmed without being called a stop of anybody', async () => {
    await bench.start();
    const ran = await bench.cli(['engage', 'user', 'u-13', '--reason', 'x', '--yes']);
    expect(ran.code).toBe(0);
    expect(ran.out).toContain('no live session is covered');
  });
  test('break-glass ends the session, and no other', async () => {
    const runtime = await bench.start();
    const agent = bench.agentOn(runtime, 'resume-rewrite');
    const one = agent.start(undefined);
    const two = agent.start(undefined);
    const ran = await bench.cli(['stop', one.id, '--reason', 'runs wild', '--yes', '--json']);
    expect(ran).toMatchObject({ code: 0, json: { latchedBy: 'folder', confirmed: true } });
    expect((await one.outcome).status).toBe('terminated');
    expect(runtime.session(two.id)?.state).toBe('running');
  });
  test('break-glass pauses, and resume lets the session go on', async () => {
    const runtime = await bench.start();
    const one = bench.agentOn(runtime, 'resume-rewrite').start(undefined);
    await bench.cli(['stop', one.id, '--pause', '--reason', 'look', '--yes']);
    expect(runtime.session(one.id)?.decision.action).toBe('pause');
    const ran = await bench.cli(['resume', one.id]);
    expect(ran.code).toBe(0);
    expect(runtime.session(one.id)?.decision.action).toBe('run');
  });
  test('instance by conversation ends every session of it', async () => {
    const runtime = await bench.start();
    const agent = bench.agentOn(runtime, 'resume-rewrite');
    const mine = [agent.start(undefined, { conversationId: 'c-1' }), agent.start(undefined, { conversationId: 'c-1' })];
    const other = agent.start(undefined, { conversationId: 'c-2' });
    const ran = await bench.cli(['engage', 'instance', 'c-1', '--conversation', '--reason', 'x', '--yes']);
    expect(ran.code).toBe(0);
    expect((await Promise.all(mine.map((one) => one.outcome))).map((one) => one.status)).toEqual(['terminated', 'terminated']);
    expect(runtime.session(other.id)?.state).toBe('running');
  });
  test('instance by conversation leaves alone a session that has the id of the conversation and is not of it (I7)', async () => {
    const runtime = await bench.start();
    const agent = bench.agentOn(runtime, 'resume-rewrite');
    const other = agent.start(undefined);
    const mine = agent.start(undefined, { conversationId: other.id });
    await bench.cli(['engage', 'instance', other.id, '--conversation', '--reason', 'x', '--yes']);
    expect((await mine.outcome).status).toBe('terminated');
    expect(runtime.session(other.id)?.state).toBe('running');
  });
  test('a breaker is released for a workflow, and no other stop with it (S1)', async () => {
    const runtime = await bench.start({ breakers: { 'batch-scoring': { turns: 3 } } });
    const one = bench.agentOn(runtime, 'batch-scoring').start(undefined);
    const two = bench.agentOn(runtime, 'resume-rewrite').start(undefined);
    await bench.cli(['stop', two.id, '--pause', '--reason', 'look', '--yes']);
    await expect.poll(() => runtime.session(one.id)?.decision.action).toBe('pause');
    const args = [
      'release',
      '--breaker',
      'turns',
      '--workflow',
      'batch-scoring',
      '--allow',
      '100000',
      '--reason',
      'long',
      '--yes',
    ];
    const ran = await bench.cli(args);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).toContain('1 stop released');
    expect(runtime.session(one.id)?.decision.action).toBe('run');
    expect(runtime.session(two.id)?.decision.action).toBe('pause');
  });
  test.each([true, false])(
    'one stop of a breaker is released for so much more as --allow says, and no more (I8); a process runs: %s',
    async (isRunning) => {
      const options = { breakers: { 'batch-scoring': { turns: 3 } } } as const;
      const runtime = await bench.start(options);
      const one = bench.agentOn(runtime, 'batch-scoring').start(undefined);
      await expect.poll(() => runtime.session(one.id)?.decision.action).toBe('pause');
      const { turn } = runtime.session(one.id)!;
      const [stop] = runtime.stops();
      if (!isRunning) await runtime.close();
      const args = ['release', '--stop', stop!.id, '--allow', '2', '--reason', 'two more', '--yes'];
      const ran = await bench.cli(args);
      expect(ran).toMatchObject({ code: 0, err: '' });
      expect(ran.out).toContain('2 more');
      const after = isRunning ? runtime : await bench.start(options);
      if (!isRunning) bench.agentOn(after, 'batch-scoring');
      await expect.poll(() => after.stops().some(({ id }) => id !== stop!.id)).toBe(true);
      expect(after.session(one.id)!.turn - turn).toBe(2);
    },
  );
  test('an allowance that is no number, or that has nothing to be allowed more of, is a wrong command line and releases nothing', async () => {
    await bench.visit();
    await bench.cli(['stop', 's-1', '--pause', '--reason', 'look', '--yes']);
    const stops = async () => (await bench.cli(['status', '--json'])).json.stops as { id: string }[];
    const id = (await stops())[0]!.id;
    for (const args of [
      ['--stop', id, '--allow', 'banana'],
      ['--stop', id, '--allow', '5'],
      ['--stop', id, '--workflow', 'batch-scoring'],
      ['global', '--allow', '5'],
    ])
      expect(await bench.cli(['release', ...args, '--reason', 'x', '--yes'])).toMatchObject({ code: 2 });
    expect(await stops()).toHaveLength(1);
  });
  test('a receipt is promised where it will be kept, and not where nobody was covered', async () => {
    const runtime = await bench.start();
    const nobody = await bench.cli(['engage', 'user', 'u-13', '--reason', 'x', '--yes']);
    expect(nobody.out).not.toContain('receipt:');
    bench.agentOn(runtime, 'resume-rewrite').start(undefined, { userId: 'u-1' });
    const somebody = await bench.cli(['engage', 'user', 'u-1', '--reason', 'x', '--yes']);
    const id = /receipt: offswitch --state \S+ receipts (\S+)/.exec(somebody.out)?.[1];
    expect((await bench.cli(['receipts', String(id)])).code).toBe(0);
  });
  test('resume and resolve of what nobody knows are clear errors', async () => {
    await bench.start();
    const resumed = await bench.cli(['resume', 's-nobody']);
    expect(resumed.code).toBe(1);
    expect(resumed.err).toContain('s-nobody');
    const resolved = await bench.cli(['resolve', 's-nobody', 't1-1', '--happened', '--json']);
    expect(resolved).toMatchObject({ code: 1, json: { error: { code: 'unknown_session' } } });
  });
});

describe('a terminate of a conversation that is released before a process has heard of it', () => {
  const engage = ['engage', 'instance', 'c-1', '--conversation', '--reason', 'x', '--yes', '--json'];
  const release = ['release', 'instance', 'c-1', '--conversation', '--reason', 'over', '--yes', '--json'];
  const left = async () => {
    const first = await bench.start();
    const agent = bench.agentOn(first, 'resume-rewrite');
    const [mine, other] = [agent.start(undefined, { conversationId: 'c-1' }), agent.start(undefined, { conversationId: 'c-2' })];
    await first.close();
    return { mine: mine.id, other: other.id };
  };
  const taken = async ({ mine, other }: { readonly mine: string; readonly other: string }) => {
    const next = await bench.start();
    const settled = next.settled(mine);
    const agent = bench.agentOn(next, 'resume-rewrite');
    expect((await settled).status).toBe('terminated');
    await expect.poll(() => next.session(other)?.state).toBe('running');
    const fresh = agent.start(undefined, { conversationId: 'c-1' });
    await expect.poll(() => next.session(fresh.id)?.state).toBe('running');
  };

  test('is for good for whom a process that is gone has left: each has a stop of its own; and a new run of it is free (S6)', async () => {
    const sessions = await left();
    await bench.cli(engage);
    const stopped = (await folderStore(bench.folder).stops()).map(({ engaged }) => engaged?.subject);
    expect(stopped.sort()).toEqual(['c-1', sessions.mine].sort());
    expect(await bench.cli(release)).toMatchObject({ code: 0 });
    await taken(sessions);
  });
  test('is for good also for whom it did not know when it was engaged (S6)', async () => {
    const sessions = await left();
    const journals = `${bench.folder}/journal`;
    fs.renameSync(journals, `${journals}-hidden`);
    await bench.cli(engage);
    fs.rmSync(journals, { recursive: true, force: true });
    fs.renameSync(`${journals}-hidden`, journals);
    expect(await bench.cli(release.slice(0, -1))).toMatchObject({ code: 0, out: expect.stringContaining('1 session of it') });
    await taken(sessions);
  });
  test('is not released while a process that runs does not answer: what it has would go on (S6)', async () => {
    const sessions = await left();
    await bench.cli(engage);
    bench.isFrozen = true;
    expect(await bench.cli(release)).toMatchObject({ code: 4, json: { error: { code: 'sessions_unknown' } } });
    const isEngagedFor = async (subject: string) =>
      (await folderStore(bench.folder).stops()).some((one) => one.engaged?.subject === subject && isEngaged(one.marks));
    expect(await isEngagedFor('c-1')).toBe(true);
    const latch = (await folderStore(bench.folder).stops()).find((one) => one.engaged?.subject === 'c-1');
    const act = ['release', '--stop', latch!.key, '--reason', 'over', '--yes', '--json'];
    expect(await bench.cli(act)).toMatchObject({ code: 4, json: { error: { code: 'sessions_unknown' } } });
    expect(await isEngagedFor('c-1')).toBe(true);
    bench.isFrozen = false;
    expect(await bench.cli(release)).toMatchObject({ code: 0 });
    await taken(sessions);
  });
  test('is for good for whom a gate alone has refused (S6)', async () => {
    await bench.visit();
    const sound = readFileSync(bench.file, 'utf8');
    const gate = await openGate({ switches, source: flagFile(bench.file), store: folderStore(bench.folder), onAlarm: () => {} });
    try {
      writeFileSync(bench.file, '');
      const { json } = await bench.cli(engage);
      writeFileSync(bench.file, sound);
      const ask = async (sessionId: string) =>
        (await gate.decide({ workflow: 'resume-rewrite', sessionId, conversationId: 'c-1' })).action;
      expect(await ask('s-1')).toBe('terminate');
      expect(await bench.cli(['release', '--stop', String(json.stop), '--reason', 'over', '--yes'])).toMatchObject({ code: 0 });
      expect([await ask('s-1'), await ask('s-2')]).toEqual(['terminate', 'run']);
    } finally {
      await gate.close();
    }
  });
  test('is for good for whom an operator ended without the flag file, when his stop is released by act (S3, S6)', async () => {
    const sessions = await left();
    const sound = readFileSync(bench.file, 'utf8');
    writeFileSync(bench.file, '');
    const { json } = await bench.cli(engage);
    writeFileSync(bench.file, sound);
    expect(await bench.cli(['release', '--stop', String(json.stop), '--reason', 'over', '--yes'])).toMatchObject({ code: 0 });
    await taken(sessions);
  });
});

describe('lint', () => {
  test('names the faults of a file and fails on errors', async () => {
    expect((await bench.cli(['lint', bench.file])).code).toBe(0);
    writeFileSync(bench.file, '{"flags": {"killswitch.user": {"state": "ENABLED", "targetting": {}}}}');
    const ran = await bench.cli(['lint', bench.file]);
    expect(ran.code).toBe(1);
    expect(ran.out).toContain('targetting');
  });
  test('of a file that is not there is an error with its path', async () => {
    const ran = await bench.cli(['lint', `${bench.place}/nowhere.json`]);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('nowhere.json');
  });
  test('of a file that is named needs no state, also beside an application that has its own in Redis', async () => {
    mkdirSync(bench.folder);
    writeFileSync(join(bench.folder, 'redis.json'), '{}');
    expect((await bench.cli(['lint', bench.file])).code).toBe(0);
    expect(await bench.cli(['lint', '--json'])).toMatchObject({ code: 2, json: { error: { code: 'state_in_redis' } } });
  });
});

test('a receipt in Redis that cannot be read is told of once, also where it had to be read again (S10)', async () => {
  let asked = 0;
  const store = {
    open: async () => {},
    close: async () => {},
    health: { state: 'ok' },
    receipts: async (unread: (what: string) => void) => {
      unread('what stands in r-1 is no receipt');
      if (asked++ === 0) throw Object.assign(new Error('no answer'), { code: 'store_failed' });
      return [];
    },
  };
  bench.installed.set('@offswitch/redis', { redisStore: () => store, requestRedisControl: async () => [] });
  const { json } = await bench.cli(['--state', 'redis://127.0.0.1:1', 'receipts', '--json']);
  expect({ asked, problems: json.problems }).toEqual({ asked: 2, problems: ['what stands in r-1 is no receipt'] });
});

test.each([['stop', 's-1', '--reason', 'x', '--yes'], ['status'], ['ghosts']])(
  '%s on the folder of an application that has its state in Redis is refused, with the way out (S10)',
  async (...args) => {
    rmSync(bench.folder, { recursive: true, force: true });
    mkdirSync(bench.folder);
    writeFileSync(join(bench.folder, 'redis.json'), '{}');
    const ran = await bench.cli([...args, '--json']);
    expect(ran).toMatchObject({
      code: 2,
      json: { error: { code: 'state_in_redis', message: expect.stringContaining('--state redis://') } },
    });
    expect(readdirSync(bench.folder)).toEqual(['redis.json']);
  },
);
