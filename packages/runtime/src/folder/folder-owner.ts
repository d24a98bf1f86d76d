// folder-owner.ts: what root makes in a state folder is its owner's. Files are for their owner alone, so that an application that runs as
// somebody else could not read why it was stopped, and would take the audit log of the command for a damaged one.

import { constants } from 'node:fs';
import type { FolderFs } from './folder-fs.ts';

/** The same disk; of root everything that is made anew is given to the owner of `folder`. Nobody but root can give anything away. */
export function keepsOwner(disk: FolderFs, folder: string): FolderFs {
  if (process.getuid?.() !== 0) return disk;
  /** By what is open, never by name: in a folder of somebody else's a name may be another file by now. */
  const give = (fd: number): void => {
    try {
      const { uid, gid } = disk.statSync(folder);
      if (uid !== 0 || gid !== 0) disk.fchownSync(fd, uid, gid);
    } catch {
      // A disk that has no owners, or a root that may not give: what was to be written goes before.
    }
  };
  const openSync: FolderFs['openSync'] = (path, flags, mode) => {
    const fd = disk.openSync(path, flags, mode);
    if (typeof flags === 'string' && flags.includes('x')) give(fd);
    return fd;
  };
  const mkdirSync = (path: string, options: Parameters<FolderFs['mkdirSync']>[1]): string | undefined => {
    const made = disk.mkdirSync(path, options);
    if (made === undefined) return made;
    const fd = disk.openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      give(fd);
    } finally {
      disk.closeSync(fd);
    }
    return made;
  };
  return { ...disk, openSync, mkdirSync: mkdirSync as FolderFs['mkdirSync'] };
}
