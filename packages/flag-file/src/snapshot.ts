// snapshot.ts: the bytes of the file at one moment, whole or not at all.

import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { resolve } from 'node:path';

/** Largest file that is read. Bytes. 16 MiB: some 400,000 targets, far past what one evaluation should search. */
export const defaultMaxBytes: number = 16 * 1024 * 1024;

export type Snapshot =
  | { readonly ok: true; readonly text: string; readonly signature: string; readonly isYoung: boolean }
  | {
      readonly ok: false;
      readonly kind: 'missing' | 'too-large' | 'unreadable';
      readonly why: string;
      readonly signature: string;
    };

/** Host and absolute path, hashed. The control and the source of one file agree on it, whatever the working directory. */
export function defaultSeries(path: string): string {
  return `file:${createHash('sha256')
    .update(`${hostname()}\0${resolve(path)}`)
    .digest('hex')
    .slice(0, 16)}`;
}

/**
 * What tells two versions of a file apart without reading it. A write within the same tick of the file system's clock as
 * the last read can leave it unchanged, which is why a young snapshot is read again.
 */
export async function signatureOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join('.');
  } catch (error) {
    return `!${codeOf(error)}`;
  }
}

/** Coarsest clock a local file system stamps files with, doubled. Milliseconds. Linux ticks at 4 to 10 ms. */
const youngMs = 20;

export async function readSnapshot(path: string, maxBytes: number): Promise<Snapshot> {
  let signature = '!';
  try {
    // Non-blocking, so that a pipe put in the file's place cannot hang us in open().
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      for (let attempt = 0; ; attempt++) {
        const before = await handle.stat({ bigint: true });
        signature = [before.dev, before.ino, before.size, before.mtimeNs, before.ctimeNs].join('.');
        if (!before.isFile())
          return { ok: false, kind: 'unreadable', why: 'it is not a regular file; put the flag file there', signature };
        if (before.size > BigInt(maxBytes)) {
          const why = `it has ${before.size} bytes and at most ${maxBytes} are read; take finished sessions out of its lists, or raise maxBytes`;
          return { ok: false, kind: 'too-large', why, signature };
        }
        const bytes = Buffer.alloc(Number(before.size));
        let length = 0;
        while (length < bytes.length) {
          const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length);
          if (bytesRead === 0) break;
          length += bytesRead;
        }
        const after = await handle.stat({ bigint: true });
        // Written while we read: what we have may be half old, half new.
        if (attempt < 3 && (after.mtimeNs !== before.mtimeNs || after.size !== before.size || length < bytes.length)) continue;
        const isYoung = Date.now() - Number(before.mtimeNs / 1_000_000n) < youngMs;
        return { ok: true, text: decode(bytes.subarray(0, length)), signature, isYoung };
      }
    } finally {
      await handle.close();
    }
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      return {
        ok: false,
        kind: 'missing',
        why: 'there is no such file; provision it with the `offswitch` command, or restore it',
        signature: `!${code}`,
      };
    }
    const why = `it cannot be read (${code}); ${code === 'EACCES' ? 'give this process permission to read it' : 'restore it'}`;
    return { ok: false, kind: 'unreadable', why, signature: signature === '!' ? `!${code}` : signature };
  }
}

function decode(bytes: Buffer): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}

export function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error)
    return String(error.code) === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'it is not UTF-8' : String(error.code);
  return error instanceof Error ? error.message : String(error);
}
