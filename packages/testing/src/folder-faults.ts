// folder-faults.ts: damage to files and folders as disks, full volumes and careless hands make it.
//
// Tests often run as root, whom permissions do not stop. So "cannot be written" is made by putting a directory where a
// file has to go (EISDIR, ENOTEMPTY) or a file where a directory has to go (ENOTDIR), which stops root as well.

import { lstat, mkdir, open, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Undoes a fault. Idempotent. */
export type Undo = () => Promise<void>;

const once = (undo: Undo): Undo => {
  let undone: Promise<void> | undefined;
  return () => {
    undone ??= undo();
    return undone;
  };
};

/**
 * Nothing can be created, read or renamed inside `directory` any more: the directory is moved aside and an ordinary file
 * takes its name, so every operation below it fails with ENOTDIR, for root too. What was in it comes back with the undo.
 */
export async function readOnly(directory: string): Promise<Undo> {
  const aside = join(dirname(directory), `.${basename(directory)}.aside`);
  await rename(directory, aside);
  await writeFile(directory, '');
  return once(async () => {
    await rm(directory, { recursive: true, force: true });
    await rename(aside, directory);
  });
}

/**
 * Makes one path impossible to open for writing or to be the target of a rename of a file: a non-empty directory stands
 * there. A file that was there comes back with the undo.
 */
export async function blockPath(path: string): Promise<Undo> {
  const aside = join(dirname(path), `.${basename(path)}.aside`);
  const existed = await lstat(path).then(
    () => true,
    () => false,
  );
  if (existed) await rename(path, aside);
  await mkdir(join(path, 'blocked'), { recursive: true });
  return once(async () => {
    await rm(path, { recursive: true, force: true });
    if (existed) await rename(aside, path);
  });
}

/** Cuts the last `bytes` bytes off a file: the record that was being written when the power went. */
export async function truncateTail(path: string, bytes: number): Promise<void> {
  const { size } = await stat(path);
  await truncate(path, Math.max(0, size - bytes));
}

/** Inverts every bit of one byte: rot on the disk. A negative offset counts from the end. Throws where the file has no such byte. */
export async function flipByte(path: string, offset: number): Promise<void> {
  const content = await readFile(path);
  const at = offset < 0 ? content.length + offset : offset;
  const byte = content[at];
  if (byte === undefined) throw new RangeError(`${path} has ${content.length} bytes and no byte at ${offset}`);
  const handle = await open(path, 'r+');
  try {
    await handle.write(Buffer.from([byte ^ 0xff]), 0, 1, at);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
