// control-point.ts: this process's socket and the file that tells of it.
//
// It listens before it is announced, and is announced before its journal exists: whoever finds the journal can already ask
// whether its writer lives.

import { dirname, join } from 'node:path';
import { RuntimeError } from '../error.ts';
import type { ControlHandler } from '../store.ts';
import type { AtomicFiles } from './atomic-file.ts';
import { type ControlServer, startControlServer } from './control-server.ts';
import { type FolderFs, nodeFs, removeIfThere, storeFailed } from './folder-fs.ts';
import {
  makePrivateFolder,
  maxSocketPathBytes,
  outsideFolder,
  type ProcessEntry,
  processFile,
  socketFolder,
} from './processes.ts';

export interface ControlPointOptions {
  /** The state folder cannot be written: announce it where the command line looks besides. */
  readonly isOutside: boolean;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly socketDir?: string;
  /** Does listening alone keep the process running? */
  readonly keepsAlive: boolean;
}

export class ControlPoint {
  private readonly folder: string;
  private readonly processId: string;
  private readonly atomic: AtomicFiles;
  private readonly disk: FolderFs;
  private server: ControlServer | undefined;
  private file: string | undefined;

  constructor(folder: string, processId: string, atomic: AtomicFiles, disk: FolderFs) {
    this.folder = folder;
    this.processId = processId;
    this.atomic = atomic;
    this.disk = disk;
  }

  /** The path of the socket. Rejects with `store_failed` when there is no place to listen. */
  async open(handler: ControlHandler, options: ControlPointOptions): Promise<string> {
    if (this.server) throw new RuntimeError('invalid_option', 'this store serves already');
    const { folder, processId } = this;
    const outside = outsideFolder(folder);
    const place = options.socketDir ?? (options.isOutside ? outside : socketFolder(folder));
    const { server, socket } = await this.listen(
      place,
      options.socketDir === undefined ? outside : place,
      handler,
      options.keepsAlive,
    );
    this.server = server;
    this.file = options.isOutside ? join(outside, `${processId}.json`) : processFile(folder, processId);
    const entry: ProcessEntry = { process: processId, pid: process.pid, socket, startedAt: options.startedAt };
    try {
      if (options.isOutside) makePrivateFolder(outside);
      await this.atomic.write(this.file, entry);
    } catch (error) {
      await this.close();
      throw error;
    }
    return socket;
  }

  async close(): Promise<void> {
    if (this.file !== undefined) removeIfThere(nodeFs, this.file);
    await this.server?.close();
  }

  private async listen(
    place: string,
    otherPlace: string,
    handler: ControlHandler,
    keepsAlive: boolean,
  ): Promise<{ server: ControlServer; socket: string }> {
    const socket = join(place, `${this.processId}.sock`);
    try {
      if (Buffer.byteLength(socket) > maxSocketPathBytes) {
        throw new RuntimeError(
          'invalid_option',
          `the path of the local socket, ${socket}, is longer than the ${maxSocketPathBytes} bytes a socket may have; pass a shorter socketDir`,
        );
      }
      if (dirname(place) === this.folder) makePrivateFolder(place, this.disk, this.folder);
      else makePrivateFolder(place);
      return { server: await startControlServer(socket, handler, keepsAlive), socket };
    } catch (error) {
      // Some file systems hold no sockets (shared folders of virtual machines); the temporary folder does.
      if (place !== otherPlace) return this.listen(otherPlace, otherPlace, handler, keepsAlive);
      throw RuntimeError.is(error) ? error : storeFailed(`no local socket could be opened at ${socket}`, error);
    }
  }
}
