import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blockPath, flipByte, readOnly, truncateTail } from '@offswitch/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'offswitch-faults-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('a folder fault', () => {
  test('makes a folder unwritable for root too, and gives it back', async () => {
    const folder = join(directory, 'state');
    await mkdir(folder);
    await writeFile(join(folder, 'a'), 'kept');
    const undo = await readOnly(folder);
    await expect(writeFile(join(folder, 'b'), 'x')).rejects.toMatchObject({ code: 'ENOTDIR' });
    await undo();
    await undo();
    expect(await readFile(join(folder, 'a'), 'utf8')).toBe('kept');
  });

  test('blocks one path and gives its file back', async () => {
    const file = join(directory, 'log');
    await writeFile(file, 'kept');
    const undo = await blockPath(file);
    await expect(writeFile(file, 'x')).rejects.toMatchObject({ code: 'EISDIR' });
    await undo();
    expect(await readFile(file, 'utf8')).toBe('kept');
  });

  test('cuts the tail of a file', async () => {
    const file = join(directory, 'log');
    await writeFile(file, 'abcdef');
    await truncateTail(file, 2);
    expect(await readFile(file, 'utf8')).toBe('abcd');
    await truncateTail(file, 99);
    expect(await readFile(file, 'utf8')).toBe('');
  });

  test('inverts exactly one byte, from either end', async () => {
    const file = join(directory, 'log');
    await writeFile(file, Buffer.from([1, 2, 3]));
    await flipByte(file, 1);
    await flipByte(file, -1);
    expect([...(await readFile(file))]).toEqual([1, 0xfd, 0xfc]);
    await expect(flipByte(file, 3)).rejects.toThrow(RangeError);
  });
});
