import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import promises, { appendFile, chmod, lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { applyReading, defineKillSwitches, type Flip, type SwitchFlag, unmarked } from '@offswitch/core';
import { flagFile, flagFileControl, lintFlagFile } from '@offswitch/flag-file';
import { contractSwitches, readOnly } from '@offswitch/testing';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { edited } from './harness.ts';

const { global } = contractSwitches;
const user = contractSwitches.user!;
const instance = contractSwitches.instance!;
const scoring = contractSwitches.feature('batch-scoring');

let directory = '';
let path = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'offswitch-control-'));
  path = join(directory, 'switches.flagd.json');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const provisioned = async (options: Parameters<typeof flagFileControl>[1] = {}) => {
  const control = flagFileControl(path, { now: () => Date.UTC(2026, 0, 2), ...options });
  await control.provision(contractSwitches, { apply: true });
  return control;
};
const text = () => readFile(path, 'utf8');
const order = (flag: SwitchFlag, target?: string) => ({
  flag,
  reason: 'drill',
  by: 'ada',
  ...(target === undefined ? {} : { target }),
});

describe('a flip in the file', () => {
  test('raises the revision, records who and why, and says where history now stands', async () => {
    const control = await provisioned();
    const flip = await control.engage(order(global));
    expect(flip).toEqual({
      key: 'killswitch.global',
      action: 'engage',
      reason: 'drill',
      by: 'ada',
      at: Date.UTC(2026, 0, 2),
      position: { series: expect.stringMatching(/^file:[0-9a-f]{16}$/), n: 2 },
      changed: true,
    });
    const file = JSON.parse(await text());
    expect(file.metadata['offswitch.revision']).toBe(2);
    expect(file.flags[global.key]).toMatchObject({
      defaultVariant: 'engaged',
      metadata: { 'offswitch.reason': 'drill', 'offswitch.by': 'ada', 'offswitch.at': '2026-01-02T00:00:00.000Z' },
    });
    await control.release(order(global));
    expect(JSON.parse(await text()).flags[global.key]).toMatchObject({ defaultVariant: 'released', metadata: {} });
  });

  test('shares its series with the source of the same path, however the path was written', async () => {
    const control = await provisioned();
    const { position } = await control.engage(order(global));
    const source = flagFile(join(directory, '.', 'x', '..', 'switches.flagd.json'));
    await source.open();
    expect(source.read(global, {})).toMatchObject({ state: 'engaged', position: { series: position!.series, n: position!.n! } });
    await source.close();
  });

  test('keeps the list of targets as one list a person can read, and its words per target', async () => {
    const control = await provisioned();
    await control.engage(order(user, 'u-1'));
    await control.engage({ ...order(user, 'u-2'), reason: 'abuse', by: 'bob' });
    await control.engage(order(instance, 's-1'));
    await control.engage({ ...order(instance, 'c-1'), targetKind: 'conversation' });
    const { flags } = JSON.parse(await text());
    expect(flags[user.key].targeting).toEqual({ if: [{ in: [{ var: 'userId' }, ['u-1', 'u-2']] }, 'engaged', null] });
    expect(JSON.parse(flags[user.key].metadata['offswitch.targets'])).toEqual({
      'userId:u-1': { reason: 'drill', by: 'ada', at: '2026-01-02T00:00:00.000Z' },
      'userId:u-2': { reason: 'abuse', by: 'bob', at: '2026-01-02T00:00:00.000Z' },
    });
    expect(flags[instance.key].targeting).toEqual({
      if: [{ in: [{ var: 'sessionId' }, ['s-1']] }, 'engaged', { in: [{ var: 'conversationId' }, ['c-1']] }, 'engaged', null],
    });
    await control.release(order(user, 'u-1'));
    const after = JSON.parse(await text()).flags[user.key];
    expect(after.targeting.if[0].in[1]).toEqual(['u-2']);
    expect(Object.keys(JSON.parse(after.metadata['offswitch.targets']))).toEqual(['userId:u-2']);
    expect(lintFlagFile(await text(), contractSwitches)).toEqual([]);
  });

  test('honours the declared polarity', async () => {
    const control = await provisioned();
    await control.engage(order(scoring));
    const flag = JSON.parse(await text()).flags[scoring.key];
    expect(flag.variants[flag.defaultVariant]).toBe(false);
  });

  test('is made once: asked for again it changes nothing and writes nothing', async () => {
    const control = await provisioned();
    await control.engage(order(user, 'u-1'));
    const before = await text();
    expect(await control.engage(order(user, 'u-1'))).toMatchObject({ changed: false, position: { n: 2 } });
    expect(await control.release(order(user, 'u-9'))).toMatchObject({ changed: false });
    expect(await text()).toBe(before);
    expect(await control.history()).toHaveLength(1);
  });

  test('goes above the stop it is about, so that a release releases even where the file went back (S3)', async () => {
    const control = await provisioned();
    const release = await control.release({ ...order(global), above: 41 });
    expect(release).toMatchObject({ changed: true, position: { n: 42 } });
    const marks = applyReading(unmarked, { state: 'engaged', origin: 'live', position: { series: 's', n: 41 } }, false);
    const source = flagFile(path);
    await source.open();
    expect(applyReading(marks, source.read(global, {}), false)).toEqual({ engaged: 41, released: 42 });
    await source.close();
    expect(await control.release({ ...order(global), above: 41 })).toMatchObject({ changed: false });
  });

  test('leaves other flags, order, indentation and line ends as they were', async () => {
    const control = await provisioned();
    const own = (await text())
      .replace(
        '"flags": {',
        '"flags": {\n    "checkout":   {"state":"ENABLED", "variants":{"on":1,"off":0},"defaultVariant":"on"},',
      )
      .replaceAll('\n', '\r\n');
    await writeFile(path, own);
    await control.engage(order(global));
    const lines = own.split('\r\n');
    const after = (await text()).split('\r\n');
    expect(after.filter((line) => !lines.includes(line)).every((line) => !line.includes('\n'))).toBe(true);
    expect(lines.filter((line) => !after.includes(line))).toEqual(['    "offswitch.revision": 1']);
    expect(after).toContain('    "checkout":   {"state":"ENABLED", "variants":{"on":1,"off":0},"defaultVariant":"on"},');
  });

  test('keeps the mode of the file, and a link a link', async () => {
    const control = await provisioned();
    await chmod(path, 0o640);
    const linked = join(directory, 'linked.json');
    await symlink(path, linked);
    await flagFileControl(linked).engage(order(global));
    expect((await stat(path)).mode & 0o777).toBe(0o640);
    expect((await lstat(linked)).isSymbolicLink()).toBe(true);
    expect(JSON.parse(await text()).flags[global.key].defaultVariant).toBe('engaged');
    expect((await readdir(directory)).sort()).toEqual([
      'linked.json',
      'switches.flagd.json',
      'switches.flagd.json.history.jsonl',
    ]);
    expect((await control.history()).length).toBe(1);
  });

  test('of several together is one write at one revision, so that none reads released between (I13)', async () => {
    const control = await provisioned();
    const made = await control.flipAll([
      { action: 'engage', order: order(global) },
      { action: 'engage', order: order(user, 'u-1') },
      { action: 'engage', order: order(user, 'u-2') },
      { action: 'release', order: order(scoring) },
    ]);
    expect(made.map((flip) => [flip.action, flip.position!.n, flip.changed])).toEqual([
      ['engage', 2, true],
      ['engage', 2, true],
      ['engage', 2, true],
      ['release', 2, false],
    ]);
    const seen = await control.inspect(contractSwitches);
    expect([seen[0]!.engaged, seen[3]!.targets]).toEqual(['everybody', ['u-1', 'u-2']]);
    expect((await control.history()).length).toBe(3);
    const before = await text();
    const missing = { ...scoring, key: 'killswitch.feature.gone', workflow: 'gone' };
    await expect(
      control.flipAll([
        { action: 'release', order: order(global) },
        { action: 'engage', order: order(missing) },
      ]),
    ).rejects.toMatchObject({ code: 'flag_missing' });
    expect(await text()).toBe(before);
  });

  test('of many at once is lost by none: each has a position of its own', async () => {
    await provisioned();
    const controls = [flagFileControl(path), flagFileControl(path), flagFileControl(path)];
    const flips = await Promise.all(Array.from({ length: 12 }, (_, i) => controls[i % 3]!.engage(order(user, `u-${i}`))));
    expect(new Set(flips.map((flip) => flip.position!.n)).size).toBe(12);
    const [, , , seen] = await controls[0]!.inspect(contractSwitches);
    expect([...seen!.targets].sort()).toEqual(Array.from({ length: 12 }, (_, i) => `u-${i}`).sort());
  });

  test('starts over when somebody saves the file while it is being made, and keeps what they saved', async () => {
    let saves = 1;
    const own = (json: { flags: Record<string, unknown> }) =>
      Object.assign(json.flags, { mine: { state: 'ENABLED', variants: { a: 1 }, defaultVariant: 'a' } });
    // The clock is asked between reading and replacing.
    const now = () => {
      if (saves-- > 0) writeFileSync(path, edited(readFileSync(path, 'utf8'), own));
      return 0;
    };
    const control = await provisioned({ now });
    expect(await control.engage(order(global))).toMatchObject({ changed: true });
    expect(JSON.parse(await text()).flags).toMatchObject({ mine: {}, [global.key]: { defaultVariant: 'engaged' } });
    const before = JSON.parse(await text()).flags[global.key];
    const spaced = () => {
      writeFileSync(path, `${readFileSync(path, 'utf8')} `);
      return 0;
    };
    const restless = flagFileControl(path, { now: spaced });
    await expect(restless.release(order(global))).rejects.toMatchObject({ code: 'concurrent_edit' });
    expect(JSON.parse(await text()).flags[global.key]).toEqual(before);
  });

  test('takes ids for what they are: __proto__ and quotes are targets like any other', async () => {
    const control = await provisioned();
    for (const id of ['__proto__', 'say "hi"', '日本']) await control.engage(order(user, id));
    const source = flagFile(path);
    await source.open();
    expect(source.read(user, { userId: '__proto__' })).toMatchObject({ state: 'engaged', reason: 'drill' });
    expect(source.read(user, { userId: 'constructor' })).toMatchObject({ state: 'released' });
    await source.close();
    await control.release(order(user, '__proto__'));
    expect(JSON.parse(await text()).flags[user.key].targeting.if[0].in[1]).toEqual(['say "hi"', '日本']);
  });
});

