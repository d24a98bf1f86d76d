// journals.ts: reads back what was written of graphs: by whom, in which order, and which of it belongs to which local root.

import {
  type JournalRecord,
  type LineageStore,
  RuntimeError,
  type SettledRecord,
  type StoreOpening,
  subjectKey,
} from '@offswitch/runtime';
import type { Reply } from './connection/link.ts';
import type { Wire } from './connection/wire.ts';

/** Entries of one read. Records are small, and one may be of several megabytes. */
const page = 500;
/** How long one of them, or of receipts, may take: it may be of hundreds of megabytes. What is asked for behind it waits as long where the connection has gone silent. Milliseconds. */
export const pageTimeoutMs = 10_000;
/** Graphs asked for at once. */
const graphsTogether = 50;

export interface Left {
  readonly journals: StoreOpening['journals'];
  readonly claims: StoreOpening['claims'];
  /** For each session, its local root. */
  readonly localRoots: ReadonlyMap<string, string>;
  readonly epochs: ReadonlyMap<string, number>;
  /** Roots whose graphs cannot be read as they are, with words for people. */
  readonly unreadable: ReadonlyMap<string, string>;
}

/**
 * What was written of these graphs by sessions whose nearest local root `isOurs`. Whoever wrote it is gone, or was counted as gone. A record that cannot
 * be read as one makes its graph unreadable, with words that name the key, and no other.
 */
export async function readLeft(
  wire: Wire,
  prefix: string,
  roots: readonly string[],
  isOurs: (localRoot: string, root: string) => boolean,
): Promise<Left> {
  const journals = new Map<string, { process: string; alive: boolean; records: JournalRecord[] }>();
  const claims: { session: string; epoch: number; alive: boolean }[] = [];
  const localRoots = new Map<string, string>();
  const epochs = new Map<string, number>();
  const unreadable = new Map<string, string>();
  const readOne = (root: string) =>
    readGraph(wire, prefix, root).catch((error: unknown) => {
      // Nothing can be read now.
      if (RuntimeError.is(error)) throw error;
      unreadable.set(root, error instanceof Error ? error.message : String(error));
      return undefined;
    });
  for (let i = 0; i < roots.length; i += graphsTogether) {
    const some = await Promise.all(roots.slice(i, i + graphsTogether).map(readOne));
    for (const { root, entries, owners, claimed } of some.filter((one) => one !== undefined)) {
      const nearest = new Map<string, string>();
      for (const { record } of entries)
        if (record.t === 'session') nearest.set(record.s, record.path.findLast((id) => owners.has(id)) ?? record.root);
      // One that came from another process may have been claimed, and nothing of it be written.
      const isWanted = (session: string): boolean => isOurs(nearest.get(session) ?? (owners.has(session) ? session : root), root);
      for (const { process, record } of entries) {
        if (!isWanted(record.s)) continue;
        localRoots.set(record.s, nearest.get(record.s) ?? root);
        const journal = journals.get(process) ?? { process, alive: false, records: [] };
        journals.set(process, journal);
        journal.records.push(record);
      }
      for (const [session, { epoch }] of claimed) {
        if (!isWanted(session)) continue;
        epochs.set(session, epoch);
        claims.push({ session: subjectKey(session), epoch, alive: false });
      }
    }
  }
  return { journals: [...journals.values()], claims, localRoots, epochs, unreadable };
}

async function readGraph(wire: Wire, prefix: string, root: string) {
  const key = (name: string): string => `${prefix}:{${root}}:${name}`;
  const [owners, claimed] = await Promise.all([wire.call(['HGETALL', key('o')]), wire.call(['HGETALL', key('e')])]);
  const entries: { readonly process: string; readonly record: JournalRecord }[] = [];
  for (let from = '-'; ; ) {
    const found = (await wire.call(['XRANGE', key('j'), from, '+', 'COUNT', String(page)], pageTimeoutMs)) as readonly (readonly [
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

/** Who has claimed this session last. */
export async function readClaim(wire: Wire, prefix: string, session: string, root: string): ReturnType<LineageStore['claimed']> {
  const value = await wire.call(['HGET', `${prefix}:{${root}}:e`, session]);
  return typeof value === 'string' ? claimIn(value) : undefined;
}

/** How these sessions of one graph ended, read once from the end of its journal. */
export async function readEnds(
  wire: Wire,
  prefix: string,
  root: string,
  sessions: readonly string[],
): Promise<ReadonlyMap<string, SettledRecord>> {
  const key = `${prefix}:{${root}}:j`;
  const missing = new Set(sessions);
  const ends = new Map<string, SettledRecord>();
  for (let to = '+'; missing.size > 0; ) {
    const argv = ['XREVRANGE', key, to, '-', 'COUNT', String(page)];
    const found = (await wire.call(argv, pageTimeoutMs)) as readonly Entry[];
    for (const [id, flat] of found) {
      const text = flat[flat.indexOf('d') + 1] ?? '';
      // Most are no ends; only what may be one is taken apart.
      if (!text.includes('"settled"')) continue;
      const record = recordIn(text, key, id);
      if (record.t === 'settled' && missing.delete(record.s)) ends.set(record.s, record);
    }
    if (found.length < page) break;
    to = `(${found.at(-1)![0]}`;
  }
  return ends;
}

/** Is there any record of a session in its graph's journal? */
export async function hasRecord(wire: Wire, prefix: string, session: string, root: string): Promise<boolean> {
  const key = `${prefix}:{${root}}:j`;
  const mark = `"s":${JSON.stringify(session)}`;
  for (let from = '-'; ; ) {
    const found = (await wire.call(['XRANGE', key, from, '+', 'COUNT', String(page)], pageTimeoutMs)) as readonly Entry[];
    for (const [id, flat] of found) {
      const text = flat[flat.indexOf('d') + 1] ?? '';
      if (text.includes(mark) && recordIn(text, key, id).s === session) return true;
    }
    if (found.length < page) return false;
    from = `(${found.at(-1)![0]}`;
  }
}

type Entry = readonly [id: string, fields: readonly string[]];

export function pairs(reply: Reply): [string, string][] {
  const flat = Array.isArray(reply) ? (reply as readonly Reply[]) : [];
  const out: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) out.push([String(flat[i]), String(flat[i + 1])]);
  return out;
}
