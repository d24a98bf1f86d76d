// grants.ts: credentials that were lent, as they are written down in Redis: a hash for each graph, in it a part for each grant and process.

import { type GrantRecord, type GrantStore, joinGrants, type KeptGrant } from '@offswitch/runtime';
import type { Reply } from './connection/link.ts';
import type { Wire } from './connection/wire.ts';
import { pairs } from './journals.ts';
import { refused } from './lineage.ts';
import type { Unreadable } from './unreadable.ts';

export interface GrantOptions {
  readonly wire: Wire;
  readonly prefix: string;
  readonly process: string;
  readonly mustBeOpen: () => void;
  readonly living: () => Promise<{ isAlive(process: string): boolean }>;
  readonly unreadable: Unreadable;
}

export class RedisGrants implements GrantStore {
  private readonly options: GrantOptions;

  constructor(options: GrantOptions) {
    this.options = options;
  }

  async put(record: GrantRecord): Promise<void> {
    const { wire, process, mustBeOpen } = this.options;
    mustBeOpen();
    await wire.fn('lend', [record.path[0]!, `${record.id}\n${process}`, JSON.stringify(record)]).catch(refused);
  }

  async list(root?: string): Promise<readonly KeptGrant[]> {
    const { wire, prefix, living, unreadable } = this.options;
    const roots = root === undefined ? await wire.call(['SMEMBERS', `${prefix}:{ctl}:lent`]).catch(refused) : [root];
    const { isAlive } = await living();
    const joined = new Map<string, GrantRecord>();
    for (const one of roots as readonly string[]) {
      const key = `${prefix}:{${one}}:g`;
      const parts: Reply = await wire.call(['HGETALL', key]).catch(refused);
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
    await Promise.all(grants.map(({ id, path }) => wire.fn('unlend', [path[0]!, id]))).catch(refused);
  }
}

function isGrant({ id, session, path, broker, process, state }: Readonly<Record<string, unknown>>): boolean {
  return [id, session, broker, process, state].every((one) => typeof one === 'string') && Array.isArray(path);
}
