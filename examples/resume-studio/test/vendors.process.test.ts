// vendors.process.test.ts: the studio with its switches at a vendor, as people start it.

import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startLocalLaunchDarkly } from '@offswitch/testing/launchdarkly';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runProgram } from './program.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'studio-vendor-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const few = ['--documents', '1', '--speed', '8'];

describe.each([
  ['launchdarkly', 'LAUNCHDARKLY_BASE_URL'],
  ['growthbook', 'GROWTHBOOK_SDK_HOST'],
])('npm start -- --source %s', (source, host) => {
  test('without credentials names every variable it needs, and the way to do without', async () => {
    const { code, text } = await runProgram(folder, ['--source', source, ...few]);
    expect(code).toBe(1);
    expect(text).toMatch(/^\[invalid_input\] --source \w+ needs [A-Z_]+_KEY \(.*or add --local.*\n$/);
  });
  test('--local brings the server up, makes the flags, runs to the end, and says how the command gets there', {
    timeout: 60_000,
  }, async () => {
    const { code, text } = await runProgram(folder, ['--source', source, '--local', ...few]);
    expect(text).toMatch(new RegExp(`made \\d+ flags in ${source}`));
    expect(text).toContain(`switches: ${source}, 127.0.0.1:`);
    expect(text).toContain(`npx offswitch --credentials studio/${source}.env engage global`);
    expect(text).toContain('3 jobs have ended: 3 completed');
    expect(code).toBe(0);
    expect((await stat(join(folder, 'studio', `${source}.env`))).mode & 0o077).toBe(0);
  });
  test('killed with -9 leaves no server behind', { timeout: 60_000 }, async () => {
    const { code } = await runProgram(folder, ['--source', source, '--local', '--documents', '4'], (text, kill) => {
      if (text.includes('engage global')) kill('SIGKILL');
    });
    expect(code).toBeNull();
    const file = await readFile(join(folder, 'studio', `${source}.env`), 'utf8');
    const url = new RegExp(`^${host}='(.*)'$`, 'm').exec(file)![1]!;
    await expect
      .poll(
        () =>
          fetch(url).then(
            () => 'there',
            () => 'gone',
          ),
        { timeout: 20_000 },
      )
      .toBe('gone');
  });
});

describe('npm start on an account, with the credentials of the environment', () => {
  test('makes nothing there unasked: it holds, and says how to make the flags; with --yes it makes them and runs', {
    timeout: 60_000,
  }, async () => {
    const { server, source, control, close } = await startLocalLaunchDarkly();
    const env = {
      LAUNCHDARKLY_SDK_KEY: source.sdkKey,
      LAUNCHDARKLY_BASE_URL: source.baseUri,
      LAUNCHDARKLY_STREAM_URL: source.streamUri,
      LAUNCHDARKLY_EVENTS_URL: source.eventsUri,
      LAUNCHDARKLY_API_URL: control.baseUrl,
      LAUNCHDARKLY_ACCESS_TOKEN: control.token,
      LAUNCHDARKLY_PROJECT: control.project,
    };
    const args = ['--source', 'launchdarkly', ...few];
    try {
      const first = await runProgram(
        folder,
        args,
        (text, kill) => {
          if (/paused - held|ALARM/.test(text)) kill('SIGKILL');
        },
        env,
      );
      expect(first.text).toContain('6 flags are missing at launchdarkly');
      expect(first.text).toContain('npx offswitch provision --apply');
      await rm(join(folder, '.offswitch'), { recursive: true });
      await rm(join(folder, 'studio'), { recursive: true });
      const second = await runProgram(folder, [...args, '--yes'], undefined, env);
      expect(second).toMatchObject({ code: 0, text: expect.stringContaining('3 jobs have ended: 3 completed') });
      expect(second.text).toContain('made 6 flags in launchdarkly');
      expect(server.unknown).toEqual([]);
    } finally {
      await close();
    }
  });
});

test('--local with a flag file is a usage error: a file is local anyway', async () => {
  expect(await runProgram(folder, ['--local'])).toMatchObject({ code: 1, text: expect.stringContaining('--local goes with') });
});
