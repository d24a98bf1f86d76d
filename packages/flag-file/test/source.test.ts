import { mkdir, mkdtemp, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applyReading, type Reading, type SourceChange, unmarked } from '@offswitch/core';
import { FlagFileError, flagFile } from '@offswitch/flag-file';
import { contractSwitches } from '@offswitch/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { edited, type FileHarness, fileHarness, until } from './harness.ts';

const { global } = contractSwitches;
const user = contractSwitches.user!;
const instance = contractSwitches.instance!;
const files: FileHarness[] = [];
const opened = async (options: Parameters<typeof fileHarness>[0] = {}): Promise<FileHarness> => {
  const file = await fileHarness(options);
  files.push(file);
  await file.source.open();
  return file;
};
afterEach(async () => {
  for (const file of files.splice(0)) await file.close();
});
const turn = (variant: string) => (json: { flags: Record<string, Record<string, unknown>> }) => {
  json.flags[global.key]!.defaultVariant = variant;
};
const isLive = (file: FileHarness, state: Reading['state']) => () => {
  const reading = file.source.read(global, {});
  return reading.state === state && (reading.state === 'unknown' || reading.origin === 'live');
};
const order = (reason = 'drill') => ({ flag: global, reason, by: 'ada' });

describe('a hand edit of the file', () => {
  test('that rolls a session switch out to one percent is untargeted for every session, and ends none of them (S11)', async () => {
    const file = await opened();
    const share = (json: { flags: Record<string, Record<string, unknown>> }) => {
      json.flags[instance.key]!.targeting = { fractional: [{ var: 'sessionId' }, ['engaged', 1], ['released', 99]] };
    };
    await file.write(edited(await file.text(), share));
    const read = (i: number) => file.source.read(instance, { sessionId: `s-${i}` }) as Reading;
    await until(file.source, () => read(0).state === 'unknown');
    const seen = new Set(Array.from({ length: 1000 }, (_, i) => read(i)).map((one) => one.state === 'unknown' && one.cause));
    expect([...seen]).toEqual(['untargeted']);
  });
  test('releases at an equal revision within one watch, because this process saw the change (S3)', async () => {
    const file = await opened();
    await file.control.engage(order());
    await until(file.source, isLive(file, 'engaged'));
    const engaged = file.source.read(global, {});
    await file.write(edited(await file.text(), turn('released')));
    await until(file.source, isLive(file, 'released'));
    const released = file.source.read(global, {});
    expect(engaged.state !== 'unknown' && released.state !== 'unknown' && engaged.position).toEqual(
      released.state !== 'unknown' && released.position,
    );
    expect(released).toMatchObject({ position: { n: 2 } });
  });

  test('does not release at an equal revision when the file was away in between: the watch is another one (S3)', async () => {
    const file = await opened();
    await file.control.engage(order());
    await until(file.source, isLive(file, 'engaged'));
    const engaged = file.source.read(global, {});
    const text = await file.text();
    await rm(file.path);
    await until(file.source, () => file.source.health.state === 'stale');
    const away = file.source.read(global, {});
    expect(away).toMatchObject({ state: 'engaged', origin: 'cached', position: { n: 2 } });
    expect(away.state === 'engaged' && away.position.watch).toBe(undefined);
    await file.write(edited(text, turn('released')));
    await until(file.source, isLive(file, 'released'));
    const released = file.source.read(global, {});
    if (engaged.state !== 'engaged' || released.state !== 'released') throw new Error('no definite readings');
    expect(released.position.watch).not.toBe(engaged.position.watch);
    const marks = applyReading(unmarked, engaged, false);
    expect(applyReading(marks, released, released.position.watch === engaged.position.watch)).toEqual(marks);
  });

  test('keeps the last good data live while an editor truncates and rewrites, without a gap', async () => {
    const file = await opened({ settleMs: 60_000 });
    const before = file.source.read(global, {});
    await file.write('');
    await file.source.refresh();
    expect(file.source.read(global, {})).toEqual(before);
    expect(file.source.health.state).toBe('fresh');
    await file.write('{"flags": {"kil');
    await file.source.refresh();
    expect(file.source.read(global, {})).toEqual(before);
  });

  test('that misspells a member makes that switch alone cached, keeps the others live, and says where (S13)', async () => {
    const file = await opened();
    await file.control.engage({ flag: user, target: 'u-1', reason: 'drill', by: 'ada' });
    await until(file.source, () => file.source.read(user, { userId: 'u-1' }).state === 'engaged');
    await file.swap(
      (await file.text()).replace(
        `"targeting": {\n        "if": [\n          {\n            "in": [\n              {\n                "var": "userId"`,
        `"targetting": {\n        "if": [\n          {\n            "in": [\n              {\n                "var": "userId"`,
      ),
    );
    await until(file.source, () => file.source.health.state === 'stale');
    expect(file.source.health.why).toMatch(
      /switches\.flagd\.json:\d+:\d+: "targetting" .*did you mean "targeting"\? \[unknown-member\]$/,
    );
    expect(file.source.read(user, { userId: 'u-1' })).toMatchObject({ state: 'engaged', origin: 'cached' });
    expect(file.source.read(user, { userId: 'u-2' })).toMatchObject({ state: 'released', origin: 'cached' });
    expect(file.source.read(global, {})).toMatchObject({ state: 'released', origin: 'live' });
  });

  test('that was wrong in between does not release at an equal revision: what the flag said then is not known (S3)', async () => {
    const file = await opened();
    await file.control.engage(order());
    await until(file.source, isLive(file, 'engaged'));
    const engaged = file.source.read(global, {});
    const text = await file.text();
    for (const fault of [{ defaultVariannt: 'x' }, { state: 'DISABLED' }]) {
      await file.swap(edited(text, (json) => Object.assign(json.flags[global.key]!, fault)));
      await until(file.source, () => !isLive(file, 'engaged')());
      await file.swap(edited(text, turn('released')));
      await until(file.source, isLive(file, 'released'));
      const released = file.source.read(global, {});
      if (engaged.state !== 'engaged' || released.state !== 'released') throw new Error('no definite readings');
      expect([released.position.n, released.position.watch === engaged.position.watch]).toEqual([engaged.position.n, false]);
    }
  });

  test('that misspells a member before anybody read it leaves that switch unknown (S5)', async () => {
    const file = await fileHarness();
    files.push(file);
    await file.write(edited(await file.text(), (json) => Object.assign(json.flags[global.key]!, { defaultVariannt: 'engaged' })));
    await file.source.open();
    expect(file.source.read(global, {})).toMatchObject({
      state: 'unknown',
      cause: 'error',
      message: expect.stringMatching(/unknown-member/),
    });
    expect(file.source.read(user, { userId: 'u-1' })).toMatchObject({ state: 'released', origin: 'live' });
  });

  test("with a fault in somebody else's flag touches no switch", async () => {
    const file = await opened();
    await file.write(
      edited(await file.text(), (json) => Object.assign(json.flags, { 'checkout.banner': { state: 'ENABLED', targetting: 1 } })),
    );
    await until(file.source, () => file.source.resolve('checkout.banner', 'boolean', {}).errorCode === 'PARSE_ERROR');
    expect(file.source.health.state).toBe('fresh');
    expect(file.source.read(global, {})).toMatchObject({ state: 'released', origin: 'live' });
    expect((await file.source.lint()).map((one) => one.flag)).toContain('checkout.banner');
  });

  test('that disables an engaged switch is unknown and says so, never a release (S3)', async () => {
    const file = await opened();
    await file.control.engage(order());
    await until(file.source, isLive(file, 'engaged'));
    await file.write(edited(await file.text(), (json) => Object.assign(json.flags[global.key]!, { state: 'DISABLED' })));
    await until(file.source, isLive(file, 'unknown'));
    expect(file.source.read(global, {})).toMatchObject({
      cause: 'not-found',
      message: expect.stringMatching(/DISABLED.*set "state" to "ENABLED"/),
    });
  });

  test('that brings back an older revision is cached and stale, and names the revision already seen (S3)', async () => {
    const file = await opened();
    const old = await file.text();
    await file.control.engage(order());
    await until(file.source, isLive(file, 'engaged'));
    await file.swap(old);
    await until(file.source, () => file.source.health.state === 'stale');
    expect(file.source.health.why).toMatch(/older than revision 2 already seen: it says 1; .* to 3$/);
    expect(file.source.read(global, {})).toMatchObject({ state: 'engaged', origin: 'cached', position: { n: 2 } });
    await file.swap(edited(old, (json) => delete json.metadata!['offswitch.revision']));
    await file.source.refresh();
    expect(file.source.read(global, {})).toMatchObject({ state: 'engaged', origin: 'cached' });
    await file.swap(edited(old, (json) => Object.assign(json.metadata!, { 'offswitch.revision': 3 })));
    await until(file.source, isLive(file, 'released'));
    expect(file.source.health.state).toBe('fresh');
  });

  test('whole scoped flag on reads engaged for a canary too, for the runtime to see that nobody is targeted (S11)', async () => {
    const file = await opened();
    await file.write(edited(await file.text(), (json) => Object.assign(json.flags[user.key]!, { defaultVariant: 'engaged' })));
    await until(file.source, () => file.source.read(user, { userId: 'canary' }).state === 'engaged');
  });
});

