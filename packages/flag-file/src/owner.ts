// owner.ts: whose a file is that we make beside another, or in its place: whose that one is. The command may be run by root, and what it
// writes is for the owner of the flag file to read.

import type { FileHandle } from 'node:fs/promises';
import { stat } from 'node:fs/promises';

/** Gives a file that was made just now to the owner of `like`. Only root may give a file away; for everybody else it already is their own or the group's. */
export async function giveToOwnerOf(like: string, made: FileHandle): Promise<void> {
  try {
    const { uid, gid } = await stat(like);
    await made.chown(uid, gid);
  } catch {
    // It stays ours.
  }
}
