// epochs.ts: what the journals say of who ran a session when: each resume in an epoch of its own, and one process in each (I6).

import { folderStore, type JournalRecord } from '@offswitch/runtime';
import type { Scene } from './scene.ts';

export interface Written {
  readonly process: string;
  readonly record: Pick<JournalRecord, 's' | 'e'>;
}

/** `inOrder`: they are in the order in which the store took them in. */
export function sharedEpochs(written: readonly Written[], inOrder: boolean): string[] {
  const faults = new Set<string>();
  const writers = new Map<string, string>();
  const highest = new Map<string, number>();
  for (const { process, record } of written) {
    const { s, e } = record;
    const epoch = `${s} ${e}`;
    const writer = writers.get(epoch) ?? process;
    writers.set(epoch, writer);
    if (writer !== process) faults.add(`I6: ${writer} and ${process} wrote of ${s} in one epoch, ${e}`);
    const before = highest.get(s) ?? 0;
    highest.set(s, Math.max(before, e));
    if (inOrder && e < before) faults.add(`I6: ${process} wrote of ${s} in epoch ${e} after it was claimed in ${before}`);
  }
  return [...faults];
}

export async function judgeEpochs({ redis, folder }: Scene): Promise<readonly string[]> {
  if (!redis) return sharedEpochs(await inFolder(folder), false);
  const keys = (await redis.server.command('KEYS', 'os1:*:j')).split('\n').filter((key) => key !== '');
  const graphs = await Promise.all(keys.map(async (key) => entriesOf(await redis.server.command('XRANGE', key, '-', '+'))));
  return graphs.flatMap((written) => sharedEpochs(written, true));
}

async function inFolder(path: string): Promise<readonly Written[]> {
  const store = folderStore(path);
  try {
    const { journals } = await store.open();
    return journals.flatMap(({ process, records }) => records.map((record) => ({ process, record })));
  } finally {
    await store.close();
  }
}

/** As redis-cli prints entries: an id, and then each field's name and value, here a process and a record. */
function entriesOf(text: string): readonly Written[] {
  const written: Written[] = [];
  let process = '';
  for (const line of text.split('\n'))
    if (line.startsWith('{')) written.push({ process, record: JSON.parse(line) as Written['record'] });
    else if (line.startsWith('p') && line.length > 1) process = line;
  return written;
}
