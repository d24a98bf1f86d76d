// folder-fs.ts: the few calls of node:fs that the folder store makes, so that a test can make each of them fail.

import fs from 'node:fs';
import { RuntimeError } from '../error.ts';

/** Every disk access of the store goes through one of these. */
export type FolderFs = Pick<
  typeof fs,
  | 'accessSync'
  | 'closeSync'
  | 'fchownSync'
  | 'fdatasync'
  | 'fsync'
  | 'ftruncateSync'
  | 'linkSync'
  | 'mkdirSync'
  | 'openSync'
  | 'readdirSync'
  | 'readFileSync'
  | 'renameSync'
  | 'statSync'
  | 'unlinkSync'
  | 'watch'
  | 'writeSync'
>;

export const nodeFs: FolderFs = fs;

/** Only the owner reads what agents did: inputs and results are in here. */
export const folderMode = 0o700;
export const fileMode = 0o600;

/** `ENOENT` and the like; '' for what is no system error. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** The one error of this store: what could not be done, to which file, and the system's own words. */
export function storeFailed(what: string, cause?: unknown): RuntimeError {
  const words = cause === undefined ? '' : `: ${cause instanceof Error ? cause.message : String(cause)}`;
  return new RuntimeError('store_failed', `${what}${words}`, { cause });
}

/** Flushes a directory, which is what makes the names in it durable. */
export function flushFolder(disk: FolderFs, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fd = disk.openSync(path, 'r');
    disk.fsync(fd, (error) => {
      disk.closeSync(fd);
      if (error) reject(error);
      else resolve();
    });
  });
}

/** Removes a file that may be gone already; what cannot be removed stays, and is met again. */
export function removeIfThere(disk: FolderFs, path: string): void {
  try {
    disk.unlinkSync(path);
  } catch {
    // Another process cleared it away first, or the disk is read-only: nothing depends on it.
  }
}
