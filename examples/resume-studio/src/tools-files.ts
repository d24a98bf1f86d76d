// tools-files.ts: the two ways the tools write: a whole file at once, or one more line. And never outside their folder.

import { randomUUID } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { access, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StudioError, writeFailed } from './documents-error.ts';
import { idPattern } from './documents-schema.ts';

/** One line of the outbox. */
export interface OutboxLine {
  /** `<documentId>/<advertId>`. */
  readonly letter: string;
  readonly to: string;
  readonly subject: string;
  /** ISO 8601. */
  readonly at: string;
  /** The idempotency key of the call; null where its caller gave none. */
  readonly key: string | null;
}

/** `<folder>/<name>` below the output folder. Both come from outside, so both are looked at: no separator, no leading dot. */
export function outputFile(folder: string, name: string): string {
  if (!idPattern.test(folder) || !/^[\p{L}\p{N}][\p{L}\p{N}\p{M}._@-]{0,160}$/u.test(name)) {
    throw new StudioError('invalid_input', `"${folder}/${name}" is not a name for a file in the output folder`);
  }
  return `${folder}/${name}`;
}

/**
 * Replaces the file as a whole: a reader sees the old text or the new, never half. Returns the bytes written.
 * Aborted before the new text is in place, it leaves nothing.
 */
export async function writeWhole(root: string, file: string, text: string, signal?: AbortSignal): Promise<number> {
  const path = join(root, file);
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(temporary, text, { flag: 'wx' });
    signal?.throwIfAborted();
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    if (signal?.aborted) throw signal.reason;
    throw writeFailed(path, error);
  }
  return Buffer.byteLength(text);
}

/** Rejects with `not_found` when the file was never written. */
export async function mustExist(root: string, file: string): Promise<void> {
  await access(join(root, file)).catch((cause: unknown) => {
    throw new StudioError('not_found', `there is no draft ${file}`, { cause });
  });
}

/**
 * Appends one line in one write. Synchronous from the look at the signal to the write, so that an abort comes either
 * before the letter or after it, and O_APPEND, so that processes do not write into each other's lines.
 */
export function appendLine(path: string, line: string, signal?: AbortSignal): void {
  signal?.throwIfAborted();
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(path, 'a');
    try {
      const bytes = Buffer.from(`${line}\n`);
      const written = writeSync(file, bytes);
      if (written !== bytes.length) throw new Error(`wrote ${written} of ${bytes.length} bytes`);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw writeFailed(path, error);
  }
}

/** The letters sent so far; none when there is no outbox yet. A last line without its end (a process killed while writing) is not a letter. */
export function readOutbox(path: string): OutboxLine[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as OutboxLine);
}
