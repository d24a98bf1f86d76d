// grant-files.ts: grants in the state folder: one small file per grant and process that wrote of it, there whole or not at all.
//
//   grants/<grant>.<process>.json

import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { endless, type GrantRecord, type GrantStore, isGrantRecord, joinParts } from '../grants/grant-record.ts';
import { Slice } from '../slices.ts';
import type { AtomicFiles } from './atomic-file.ts';
import { codeOf, type FolderFs, removeIfThere, storeFailed } from './folder-fs.ts';

const fileName = /^(g-[a-z0-9]+)\.([a-z0-9]+)\.json$/;

export interface GrantFilesOptions {
  readonly disk: FolderFs;
  readonly clock: Clock;
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
    const known = new Set<string>();
    const damaged = new Map<string, GrantRecord>();
    const slice = new Slice(this.options.clock);
    // In slices: there may be thousands.
    for (const name of this.names()) {
      if (slice.isOver) await slice.next();
      const text = this.read(name);
      // Gone meanwhile: it was over.
      if (text === undefined) continue;
      const part = partIn(text);
      if (part === undefined) damaged.set(fileName.exec(name)![1]!, unreadable(name));
      else known.add(part.id);
      if (part && (root === undefined || part.path[0] === root)) parts.push(part);
    }
    const records = [...joinParts(parts), ...[...damaged.values()].filter(({ id }) => !known.has(id))];
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

  /** `undefined`: it is not there. */
  private read(name: string): string | undefined {
    const path = join(this.folder, name);
    try {
      return this.options.disk.readFileSync(path, 'utf8');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw storeFailed(`${path} cannot be read`, error);
    }
  }

  private names(): string[] {
    try {
      return this.options.disk.readdirSync(this.folder).filter((name) => fileName.test(name));
    } catch (error) {
      throw storeFailed(`${this.folder} cannot be listed`, error);
    }
  }
}

function partIn(text: string): GrantRecord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isGrantRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A grant of which only the name is left. It may live, whosever it was; so it is told of and hides no other. */
function unreadable(name: string): GrantRecord {
  const [, id, process] = fileName.exec(name)!;
  return {
    id: id!,
    session: '',
    path: [],
    broker: `unknown (grants/${name} is damaged: revoke ${id} by hand, then remove the file)`,
    audience: '',
    scope: [],
    process: process!,
    state: 'irrevocable',
    at: 0,
    expiresAt: endless,
    evidence: 'its file is damaged',
  };
}