describe('notices of a change', () => {
  test('name the flags whose definition changed, and none of those that only moved on with the revision', async () => {
    const file = await opened();
    const heard: SourceChange[] = [];
    file.source.subscribe((change) => heard.push(change));
    await file.control.engage(order());
    await until(file.source, isLive(file, 'engaged'));
    await file.write(edited(await file.text(), (json) => Object.assign(json.metadata!, { 'offswitch.revision': 9 })));
    await until(file.source, () => {
      const reading = file.source.read(user, { userId: 'u' });
      return reading.state === 'released' && reading.position.n === 9;
    });
    expect(heard).toEqual([{ flagsChanged: [global.key] }, { flagsChanged: [] }]);
  });

  test('do not come for a file that was only reformatted', async () => {
    const file = await opened();
    const heard: SourceChange[] = [];
    file.source.subscribe((change) => heard.push(change));
    await file.write(JSON.stringify(JSON.parse(await file.text())));
    await file.source.refresh();
    expect(heard).toEqual([]);
  });
});

describe('a path', () => {
  test('that is empty or a directory is bad configuration', async () => {
    expect(() => flagFile(' ')).toThrow(FlagFileError);
    await expect(flagFile(tmpdir()).open()).rejects.toMatchObject({ code: 'bad_configuration' });
  });

  test('with nothing there yet starts, says how to create it, and is read as soon as it is there', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'offswitch-flag-file-'));
    const source = flagFile(join(directory, 'a.json'), { pollMs: 60_000 });
    await source.open();
    expect(source.health).toMatchObject({ state: 'starting', why: expect.stringMatching(/no such file; provision/) });
    expect(source.read(global, {})).toMatchObject({ state: 'unknown' });
    await writeFile(join(directory, 'a.json'), '{"flags": {}}');
    await until(source, () => source.health.state === 'fresh');
    await source.close();
    await rm(directory, { recursive: true });
  });

  test('in a folder that does not exist yet is found by the poll', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'offswitch-flag-file-'));
    const source = flagFile(join(directory, 'later', 'a.json'), { pollMs: 5 });
    await source.open();
    await mkdir(join(directory, 'later'));
    await writeFile(join(directory, 'later', 'a.json'), '{"flags": {}}');
    await until(source, () => source.health.state === 'fresh');
    await source.close();
    await rm(directory, { recursive: true });
  });

  test('through links is followed when the link behind the link is swapped, as Kubernetes does', async () => {
    const file = await fileHarness();
    files.push(file);
    const engaged = edited(await file.text(), (json) => {
      turn('engaged')(json);
      Object.assign(json.metadata!, { 'offswitch.revision': 2 });
    });
    for (const [version, text] of [
      ['v1', await file.text()],
      ['v2', engaged],
    ] as const) {
      await mkdir(join(file.directory, version));
      await writeFile(join(file.directory, version, 'f.json'), text);
    }
    await symlink('v1', join(file.directory, '..data'));
    await symlink(join('..data', 'f.json'), join(file.directory, 'mounted.json'));
    const source = flagFile(join(file.directory, 'mounted.json'), { pollMs: 60_000 });
    await source.open();
    expect(source.read(global, {})).toMatchObject({ state: 'released' });
    await symlink('v2', join(file.directory, '..next'));
    await rename(join(file.directory, '..next'), join(file.directory, '..data'));
    await until(source, () => source.read(global, {}).state === 'engaged');
    await source.close();
  });

  test('where a larger file stands than may be read keeps the last good data and names the limit', async () => {
    const file = await opened({ maxBytes: 6000 });
    await file.write(`${await file.text()}${' '.repeat(6000)}`);
    await until(file.source, () => file.source.health.state === 'stale');
    expect(file.source.health.why).toMatch(/at most 6000 are read.*\[too-large\]/);
    expect(file.source.read(global, {})).toMatchObject({ state: 'released', origin: 'cached' });
    expect(await file.source.lint()).toMatchObject([{ code: 'too-large' }]);
  });

  test('replaced by a directory or by bytes that are no UTF-8 keeps the last good data', async () => {
    const file = await opened();
    await writeFile(file.path, Buffer.from([0x7b, 0xff, 0xfe, 0x7d]));
    await until(file.source, () => file.source.health.state === 'stale');
    expect(file.source.health.why).toMatch(/UTF-8/);
    await unlink(file.path);
    await mkdir(file.path);
    await file.source.refresh();
    expect(file.source.health.why).toMatch(/regular file/);
    expect(file.source.read(global, {})).toMatchObject({ state: 'released', origin: 'cached' });
  });
});

