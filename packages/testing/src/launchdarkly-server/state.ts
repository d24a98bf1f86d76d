// state.ts: what the scripted LaunchDarkly stores, and who is told when it changes.

import { randomUUID } from 'node:crypto';
import { flagFrom, type LdFlag, type LdFlagSeed, type LdSegment, sdkFlag, sdkSegment } from './model.ts';

/** One message of the stream `/all`. */
export interface StreamMessage {
  readonly event: 'put' | 'patch' | 'delete';
  readonly data: unknown;
}

export interface AuditEntry {
  readonly _id: string;
  /** Epoch milliseconds. */
  readonly date: number;
  readonly kind: 'flag' | 'segment';
  readonly key: string;
  readonly comment: string;
  readonly instructions: readonly unknown[];
}

/** Everything stored, to go back to: an older data set after a newer one is one of the faults. */
export interface LdSnapshot {
  readonly flags: ReadonlyMap<string, LdFlag>;
  readonly segments: ReadonlyMap<string, LdSegment>;
}

export interface LdState {
  readonly flags: ReadonlyMap<string, LdFlag>;
  readonly segments: ReadonlyMap<string, LdSegment>;
  readonly audit: readonly AuditEntry[];
  /** Counts every change; the ETag of `/sdk/latest-all`. */
  readonly revision: number;
  /** As SDKs get it: what is stored, or what was. */
  all(from?: LdSnapshot): { readonly flags: Record<string, unknown>; readonly segments: Record<string, unknown> };
  seed(seed: LdFlagSeed): LdFlag;
  putFlag(flag: LdFlag): LdFlag;
  deleteFlag(key: string): void;
  putSegment(segment: Omit<LdSegment, 'version'>): LdSegment;
  record(entry: Omit<AuditEntry, '_id' | 'date'>): void;
  snapshot(): LdSnapshot;
  restore(snapshot: LdSnapshot): void;
}

export function createState(announce: (message: StreamMessage) => void): LdState {
  let flags = new Map<string, LdFlag>();
  let segments = new Map<string, LdSegment>();
  const audit: AuditEntry[] = [];
  const tombstones = new Map<string, number>();
  let revision = 1;

  const all = (from: LdSnapshot = { flags, segments }): ReturnType<LdState['all']> => ({
    flags: Object.fromEntries(
      [...from.flags.values()].filter((flag) => !flag.archived).map((flag) => [flag.key, sdkFlag(flag)] as const),
    ),
    segments: Object.fromEntries([...from.segments.values()].map((one) => [one.key, sdkSegment(one)] as const)),
  });
  const gone = (key: string, version: number): void => {
    tombstones.set(key, version);
    announce({ event: 'delete', data: { path: `/flags/${key}`, version } });
  };
  const put = (flag: LdFlag): LdFlag => {
    revision++;
    flags.set(flag.key, flag);
    if (flag.archived) gone(flag.key, flag.config.version);
    else announce({ event: 'patch', data: { path: `/flags/${flag.key}`, data: sdkFlag(flag) } });
    return flag;
  };
  return {
    get flags() {
      return flags;
    },
    get segments() {
      return segments;
    },
    audit,
    get revision() {
      return revision;
    },
    all,
    seed(seed) {
      const version = Math.max(flags.get(seed.key)?.config.version ?? 0, tombstones.get(seed.key) ?? 0) + 1;
      return put(flagFrom(seed, version));
    },
    putFlag(flag) {
      const before = flags.get(flag.key)?.config.version ?? 0;
      const version = Math.max(before, tombstones.get(flag.key) ?? 0) + 1;
      return put({ ...flag, _version: flag._version + 1, config: { ...flag.config, version } });
    },
    deleteFlag(key) {
      const before = flags.get(key);
      if (!before) return;
      revision++;
      flags.delete(key);
      gone(key, before.config.version + 1);
    },
    putSegment(segment) {
      revision++;
      const next: LdSegment = { ...segment, version: (segments.get(segment.key)?.version ?? 0) + 1 };
      segments.set(next.key, next);
      announce({ event: 'patch', data: { path: `/segments/${next.key}`, data: sdkSegment(next) } });
      return next;
    },
    record(entry) {
      audit.unshift({ _id: randomUUID(), date: Date.now(), ...entry });
    },
    snapshot: () => ({ flags: new Map(flags), segments: new Map(segments) }),
    restore(snapshot) {
      revision++;
      flags = new Map(snapshot.flags);
      segments = new Map(snapshot.segments);
      announce({ event: 'put', data: { path: '/', data: all() } });
    },
  };
}
