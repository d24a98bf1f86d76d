// journals.ts: reads back what was written of graphs: by whom, in which order, and which of it belongs to which local root.

import { type JournalRecord, type StoreOpening, subjectKey } from '@offswitch/runtime';
import type { Reply } from './connection/link.ts';
import type { Wire } from './connection/wire.ts';

/** Entries of one read. Records are small, and one may be of several megabytes. */
const page = 500;
/** Graphs asked for at once. */
const graphsTogether = 50;

export interface Left {
  readonly journals: StoreOpening['journals'];
  readonly claims: StoreOpening['claims'];
  /** For each session, its local root. */
  readonly localRoots: ReadonlyMap<string, string>;
  readonly epochs: ReadonlyMap<string, number>;
}

/**
 * What was written of these graphs. `isOurs`: only sessions whose nearest local root it says so of; absent: all. A record that cannot
 * be read as one makes the whole unreadable, with words that name the key.
 */
export async function readLeft(
  wire: Wire,
  prefix: string,
  roots: readonly string[],
  isAlive: (process: string) => boolean,
  isOurs?: (localRoot: string, root: string) => boolean,
): Promise<Left> {
  const journals = new Map<string, { process: string; alive: boolean; records: JournalRecord[] }>();
  const claims: { session: string; epoch: number; alive: boolean }[] = [];
  const localRoots = new Map<string, string>();
  const epochs = new Map<string, number>();
  for (let i = 0; i < roots.length; i += graphsTogether) {
    const some = await Promise.all(roots.slice(i, i + graphsTogether).map((root) => readGraph(wire, prefix, root)));
    for (const { root, entries, owners, claimed } of some) {
      const nearest = new Map<string, string>();
      for (const { record } of entries)
        if (record.t === 'session') nearest.set(record.s, record.path.findLast((id) => owners.has(id)) ?? record.root);
      const isWanted = (session: string): boolean => isOurs?.(nearest.get(session) ?? root, root) ?? true;
      for (const { process, record } of entries) {
        if (!isWanted(record.s)) continue;
        localRoots.set(record.s, nearest.get(record.s) ?? root);
        const journal = journals.get(process) ?? { process, alive: isAlive(process), records: [] };
        journals.set(process, journal);
        journal.records.push(record);
      }
      for (const [session, { epoch, process }] of claimed) {
        if (!isWanted(session)) continue;
        epochs.set(session, epoch);
        claims.push({ session: subjectKey(session), epoch, alive: isAlive(process) });
      }
    }
  }
  return { journals: [...journals.values()], claims, localRoots, epochs };
}

async function readGraph(wire: Wire, prefix: string, root: string) {
  const key = (name: string): string => `${prefix}:{${root}}:${name}`;
  const [owners, claimed] = await Promise.all([wire.call(['HGETALL', key('o')]), wire.call(['HGETALL', key('e')])]);
  const entries: { readonly process: string; readonly record: JournalRecord }[] = [];
  for (let from = '-'; ; ) {
    const found = (await wire.call(['XRANGE', key('j'), from, '+', 'COUNT', String(page)])) as readonly (readonly [
      string,
      readonly string[],
    ])[];
    for (const [id, flat] of found) {
      const process = flat[flat.indexOf('p') + 1] ?? '';
      const text = flat[flat.indexOf('d') + 1] ?? '';
      entries.push({ process, record: recordIn(text, key('j'), id) });
    }
    if (found.length < page) break;
    from = `(${found.at(-1)![0]}`;
  }
  return {
    root,
    entries,
    owners: new Map(pairs(owners)),
    claimed: new Map(pairs(claimed).map(([session, value]) => [session, claimIn(value)])),
  };
}

function recordIn(text: string, key: string, id: string): JournalRecord {
  try {
    const record = JSON.parse(text) as JournalRecord;
    if (typeof record.s === 'string' && typeof record.t === 'string') return record;
  } catch {
    // Told below, with its place.
  }
  throw new Error(`the journal ${key} is damaged at ${id}: delete that entry, or the key; the sessions in it are lost`);
}

function claimIn(value: string): { readonly epoch: number; readonly process: string } {
  const [epoch, process = ''] = value.split(' ');
  return { epoch: Number(epoch), process };
}

export function pairs(reply: Reply): [string, string][] {
  const flat = Array.isArray(reply) ? (reply as readonly Reply[]) : [];
  const out: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) out.push([String(flat[i]), String(flat[i + 1])]);
  return out;
}
