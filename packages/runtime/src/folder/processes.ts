// processes.ts: which processes of a folder run now.
//
// A process counts as alive while its local socket takes connections: the kernel closes it with the process however that
// dies, and keeps it for one that is only stopped. A pid would be somebody else's before long.

import { createHash } from 'node:crypto';
import { lstatSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { RuntimeError } from '../error.ts';
import { codeOf, type FolderFs, folderMode, nodeFs, removeIfThere, storeFailed } from './folder-fs.ts';

/** A running process that answers requests. */
export interface ProcessEntry {
  readonly process: string;
  readonly pid: number;
  /** Path of its local socket. */
  readonly socket: string;
  /** Epoch milliseconds. */
  readonly startedAt: number;
}

/** The kernel's `sun_path` holds 104 bytes on macOS and 108 on Linux, the closing zero included (unix(7), `sys/un.h`). */
export const maxSocketPathBytes = 100;

/** A process that takes this long to accept a connection is stopped or overloaded, and not dead. */
const connectTimeoutMs = 2000;

/** Where the sockets of this folder go: inside it, or in a short place of this user's own when its path is too long. */
export function socketFolder(folder: string): string {
  const inside = join(resolve(folder), 's');
  // A socket's name is its process id: 1 + 16 characters, and `/` and `.sock`.
  return Buffer.byteLength(inside) + 24 <= maxSocketPathBytes ? inside : outsideFolder(folder);
}

/** A short place for this folder's sockets, and for the process files of one that cannot be written. */
export function outsideFolder(folder: string): string {
  const hash = createHash('sha256').update(resolve(folder)).digest('hex').slice(0, 12);
  return join(tmpdir(), `offswitch-${process.getuid?.() ?? 0}-${hash}`);
}

/**
 * Makes the folder, or refuses one that somebody else put there: whoever owns it could answer in our name. Within a state folder it may be
 * its owner's, who could write there that nobody of ours runs.
 */
export function makePrivateFolder(path: string, disk: FolderFs = nodeFs, stateFolder?: string): void {
  disk.mkdirSync(path, { recursive: true, mode: folderMode });
  if (!isPrivateFolder(path) && !(stateFolder !== undefined && isPrivateFolder(path, statSync(stateFolder).uid)))
    throw new RuntimeError('store_failed', `${path} is not a folder of this user's alone; remove it, or pass another socketDir`);
}

function isPrivateFolder(path: string, owner = process.getuid?.()): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  const isOurs = owner === undefined || found?.uid === owner;
  return found !== undefined && isOurs && found.isDirectory() && (found.mode & 0o077) === 0;
}

export function processFile(folder: string, process: string): string {
  return join(folder, 'processes', `${process}.json`);
}

/**
 * The running processes of a state folder, oldest first. Files and sockets of dead ones are removed. Rejects with `store_failed` where
 * they cannot be listed: who runs is not known then, and that nobody does would be untrue (S10).
 */
export async function listProcesses(folder: string): Promise<readonly ProcessEntry[]> {
  const outside = outsideFolder(folder);
  const found = await Promise.all(
    // In a folder that somebody else put there none of ours can be.
    [join(folder, 'processes'), ...(isPrivateFolder(outside) ? [outside] : [])].map(async (place) => {
      const names = readNames(place).filter((name) => name.endsWith('.json'));
      return Promise.all(names.map((name) => livingProcess(folder, join(place, name), name.slice(0, -'.json'.length))));
    }),
  );
  return found
    .flat()
    .filter((entry) => entry !== undefined)
    .sort((a, b) => a.startedAt - b.startedAt);
}

/** True while the process that wrote this journal runs. */
export async function isProcessAlive(folder: string, process: string): Promise<boolean> {
  return (await livingProcess(folder, processFile(folder, process), process)) !== undefined;
}

async function livingProcess(folder: string, file: string, process: string): Promise<ProcessEntry | undefined> {
  const entry = readEntry(folder, file, process);
  if (!entry) return undefined;
  if (await isListening(entry.socket)) return entry;
  removeIfThere(nodeFs, entry.socket);
  removeIfThere(nodeFs, file);
  return undefined;
}

function readEntry(folder: string, file: string, process: string): ProcessEntry | undefined {
  // A file whose contents are lost, or may not be read, still names a process, whose socket is where sockets are.
  const guess: ProcessEntry = { process, pid: 0, socket: join(socketFolder(folder), `${process}.sock`), startedAt: 0 };
  let value: Partial<Record<keyof ProcessEntry, unknown>> | null;
  try {
    value = JSON.parse(nodeFs.readFileSync(file, 'utf8'));
  } catch (error) {
    return absent.has(codeOf(error)) ? undefined : guess;
  }
  if (typeof value !== 'object' || value === null || typeof value.socket !== 'string') return guess;
  return {
    process,
    socket: value.socket,
    pid: typeof value.pid === 'number' ? value.pid : 0,
    startedAt: typeof value.startedAt === 'number' ? value.startedAt : 0,
  };
}

const dead: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'EINVAL', 'ENOTSOCK']);

/** Any other failure (a full queue, a missing right) is no proof of death, and a living process must not be robbed of its sessions. */
function isListening(socket: string): Promise<boolean> {
  return new Promise((done) => {
    const connection = connect({ path: socket });
    const end = (answer: boolean): void => {
      connection.destroy();
      done(answer);
    };
    connection.setTimeout(connectTimeoutMs, () => end(true));
    connection.once('connect', () => end(true));
    connection.once('error', (error) => end(!dead.has(codeOf(error))));
  });
}

const absent: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR']);

function readNames(folder: string): string[] {
  try {
    return nodeFs.readdirSync(folder);
  } catch (error) {
    if (absent.has(codeOf(error))) return [];
    throw storeFailed(`who runs is not known: ${folder} cannot be listed`, error);
  }
}
