// grant-files.ts: grants in the state folder: one small file per grant and process that wrote of it, there whole or not at all.
//
//   grants/<grant>.<process>.json

import { join } from 'node:path';
import { type GrantRecord, type GrantStore, isGrantRecord, joinParts } from '../grants/grant-record.ts';
import type { AtomicFiles } from './atomic-file.ts';
import { type FolderFs, removeIfThere, storeFailed } from './folder-fs.ts';

const fileName = /^(g-[a-z0-9]+)\.([a-z0-9]+)\.json$/;

export interface GrantFilesOptions {
  readonly disk: FolderFs;
  /** The state folder. */
  readonly folder: string;
  readonly atomic: AtomicFiles;
  readonly processId: string;
  /** Throws where nothing may be written. Reading needs no opening. */
  mustBeOpen(): void;
  isAlive(process: string): Promise<boolean>;
}

export class GrantFiles implements GrantStore {
  private readonly options: GrantFilesOptions;
  private readonly folder: string;

  constructor(options: GrantFilesOptions) {
    this.options = options;
    this.folder = join(options.folder, 'grants');
  }

  async put(record: GrantRecord): Promise<void> {
    this.options.mustBeOpen();
    await this.options.atomic.write(join(this.folder, `${record.id}.${this.options.processId}.json`), record);
  }

  async list(root?: string): ReturnType<GrantStore['list']> {
    const parts: GrantRecord[] = [];
    for (const name of this.names()) {
      const value = this.options.atomic.read(join(this.folder, name));
      // Gone meanwhile: it was over. A file is never there in part.
      if (isGrantRecord(value) && (root === undefined || value.path[0] === root)) parts.push(value);
    }
    const records = joinParts(parts);
    const living = new Map<string, boolean>();
    for (const { process } of records)
      if (!living.has(process)) living.set(process, process === this.options.processId || (await this.options.isAlive(process)));
    return records.map((record) => ({ record, isOwnerAlive: living.get(record.process)! }));
  }

  async remove(grants: readonly Pick<GrantRecord, 'id'>[]): Promise<void> {
    this.options.mustBeOpen();
    if (grants.length === 0) return;
    const ids = new Set(grants.map(({ id }) => id));
    for (const name of this.names())
      if (ids.has(fileName.exec(name)![1]!)) removeIfThere(this.options.disk, join(this.folder, name));
  }

  private names(): string[] {
    try {
      return this.options.disk.readdirSync(this.folder).filter((name) => fileName.test(name));
    } catch (error) {
      throw storeFailed(`${this.folder} cannot be listed`, error);
    }
  }
}
