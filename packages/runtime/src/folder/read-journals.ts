// read-journals.ts: what the processes of a folder wrote down of their sessions, for one who only looks.
//
// A store that cannot write its folder opens in memory and finds no sessions there, which is right for a runtime: it may
// not resume what it cannot claim. Somebody who asks which sessions there are must be told all the same (S10), and
// leaves the folder as it was: nothing is made in it and nothing is cleared away.

import { resolve } from 'node:path';
import type { Breathe } from '../steps.ts';
import { codeOf, nodeFs, storeFailed } from './folder-fs.ts';
import { type Journals, readJournals } from './journals.ts';
import { isProcessAlive } from './processes.ts';

/**
 * Reads every journal of a state folder, on a full or read-only disk too. `damage` says what could not be read, and then
 * the journals are not all there are. None where no process has ever written one. Throws `store_failed` where they cannot be listed.
 * `breathe`: what is awaited every few milliseconds, so that others have their turn; where that throws, this rejects.
 */
export async function readFolderJournals(folder: string, breathe?: Breathe): Promise<Journals> {
  const path = resolve(folder);
  try {
    return await readJournals({
      disk: nodeFs,
      folder: path,
      isAlive: (process) => isProcessAlive(path, process),
      // Nothing is old enough to be cleared away.
      retentionMs: Number.POSITIVE_INFINITY,
      now: () => 0,
      breathe,
    });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { journals: [] };
    throw storeFailed(`the journals in ${path} cannot be listed, so which sessions were left there is not known`, error);
  }
}
