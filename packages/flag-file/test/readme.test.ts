// readme.test.ts: the program of the README, run where the file it names is its own.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineKillSwitches } from '@offswitch/core';
import { flagFile, flagFileControl } from '@offswitch/flag-file';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofs-readme-'));
  path = join(folder, 'switches.flagd.json');
});
afterEach(() => rm(folder, { recursive: true }));

describe('the program of the README', () => {
  test('provisions a file, engages a user there and reads it engaged, live, with reason and by', async () => {
    // #region flip
    const switches = defineKillSwitches({ global: { authorized: ['on-call'] }, features: {}, user: { authorized: ['support'] } });
    const control = flagFileControl(path);
    await control.provision(switches, { apply: true }); // creates the file, or what is missing in it

    const source = flagFile(path, { switches });
    await source.open();
    await control.engage({ flag: switches.user!, target: 'u-1', reason: 'runaway drafts', by: 'ada' });
    await source.refresh(); // or wait: the watch sees it within milliseconds
    const reading = source.read(switches.user!, { userId: 'u-1' }); // engaged, live, reason and by
    await source.close();
    // #endregion
    expect(reading).toMatchObject({ state: 'engaged', origin: 'live', reason: 'runaway drafts', by: 'ada' });
  });
});
