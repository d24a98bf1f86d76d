// socket-owner.ts: a local socket is for the owner of its folder alone, also where root made it: a socket that its folder's owner may not
// reach tells of no death, and whoever made it would count as running for good.

import { chmodSync, chownSync, closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileMode } from './folder-fs.ts';

/** `O_PATH` of Linux (open(2)), which node:fs does not name: a socket cannot be opened otherwise. */
const openPath = 0o10000000;

/** Throws where root cannot give away what it made; elsewhere than on Linux that is always so. */
export function keepForOwner(socket: string): void {
  const { uid, gid } = statSync(dirname(socket));
  if (process.getuid?.() !== 0 || uid === 0) {
    chmodSync(socket, fileMode);
    return;
  }
  // By what was made, never by name: in a folder of somebody else's a name may be another file by now, or lead to one.
  const fd = openSync(socket, openPath | constants.O_NOFOLLOW);
  try {
    const found = fstatSync(fd);
    if (!found.isSocket() || found.uid !== 0 || found.nlink !== 1) throw new Error(`${socket} is not the socket that was made`);
    chmodSync(`/proc/self/fd/${fd}`, fileMode);
    chownSync(`/proc/self/fd/${fd}`, uid, gid);
  } finally {
    closeSync(fd);
  }
}
