// owner.ts: whose a file is that we make beside another, or in its place: whose that one is. The command may be run by root, and what it
// writes is for the owner of the flag file to read.

import { type FileHandle, open, stat } from 'node:fs/promises';
import { codeOf } from './snapshot.ts';

/** Gives a file that was made just now to the owner of `like`. Only root may give a file away; for everybody else it already is their own or the group's. */
export async function giveToOwnerOf(like: string, made: FileHandle): Promise<void> {
  try {
    const { uid, gid } = await stat(like);
    await made.chown(uid, gid);
  } catch {
    // It stays ours.
  }
}

/** Makes a file beside `like`, for its owner. False where there is such a file already: what somebody else put there is not given away. */
export async function makeFile(path: string, like: string, text: string): Promise<boolean> {
  const handle = await open(path, 'wx', 0o600).catch((error: unknown) => {
    if (codeOf(error) === 'EEXIST') return undefined;
    throw error;
  });
  if (!handle) return false;
  try {
    await giveToOwnerOf(like, handle);
    await handle.writeFile(text);
  } finally {
    await handle.close();
  }
  return true;
}
