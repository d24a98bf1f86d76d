// grants.ts: credentials that were lent, as they are written down in Redis: a hash for each graph, in it a part for each grant and process.

import { type GrantRecord, type GrantStore, joinGrants, type KeptGrant } from '@offswitch/runtime';
import type { Wire } from './connection/wire.ts';
import { pairs } from './journals.ts';
import { refused } from './lineage.ts';
import type { Unreadable } from './unreadable.ts';

/** Graphs whose grants are asked for at once. */
const readTogether = 100;
/** Grants of one graph forgotten in one step of the server. */
const removedTogether = 1000;

export interface GrantOptions {
  readonly wire: Wire;
  readonly prefix: string;
  readonly process: string;
  readonly mustBeOpen: () => void;
  /** Of the store that this process knows; another system's takes nothing from it. */
  readonly storeId: () => string;
  readonly living: () => Promise<{ isAlive(process: string): boolean }>;
  readonly unreadable: Unreadable;
}

export class RedisGrants implements GrantStore {
  private readonly options: GrantOptions;

  constructor(options: GrantOptions) {
    this.options = options;
  }

  async put(record: GrantRecord): Promise<void> {
    const { wire, process, mustBeOpen, storeId } = this.options;
    mustBeOpen();
    await wire.fn('lend', [storeId(), record.path[0]!, `${record.id}\n${process}`, JSON.stringify(record)]).catch(refused);
  }

  async list(root?: string): Promise<readonly KeptGrant[]> {
    const { wire, prefix, living, unreadable, mustBeOpen } = this.options;
    mustBeOpen();
    const roots = root === undefined ? await wire.call(['SMEMBERS', `${prefix}:{ctl}:lent`]).catch(refused) : [root];
    const { isAlive } = await living();
    const joined = new Map<string, GrantRecord>();
    const keys = (roots as readonly string[]).map((one) => `${prefix}:{${one}}:g`);
    for (let i = 0; i < keys.length; i += readTogether) {
      const read = async (key: string) => [key, await wire.call(['HGETALL', key])] as const;
      const some = await Promise.all(keys.slice(i, i + readTogether).map(read)).catch(refused);
      for (const [key, parts] of some)
        for (const part of unreadable.readable<GrantRecord>(key, pairs(parts), isGrant)) {
          const before = joined.get(part.id);
          joined.set(part.id, before ? joinGrants(before, part) : part);
        }
    }
    return [...joined.values()].map((record) => ({ record, isOwnerAlive: isAlive(record.process) }));
  }

  async remove(grants: readonly Pick<GrantRecord, 'id' | 'path'>[]): Promise<void> {
    const { wire, mustBeOpen } = this.options;
    mustBeOpen();
    const ids = new Map<string, string[]>();
    for (const { id, path } of grants) {
      const root = path[0]!;
      const own = ids.get(root);
      if (own) own.push(id);
      else ids.set(root, [id]);
    }
    // Each step looks through all of a graph, so those of one graph are few steps.
    const steps = [...ids].flatMap(([root, all]) =>
      Array.from({ length: Math.ceil(all.length / removedTogether) }, (_, i) => [
        root,
        ...all.slice(i * removedTogether, (i + 1) * removedTogether),
      ]),
    );
    await Promise.all(steps.map((step) => wire.fn('unlend', step))).catch(refused);
  }
}

function isGrant({ id, session, path, broker, process, state }: Readonly<Record<string, unknown>>): boolean {
  return [id, session, broker, process, state].every((one) => typeof one === 'string') && Array.isArray(path);
}
