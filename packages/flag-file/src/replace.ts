// replace.ts: a file replaced whole or not at all, and only while it still is what we read.

import { randomUUID } from 'node:crypto';
import { link, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FlagFileError } from './error.ts';
import { giveToOwnerOf } from './owner.ts';
import { codeOf } from './snapshot.ts';

/** Where the bytes are: a link is followed, so that it stays a link. A file that is not there yet is its own place. */
export async function placeOf(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

/**
 * Writes `next` in place of `expected` (`undefined`: the file must not exist). False when somebody else changed it, and then
 * nothing was written. Durable when it returns: contents and directory entry are flushed. Mode and owner are kept.
 * A person's save that lands between our last look and the rename is lost; that window is some microseconds.
 */
export async function replaceFile(
  place: string,
  expected: string | undefined,
  next: string,
  newFileMode = 0o644,
): Promise<boolean> {
  const temporary = join(dirname(place), `.${basename(place)}.${randomUUID()}.tmp`);
  try {
    const old = expected === undefined ? undefined : await stat(place);
    const handle = await open(temporary, 'wx', newFileMode);
    try {
      if (old) {
        await handle.chmod(old.mode & 0o7777);
        await giveToOwnerOf(place, handle);
      }
      await handle.writeFile(next);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (expected === undefined) {
      // A link fails where a rename would overwrite.
      await link(temporary, place);
      await rm(temporary);
    } else {
      if ((await readFile(place, 'utf8')) !== expected) return false;
      await rename(temporary, place);
    }
    await flushDirectory(dirname(place));
    return true;
  } catch (error) {
    const code = codeOf(error);
    if ((expected === undefined && code === 'EEXIST') || (expected !== undefined && code === 'ENOENT')) return false;
    throw new FlagFileError('file_unavailable', `${place} cannot be written (${code}); its folder must be writable`, {
      cause: error,
    });
  } finally {
    await rm(temporary, { force: true }).catch(() => {});
  }
}

async function flushDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
