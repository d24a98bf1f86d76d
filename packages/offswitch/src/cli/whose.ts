// whose.ts: a place that this user may not enter: whose it is, and the way in.

import { statSync } from 'node:fs';
import { dirname } from 'node:path';

const refusals: ReadonlySet<unknown> = new Set(['EACCES', 'EPERM']);

/** Whether the system has said that this user may not. */
export function isRefusal(code: unknown): boolean {
  return refusals.has(code);
}

/** The end of a sentence about what was refused: the owner, and how to do it as that user; '' where the place is this user's own. */
export function wayIn(path: string): string {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { uid } = statSync(at);
      if (uid === process.getuid?.()) return '';
      return `; ${at} belongs to user ${uid}: do this as that user, with sudo -u '#${uid}' offswitch ...`;
    } catch {
      // What cannot be looked at is behind a folder that keeps us out.
      if (dirname(at) === at) return '';
    }
  }
}
