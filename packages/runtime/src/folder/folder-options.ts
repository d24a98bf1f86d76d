// folder-options.ts: what may be set of a state folder.

import type { Clock } from '../clock.ts';
import type { FolderFs } from './folder-fs.ts';

export interface FolderStoreOptions {
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** The disk. Tests pass one that fails. Default: `node:fs`. */
  readonly fs?: FolderFs;
  /** How long a stop of another process may go unnoticed where the system gives no notice. Milliseconds, default 500; three `stat` calls each. */
  readonly watchPollMs?: number;
  /** How long the journal of a settled graph is kept. Milliseconds, default 7 days: a week's holiday does not lose what happened. */
  readonly retentionMs?: number;
  /** A journal goes on in a new file past this. Bytes, default 32 MiB: read back in a fraction of a second. */
  readonly maxSegmentBytes?: number;
  /** Where the local socket goes. Default: `<folder>/s`, or a folder of this user in the temporary folder where that path is too long for a socket. */
  readonly socketDir?: string;
}
