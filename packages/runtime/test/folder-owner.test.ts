import { type MakeDirectoryOptions, mkdtempSync, rmSync, type StatSyncOptions } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type FolderFs, nodeFs } from '../src/folder/folder-fs.ts';
import { folderStore } from '../src/folder/folder-store.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ofo-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

/** A disk on which the folder is somebody's, and that writes down what is made there and what is given to whom. */
function watched(made: string[], given: string[]): FolderFs {
  const names = new Map<number, string>();
  const short = (path: string): string => relative(folder, path);
  return {
    ...nodeFs,
    openSync(path: string, flags: string | number, mode?: number) {
      const fd = nodeFs.openSync(path, flags, mode);
      names.set(fd, short(path));
      if (String(flags).includes('x')) made.push(short(path));
      return fd;
    },
    mkdirSync(path: string, options: MakeDirectoryOptions & { readonly recursive: true }) {
      const first = nodeFs.mkdirSync(path, options);
      if (first !== undefined) made.push(short(path));
      return first;
    },
    statSync(path: string, options?: StatSyncOptions) {
      const found = nodeFs.statSync(path, options);
      return found && path === folder ? Object.assign(found, { uid: 1234, gid: 56 }) : found;
    },
    fchownSync(fd: number, uid: number, gid: number) {
      given.push(names.get(fd)!);
      expect([uid, gid]).toEqual([1234, 56]);
    },
  } as FolderFs;
}

const use = async (fs: FolderFs): Promise<void> => {
  const store = folderStore(folder, { fs });
  await store.open();
  await store.mark('act.operator.pause.instance.s-1.o-1', 'engaged', 0, { reason: 'x', at: 1 });
  await store.resolve({ session: 's-1', call: 't1-1', verdict: 'happened', by: 'ann', at: 1 });
  await store.writeDocument('switches', {});
  store.append('r-1', { t: 'turn', s: 'r-1', e: 1, at: 1, turn: 1 });
  store.claim('r-1', 1);
  await store.close();
};

test('everything that root makes in a state folder belongs to the owner of the folder, who has to read it (S4, S10)', async () => {
  vi.spyOn(process, 'getuid').mockReturnValue(0);
  const [made, given]: string[][] = [[], []];
  await use(watched(made!, given!));
  expect(made).toEqual(expect.arrayContaining(['stops', 'audit', 'journal', '.gitignore']));
  expect(made!.some((name) => name.startsWith('stops/act.'))).toBe(true);
  expect(given).toEqual(made);
});

test('nobody else gives anything away', async () => {
  vi.spyOn(process, 'getuid').mockReturnValue(1000);
  const [made, given]: string[][] = [[], []];
  await use(watched(made!, given!));
  expect(made!.length).toBeGreaterThan(10);
  expect(given).toEqual([]);
});

test('a disk that takes no owner keeps no stop from being written (I13)', async () => {
  vi.spyOn(process, 'getuid').mockReturnValue(0);
  const refused = (): never => {
    throw Object.assign(new Error('EPERM: injected'), { code: 'EPERM' });
  };
  await use({ ...watched([], []), fchownSync: refused });
  expect(await folderStore(folder).stops()).toHaveLength(1);
});
