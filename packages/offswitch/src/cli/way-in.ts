// way-in.ts: whether there is such a folder; and of one that this user may not enter: whose it is, and the way in.

import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { CommandError } from './failure.ts';
import { clean } from './print.ts';

/** Throws `no_access` where that may not be looked at: it is not the same as none. */
export function isThere(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw new CommandError('no_access', `${clean(path)} cannot be looked at (${code})${wayIn(path, code)}`, undefined, {
      cause: error,
    });
  }
}

/** The end of a sentence about what was refused with this code: the owner, and how to do it as that user; '' where rights are not the matter. */
export function wayIn(path: string, code: string | undefined): string {
  if (code !== 'EACCES' && code !== 'EPERM') return '';
  for (let at = path; ; at = dirname(at)) {
    try {
      const { uid } = statSync(at);
      if (uid === process.getuid?.()) return '';
      return `; ${clean(at)} belongs to user ${uid}: do this as that user, with sudo -u '#${uid}' offswitch ...`;
    } catch {
      // What cannot be looked at is behind a folder that keeps us out.
      if (dirname(at) === at) return '';
    }
  }
}
