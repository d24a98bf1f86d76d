// source.ts: the port through which switch readings come in. Each vendor's adapter implements it; the contract suite
// `describeSwitchSource` of the testing package says what an implementation must hold.

import type { SwitchFlag } from './define.ts';
import type { Reading } from './reading.ts';
import type { Subject } from './subject.ts';

/** How far a source's data can be believed, by our own clock and not by what the SDK says of itself. */
export interface SourceHealth {
  /**
   * `starting`: no data yet. `fresh`: what is read is what the vendor holds. `stale`: reads answer from the last known data
   * (origin `cached`) or `unknown`. `closed`: nothing is read any more.
   */
  readonly state: 'starting' | 'fresh' | 'stale' | 'closed';
  /** Epoch milliseconds since which it is so. */
  readonly since: number;
  /** For `stale` and `starting`: what is wrong and, where there is one, the way out. */
  readonly why?: string;
}

/** Something may read differently now. `flagsChanged` names the keys, absent when the source cannot tell which. Health changes come this way too. */
export interface SourceChange {
  readonly flagsChanged?: readonly string[];
}

/** The value of a flag that is no switch, as the vendor evaluates it; the shape of OpenFeature's resolution details. */
export interface Resolution {
  readonly value?: unknown;
  readonly variant?: string;
  /** OpenFeature reason: STATIC, DEFAULT, TARGETING_MATCH, SPLIT, DISABLED, CACHED, ERROR, or the vendor's own. */
  readonly reason?: string;
  /** OpenFeature error code; present exactly when there is no value of the type asked for. */
  readonly errorCode?:
    | 'PROVIDER_NOT_READY'
    | 'FLAG_NOT_FOUND'
    | 'PARSE_ERROR'
    | 'TYPE_MISMATCH'
    | 'TARGETING_KEY_MISSING'
    | 'INVALID_CONTEXT'
    | 'GENERAL';
  readonly errorMessage?: string;
  readonly flagMetadata?: Readonly<Record<string, string | number | boolean>>;
}

export type FlagType = 'boolean' | 'string' | 'number' | 'object';

export interface SwitchSource {
  /** What people call it: `flag-file`, `launchdarkly`. Shown in status and telemetry. */
  readonly name: string;
  /** Where it reads from, for people: a path, a host and project. No secrets. */
  readonly location?: string;
  /**
   * Starts it. Bounded: settles within a few seconds even where the vendor does not answer (health is then `starting` or
   * `stale`). Rejects on bad configuration only, never on a slow vendor.
   */
  open(): Promise<void>;
  /** From memory, never a network call; never throws. Synchronous where the vendor's evaluation is. */
  read(flag: SwitchFlag, subject: Subject): Reading | Promise<Reading>;
  readonly health: SourceHealth;
  /** The listener is called after the change can be read. A throwing listener does not stop the others. Returns the way to stop listening. */
  subscribe(listener: (change: SourceChange) => void): () => void;
  /** Asks the vendor now instead of at the next poll, where it can (the express lane). Never throws. */
  refresh?(): Promise<void>;
  /** Evaluates a flag that is no switch, as the vendor does. */
  resolve?(flagKey: string, type: FlagType, context: Readonly<Record<string, unknown>>): Resolution | Promise<Resolution>;
  /** Leaves no timer, socket or listener behind. Idempotent. */
  close(): Promise<void>;
}