describe('a flip is refused, and nothing is written,', () => {
  const refuses = async (
    change: (own: string) => string,
    code: string,
    message: RegExp,
    flag = user,
    target: string | null = 'u-1',
  ) => {
    const control = await provisioned();
    const own = change(await text());
    await writeFile(path, own);
    const failure = await control.engage(order(flag, target ?? undefined)).catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'FlagFileError', code, message: expect.stringMatching(message) });
    expect(await text()).toBe(own);
  };

  test('over a file that does not parse', () =>
    refuses((own) => own.slice(0, 90), 'file_invalid', /:\d+:\d+: .*save it again.*nothing was written/));
  test('where the targeting was written by hand', () =>
    refuses(
      (own) =>
        edited(own, (json) =>
          Object.assign(json.flags[user.key]!, {
            targeting: { if: [{ ends_with: [{ var: 'userId' }, '@x'] }, 'engaged', null] },
          }),
        ),
      'hand_written_rule',
      /bring it into the form .*or flip it by hand/,
    ));
  test('where a global switch was given a rule by hand', () =>
    refuses(
      (own) => edited(own, (json) => Object.assign(json.flags[global.key]!, { targeting: { if: [true, 'released', null] } })),
      'hand_written_rule',
      /delete its "targeting"/,
      global,
      null,
    ));
  test('where the whole scoped flag is on', () =>
    refuses(
      (own) => edited(own, (json) => Object.assign(json.flags[user.key]!, { defaultVariant: 'engaged' })),
      'flag_invalid',
      /on for everybody/,
    ));
  test('where the flag is disabled', () =>
    refuses(
      (own) => edited(own, (json) => Object.assign(json.flags[user.key]!, { state: 'DISABLED' })),
      'flag_invalid',
      /"ENABLED"/,
    ));
  test('where the flag is missing', () =>
    refuses((own) => edited(own, (json) => delete json.flags[user.key]), 'flag_missing', /provision/));

  test('without a reason, a name, or a target that fits the tier', async () => {
    const control = await provisioned();
    for (const wrong of [
      { ...order(global), reason: ' ' },
      { ...order(global), by: '' },
      { ...order(global), above: -1 },
      order(global, 'u-1'),
      order(user),
      order(instance),
    ])
      await expect(control.engage(wrong)).rejects.toMatchObject({ code: 'bad_order' });
    await expect(control.engage(order(user, 'a\nb'))).rejects.toMatchObject({ code: 'invalid_id' });
  });

  test('where there is no file, or its folder cannot be written', async () => {
    await expect(flagFileControl(path).engage(order(global))).rejects.toMatchObject({ code: 'file_unavailable' });
    const control = await provisioned();
    const undo = await readOnly(directory);
    await expect(control.engage(order(global))).rejects.toMatchObject({ code: 'file_unavailable' });
    await undo();
    expect(JSON.parse(await text()).flags[global.key].defaultVariant).toBe('released');
  });

  test('while a living process holds the lock; the message names it and the way out', async () => {
    const control = await provisioned({ lockWaitMs: 20 });
    const lock = `${path}.lock`;
    await writeFile(lock, JSON.stringify({ pid: process.pid, host: hostname() }));
    await expect(control.engage(order(global))).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining(`process ${process.pid} on`),
    });
    await writeFile(lock, JSON.stringify({ pid: 1, host: 'another-host' }));
    await expect(control.engage(order(global))).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringMatching(/delete it/),
    });
  });
});