describe('a change of the file', () => {
  test('is seen even where neither size nor time stamp moved', async () => {
    const file = await opened({ pollMs: 5 });
    const text = await file.text();
    const stamp = new Date(Date.now() - 3_600_000);
    await utimes(file.path, stamp, stamp);
    await file.source.refresh();
    await writeFile(file.path, text.replace('"defaultVariant": "released"', '"defaultVariant": "engaged" '));
    await utimes(file.path, stamp, stamp);
    await until(file.source, isLive(file, 'engaged'));
  });
});

describe('the words of an engaged switch', () => {
  test('come back for the right target, and not for another one (S12)', async () => {
    const file = await opened();
    await file.control.engage({ flag: instance, target: 'x', reason: 'runaway', by: 'ada' });
    await file.control.engage({ flag: instance, target: 'x', targetKind: 'conversation', reason: 'complaint', by: 'bob' });
    await until(file.source, () => file.source.read(instance, { sessionId: 's', conversationId: 'x' }).state === 'engaged');
    expect(file.source.read(instance, { sessionId: 'x' })).toMatchObject({ reason: 'runaway', by: 'ada' });
    expect(file.source.read(instance, { sessionId: 's', conversationId: 'x' })).toMatchObject({ reason: 'complaint', by: 'bob' });
  });
});

