// options.ts: a flag file as its users see it: what may be set, and what they get.

import type { FlagType, KillSwitches, Reading, Resolution, Subject, SwitchFlag, SwitchSource } from '@offswitch/core';
import type { LintFinding } from './finding.ts';

export interface FlagFileOptions {
  /** Names the history that positions belong to (S3). Default: a hash of host name and absolute path. Give one where hosts come and go and share the file. */
  readonly series?: string;
  /**
   * How long a missing or half-written file keeps the last good data, live and without a gap, because editors truncate and
   * rewrite. Milliseconds. Default 100. `0`: every such moment is a gap.
   */
  readonly settleMs?: number;
  /** How often the file is looked at even when the watch is silent. Milliseconds. Default 1000. */
  readonly pollMs?: number;
  /** Largest file that is read. Bytes. Default 16 MiB; a larger one is `too-large` and counts as unreadable. */
  readonly maxBytes?: number;
  /** Wall clock for `health.since`. Default `Date.now`. */
  readonly now?: () => number;
  /** The declared switches, so that health and `lint` judge them before anybody reads them. Default: keys that start with `killswitch.`. */
  readonly switches?: KillSwitches;
}

export interface FlagFileSource extends SwitchSource {
  readonly location: string;
  read(flag: SwitchFlag, subject: Subject): Reading;
  resolve(flagKey: string, type: FlagType, context: Readonly<Record<string, unknown>>): Resolution;
  refresh(): Promise<void>;
  /** Every finding of the file as it is on disk now. A file that cannot be read at all is one finding. */
  lint(): Promise<readonly LintFinding[]>;
}