test('the lock of a process that died is broken', async () => {
  const control = await provisioned();
  const { stdout } = await promisify(execFile)(process.execPath, ['-p', 'process.pid']);
  await writeFile(`${path}.lock`, JSON.stringify({ pid: Number(stdout), host: hostname() }));
  expect(await control.engage(order(global))).toMatchObject({ changed: true });
  expect(await readdir(directory)).not.toContain('switches.flagd.json.lock');
});

describe('provisioning', () => {
  test('plans first and writes nothing', async () => {
    const plan = await flagFileControl(path).provision(contractSwitches);
    expect(plan.applied).toBe(false);
    expect(plan.steps.map((step) => step.change)).toEqual(['create', 'create', 'create', 'create', 'create']);
    expect(await readdir(directory)).toEqual([]);
  });

  test('creates the file with schema and effect statements, without a finding, all released (S12)', async () => {
    await provisioned();
    const file = JSON.parse(await text());
    expect(file.$schema).toBe('https://flagd.dev/schema/v0/flags.json');
    expect(file.flags[global.key].description).toBe(global.effect);
    expect(lintFlagFile(await text(), contractSwitches)).toEqual([]);
  });

  test('adds what is missing, keeps what is there, and refuses to touch what is wrong', async () => {
    const control = await provisioned();
    await writeFile(
      path,
      edited(await text(), (json) => {
        delete json.flags[user.key];
        json.flags[global.key]!.variants = { engaged: 'yes', released: 'no' };
      }),
    );
    const plan = await control.provision(contractSwitches, { apply: true });
    expect(plan.steps.map((step) => step.change)).toEqual(['refuse', 'keep', 'keep', 'create', 'keep']);
    expect(plan.steps[0]!.detail).toMatch(/without quotes/);
    const file = JSON.parse(await text());
    expect(file.flags[global.key].variants.engaged).toBe('yes');
    expect(file.metadata['offswitch.revision']).toBe(2);
    expect(Object.keys(file.flags)).toContain(user.key);
  });

  test('writes over no file that does not parse', async () => {
    await writeFile(path, '{"flags":');
    await expect(flagFileControl(path).provision(contractSwitches, { apply: true })).rejects.toMatchObject({
      code: 'file_invalid',
    });
    expect(await text()).toBe('{"flags":');
  });
});