describe('a flag that is no switch', () => {
  test('is answered as flagd answers it: disabled, null default, types, $flagd, sem_ver, fractional; without our revision', async () => {
    const file = await opened();
    await file.write(
      edited(await file.text(), (json) => {
        json.metadata!.flagSetId = 'ours';
        Object.assign(json.flags, {
          off: { state: 'DISABLED', variants: { on: true }, defaultVariant: 'on' },
          empty: { state: 'ENABLED', variants: { on: true }, defaultVariant: null },
          text: {
            state: 'ENABLED',
            variants: { a: 'A', b: 'B' },
            defaultVariant: 'a',
            metadata: { owner: 'me' },
            targeting: { if: [{ sem_ver: [{ var: 'v' }, '>=', '2.0.0'] }, 'b', null] },
          },
          self: {
            state: 'ENABLED',
            variants: { a: 'A', b: 'B' },
            defaultVariant: 'a',
            targeting: { if: [{ '==': [{ var: '$flagd.flagKey' }, 'self'] }, 'b', 'a'] },
          },
          split: {
            state: 'ENABLED',
            variants: { a: 1, b: 2 },
            defaultVariant: 'a',
            targeting: {
              fractional: [
                ['a', 0],
                ['b', 100],
              ],
            },
          },
        });
      }),
    );
    const resolve = file.source.resolve;
    await until(file.source, () => resolve('text', 'string', {}).value === 'A');
    expect(resolve('off', 'boolean', {})).toEqual({ reason: 'DISABLED', flagMetadata: { flagSetId: 'ours' } });
    expect(resolve('empty', 'boolean', {})).toEqual({ reason: 'DEFAULT', flagMetadata: { flagSetId: 'ours' } });
    expect(resolve('text', 'string', { v: '2.1.0' })).toEqual({
      value: 'B',
      variant: 'b',
      reason: 'TARGETING_MATCH',
      flagMetadata: { flagSetId: 'ours', owner: 'me' },
    });
    expect(resolve('text', 'string', {})).toMatchObject({ value: 'A', reason: 'DEFAULT' });
    expect(resolve('text', 'boolean', {})).toMatchObject({ reason: 'ERROR', errorCode: 'TYPE_MISMATCH' });
    expect(resolve('self', 'string', {})).toMatchObject({ value: 'B' });
    expect(resolve('split', 'number', { targetingKey: 't' })).toMatchObject({ value: 2 });
    expect(resolve('nobody', 'boolean', {})).toMatchObject({ errorCode: 'FLAG_NOT_FOUND', flagMetadata: { flagSetId: 'ours' } });
  });
});
