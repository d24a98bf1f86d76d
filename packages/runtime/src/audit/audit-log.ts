// audit-log.ts: the port behind which audit chains are kept, and one of them in memory.
//
// One chain per writer, so that no writer waits for another; what holds them together is that each names the others.

import { canonical } from './canonical.ts';
import type { AuditEntry } from './entry.ts';

/** One writer's chain as it is stored. */
export interface AuditChain {
  readonly process: string;
  /** In the order of writing, each the canonical JSON of its entry; nothing is checked yet (`verifyAudit`). */
  readonly lines: readonly string[];
  /** What stands there cannot be read; then `lines` is what could. */
  readonly damage?: string;
}

/**
 * What an implementation must do: keep each entry as its canonical JSON, byte for byte; never change or clear away what was
 * appended; forgive nothing but an incomplete last record of a writer that died. In Redis: one stream per process, XADD with the entry's
 * `n` as the id (`<n>-0`), which makes an append that is asked for again harmless; no MAXLEN, no expiry.
 */
export interface AuditLog {
  /**
   * Appends to this process's chain, in this order. Resolves when all are as durable as this store makes anything. After a rejection
   * the same entries are asked for again, whether or not some had been written: each is there once.
   */
  append(entries: readonly AuditEntry[]): Promise<void>;
  /** All chains, this process's own included. Rejects when they cannot be listed; never an empty answer for that. */
  chains(): Promise<readonly AuditChain[]>;
}

/** Shared by the stores of one memory. By process; entries as text, as a disk would keep them. */
export type AuditMemory = Map<string, string[]>;

export function memoryAudit(memory: AuditMemory, process: string): AuditLog {
  return {
    async append(entries) {
      const lines = memory.get(process) ?? [];
      memory.set(process, lines);
      for (const entry of entries) if (entry.n > lines.length) lines.push(canonical(entry));
    },
    chains: async () => [...memory].map(([owner, lines]) => ({ process: owner, lines: [...lines] })),
  };
}