describe('inspection', () => {
  const codesOf = async (change: Parameters<typeof edited>[1]) => {
    const control = await provisioned();
    await writeFile(path, edited(await text(), change));
    const [first, , , third] = await control.inspect(contractSwitches);
    return { global: first!, user: third! };
  };

  test('finds nothing wrong with what provisioning made, and tells whom it stops', async () => {
    const control = await provisioned();
    await control.engage(order(global));
    await control.engage(order(user, 'u-1'));
    const seen = await control.inspect(contractSwitches);
    expect(seen.flatMap((one) => one.findings)).toEqual([]);
    expect(seen.map((one) => [one.engaged, one.targets])).toEqual([
      ['everybody', []],
      ['nobody', []],
      ['nobody', []],
      ['targets', ['u-1']],
      ['nobody', []],
    ]);
  });

  test.each([
    ['missing', (flags: Record<string, Record<string, unknown>>) => delete flags[user.key], 'unknown'],
    ['wrong-type', (flags) => Object.assign(flags[user.key]!, { variants: { engaged: 'a', released: 'b' } }), 'unknown'],
    ['disabled', (flags) => Object.assign(flags[user.key]!, { state: 'DISABLED' }), 'unknown'],
    [
      'inverted-polarity',
      (flags) => Object.assign(flags[user.key]!, { variants: { engaged: false, released: true } }),
      'unknown',
    ],
    ['untargeted', (flags) => Object.assign(flags[user.key]!, { defaultVariant: 'engaged' }), 'everybody'],
    [
      'hand-written-rule',
      (flags) =>
        Object.assign(flags[user.key]!, {
          targeting: { '===': [{ var: 'userId' }, 'u'] },
          variants: { true: true, false: false },
          defaultVariant: 'false',
        }),
      'unknown',
    ],
    ['unknown-member', (flags) => Object.assign(flags[user.key]!, { targetting: {} }), 'unknown'],
  ] as [string, (flags: Record<string, Record<string, unknown>>) => unknown, string][])(
    'finds %s (S13)',
    async (code, change, engaged) => {
      const { user: seen, global: other } = await codesOf((json) => change(json.flags));
      expect(seen.findings.map((one) => one.code)).toContain(code);
      expect(seen.engaged).toBe(engaged);
      expect(other.findings).toEqual([]);
    },
  );

  test('says of a file that is not there, or is no JSON, that no switch in it is known', async () => {
    const control = flagFileControl(path);
    expect((await control.inspect(contractSwitches))[0]).toMatchObject({ engaged: 'unknown', findings: [{ code: 'missing' }] });
    await writeFile(path, '{');
    expect((await control.inspect(contractSwitches))[4]).toMatchObject({
      engaged: 'unknown',
      findings: [{ code: 'half-written' }],
    });
  });
});

