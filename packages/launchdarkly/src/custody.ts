// custody.ts: which data counts. It keeps what was accepted, by version, and decides what to make of what comes next.
//
// Two ways bring data: the stream, which is quick, and the poll, which confirms. They meet here: versions only grow, so either
// may run ahead of the other and nothing is taken back (S3).

import type { Everything, Item, Namespace } from './payload.ts';

export interface Comparison {
  /** Items of which the other has a newer version, or that only it has. */
  readonly newer: readonly (readonly [Namespace, Item])[];
  /** How many items it has in an older version. */
  readonly older: number;
  /** Items that are held here and that it does not have. */
  readonly missing: readonly string[];
}

export interface Custody {
  readonly hasData: boolean;
  readonly isEmpty: boolean;
  /** The accepted version; undefined for what is not held. */
  versionOf(namespace: Namespace, key: string): number | undefined;
  compare(all: Everything): Comparison;
  /** Everything anew. Answers the keys of flags that differ, or undefined where a segment does, which can touch any flag. */
  replace(all: Everything): readonly string[] | undefined;
  /** False: it is as old as what is held, or older. */
  put(namespace: Namespace, item: Item): boolean;
  remove(namespace: Namespace, key: string, version: number): boolean;
  everything(): { readonly flags: Readonly<Record<string, Item>>; readonly segments: Readonly<Record<string, Item>> };
}

const namespaces = ['flags', 'segments'] as const;

export function createCustody(): Custody {
  let held: Readonly<Record<Namespace, Map<string, Item>>> = { flags: new Map(), segments: new Map() };
  // Versions of what was deleted: a patch that was on its way must not bring it back.
  const gone = new Map<string, number>();
  let hasData = false;
  const isNewer = (namespace: Namespace, key: string, version: number): boolean =>
    version > (held[namespace].get(key)?.version ?? gone.get(`${namespace}/${key}`) ?? -1);

  return {
    get hasData() {
      return hasData;
    },
    get isEmpty() {
      return held.flags.size === 0;
    },
    versionOf: (namespace, key) => held[namespace].get(key)?.version,
    compare(all) {
      const newer: [Namespace, Item][] = [];
      const missing: string[] = [];
      let older = 0;
      for (const namespace of namespaces) {
        for (const [key, item] of all[namespace]) {
          const own = held[namespace].get(key)?.version;
          if (own === undefined ? isNewer(namespace, key, item.version) : item.version > own) newer.push([namespace, item]);
          else if (own === undefined || item.version < own) older++;
        }
        for (const key of held[namespace].keys()) if (!all[namespace].has(key)) missing.push(`${namespace}/${key}`);
      }
      return { newer, older, missing };
    },
    replace(all) {
      const before = held;
      const had = hasData;
      held = { flags: new Map(all.flags), segments: new Map(all.segments) };
      for (const namespace of namespaces) {
        // Left out, it may come back as it was, and never older: an answer that lags is no history.
        for (const [key, { version }] of before[namespace])
          if (!held[namespace].has(key)) gone.set(`${namespace}/${key}`, version - 1);
        for (const key of held[namespace].keys()) gone.delete(`${namespace}/${key}`);
      }
      hasData = true;
      if (!had) return undefined;
      const changed = (namespace: Namespace): string[] =>
        [...new Set([...before[namespace].keys(), ...held[namespace].keys()])].filter(
          (key) => before[namespace].get(key)?.version !== held[namespace].get(key)?.version,
        );
      return changed('segments').length > 0 ? undefined : changed('flags');
    },
    put(namespace, item) {
      if (!isNewer(namespace, item.key, item.version)) return false;
      if (item.deleted === true) {
        held[namespace].delete(item.key);
        gone.set(`${namespace}/${item.key}`, item.version);
      } else held[namespace].set(item.key, item);
      return true;
    },
    remove(namespace, key, version) {
      if (!isNewer(namespace, key, version)) return false;
      held[namespace].delete(key);
      gone.set(`${namespace}/${key}`, version);
      return true;
    },
    everything: () => ({ flags: Object.fromEntries(held.flags), segments: Object.fromEntries(held.segments) }),
  };
}
