// as-root.test.ts: a runtime of root in a state folder of somebody else (S4, S10). Only root can try it.

import { chownSync, lstatSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { folderStore } from '@offswitch/runtime';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const nobody = 65_534;

describe.runIf(process.getuid?.() === 0 && process.platform === 'linux')(
  'a runtime of root in the folder of somebody else',
  () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'oar-'));
      chownSync(folder, nobody, nobody);
    });
    afterEach(() => rmSync(folder, { recursive: true, force: true }));

    test('has its socket where the owner reaches it: else it would count as running for good once it is gone (I14)', async () => {
      for (let round = 0; round < 2; round++) {
        const store = folderStore(folder);
        await store.open({ runsSessions: true });
        const socket = await store.serve!(async () => undefined);
        expect(dirname(socket)).toBe(join(folder, 's'));
        expect(lstatSync(socket).mode & 0o777).toBe(0o600);
        const all = (readdirSync(folder, { recursive: true }) as string[]).map((name) => join(folder, name));
        expect(all.filter((path) => lstatSync(path).uid !== nobody || lstatSync(path).gid !== nobody)).toEqual([]);
        await store.close();
      }
    });

    test('does not listen where the owner leads it elsewhere', async () => {
      const other = mkdtempSync(join(tmpdir(), 'oar-'));
      symlinkSync(other, join(folder, 's'));
      const store = folderStore(folder);
      await store.open({ runsSessions: true });
      expect(dirname(await store.serve!(async () => undefined))).not.toBe(join(folder, 's'));
      expect(readdirSync(other)).toEqual([]);
      await store.close();
      rmSync(other, { recursive: true });
    });
  },
);