describe('the history of flips', () => {
  test('is newest first, by key, limited, and readable by its owner alone', async () => {
    const control = await provisioned();
    await control.engage(order(global));
    await control.engage(order(user, 'u-1'));
    await control.release(order(global));
    const actions = (flips: readonly Flip[]) => flips.map((flip) => [flip.action, flip.key, flip.position?.n]);
    expect(actions(await control.history())).toEqual([
      ['release', global.key, 4],
      ['engage', user.key, 3],
      ['engage', global.key, 2],
    ]);
    expect(actions(await control.history({ key: global.key, limit: 1 }))).toEqual([['release', global.key, 4]]);
    expect((await stat(`${path}.history.jsonl`)).mode & 0o777).toBe(0o600);
  });

  test('skips damaged lines, reports them, and goes on after a line that a crash cut off', async () => {
    const warnings: string[] = [];
    const control = await provisioned({ warn: (message) => warnings.push(message) });
    await control.engage(order(global));
    await appendFile(`${path}.history.jsonl`, 'null\n{"key":"kill');
    await control.release(order(global));
    expect((await control.history()).map((flip) => flip.action)).toEqual(['release', 'engage']);
    expect(warnings).toEqual([expect.stringMatching(/2 damaged lines/)]);
  });

  test('keeps the last 200', async () => {
    const control = await provisioned();
    const line = (n: number) => `${JSON.stringify({ key: 'k', action: 'engage', reason: 'r', by: 'b', at: n, changed: true })}\n`;
    await writeFile(`${path}.history.jsonl`, Array.from({ length: 299 }, (_, n) => line(n)).join(''));
    await control.engage(order(global));
    const kept = (await readFile(`${path}.history.jsonl`, 'utf8')).trim().split('\n');
    expect(kept).toHaveLength(200);
    expect(JSON.parse(kept.at(-1)!).key).toBe(global.key);
  });

  test('is not replaced by what somebody else puts where it is being written, and that is told', async () => {
    const warnings: string[] = [];
    const control = await provisioned({ warn: (message) => warnings.push(message) });
    const before = `${JSON.stringify({ key: 'k', action: 'engage', reason: 'r', by: 'b', at: 1 })}\n`.repeat(299);
    await writeFile(`${path}.history.jsonl`, before);
    const { rm: remove } = promises;
    const spy = vi.spyOn(promises, 'rm').mockImplementation(async (file, options) => {
      await remove(file, options);
      if (file === `${path}.history.jsonl.tmp`) await writeFile(file, 'theirs');
    });
    syncBuiltinESMExports();
    try {
      expect(await control.engage(order(global))).toMatchObject({ changed: true });
    } finally {
      spy.mockRestore();
      syncBuiltinESMExports();
    }
    expect(await readFile(`${path}.history.jsonl`, 'utf8')).toBe(before);
    expect(warnings).toEqual([expect.stringMatching(/not in the history/)]);
  });

  test('that cannot be written does not undo the flip', async () => {
    const warnings: string[] = [];
    const control = await provisioned({ warn: (message) => warnings.push(message) });
    await rm(`${path}.history.jsonl`, { force: true });
    await symlink(join(directory, 'nowhere', 'x'), `${path}.history.jsonl`);
    expect(await control.engage(order(global))).toMatchObject({ changed: true });
    expect(warnings).toEqual([expect.stringMatching(/not in the history/)]);
  });
});

test('a switch with a key of its own is flipped like any other', async () => {
  const own = defineKillSwitches({ global: { authorized: ['a'], key: 'stop-everything' }, features: {} });
  const control = flagFileControl(path);
  await control.provision(own, { apply: true });
  expect(await control.engage(order(own.global))).toMatchObject({ key: 'stop-everything', changed: true });
});
