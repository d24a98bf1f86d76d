// memory-grants.ts: grants written down in memory: what each process wrote, apart, as a store on disk keeps it.

import { type GrantRecord, type GrantStore, joinParts } from './grant-record.ts';

/** Shared by the stores of one memory: grant id, then who wrote. */
export type GrantParts = Map<string, Map<string, string>>;

/** `living` throws where the writer is dead or closed. */
export function memoryGrants(
  parts: GrantParts,
  writer: { readonly id: string; living(): void; isAlive(process: string): boolean },
): GrantStore {
  return {
    async put(record) {
      writer.living();
      const own = parts.get(record.id) ?? new Map<string, string>();
      own.set(writer.id, JSON.stringify(record));
      parts.set(record.id, own);
    },
    async list(root) {
      const all = [...parts.values()].flatMap((own) => [...own.values()].map((text) => JSON.parse(text) as GrantRecord));
      return joinParts(all)
        .filter(({ path }) => root === undefined || path[0] === root)
        .map((record) => ({ record, isOwnerAlive: writer.isAlive(record.process) }));
    },
    async remove(grants) {
      writer.living();
      for (const { id } of grants) parts.delete(id);
    },
  };
}
