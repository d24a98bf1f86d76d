// audit.ts: the audit log in Redis: one stream per process, with the number of each entry as its id, so that an append that is asked
// for again is no second one. Never trimmed. Bundles of terminated sessions beside it, for the retention time.

import type { AuditChain, AuditEntry, AuditLog, ForensicsStore } from '@offswitch/runtime';
import { canonical } from '@offswitch/runtime';
import type { Wire } from './connection/wire.ts';
import { textOf } from './connection/wire.ts';

/** Entries read in one answer. */
const together = 1_000;

export class RedisAudit implements AuditLog, ForensicsStore {
  private readonly wire: Wire;
  private readonly prefix: string;
  private readonly retentionMs: number;
  private readonly mustBeOurs: () => void;

  constructor(wire: Wire, prefix: string, retentionMs: number, mustBeOurs: () => void) {
    this.wire = wire;
    this.prefix = prefix;
    this.retentionMs = retentionMs;
    this.mustBeOurs = mustBeOurs;
  }

  async append(entries: readonly AuditEntry[]): Promise<void> {
    const [first] = entries;
    if (!first) return;
    this.mustBeOurs();
    // Both on their way at once: an append that fails is asked for again, and with it the process is named again.
    await Promise.all([this.wire.call(['SADD', this.index(), first.process]), this.appendEach(entries)]);
  }

  private async appendEach(entries: readonly AuditEntry[]): Promise<void> {
    // One after the other: the server refuses an id that is not above the last one, which says "written already" only where none
    // goes before the one below it. One that was refused and overtaken would be lost, and called written.
    for (const entry of entries) {
      try {
        await this.wire.call(['XADD', this.key(entry.process), `${entry.n}-0`, 'e', canonical(entry)]);
      } catch (error) {
        if (!/equal or smaller/.test(textOf(error))) throw error;
      }
    }
  }

  async chains(): Promise<readonly AuditChain[]> {
    const processes = (await this.wire.call(['SMEMBERS', this.index()])) as readonly string[];
    const chains: AuditChain[] = [];
    for (const process of [...processes].sort()) chains.push({ process, lines: await this.lines(process) });
    return chains;
  }

  async writeBundle(session: string, text: string): Promise<void> {
    this.mustBeOurs();
    await this.wire.call(['SET', this.bundle(session), text, 'PX', String(this.retentionMs)]);
  }

  async readBundle(session: string): Promise<string | undefined> {
    const text = await this.wire.call(['GET', this.bundle(session)]);
    return typeof text === 'string' ? text : undefined;
  }

  private async lines(process: string): Promise<string[]> {
    const lines: string[] = [];
    for (let from = '-'; ; ) {
      const found = (await this.wire.call([
        'XRANGE',
        this.key(process),
        from,
        '+',
        'COUNT',
        String(together),
      ])) as readonly (readonly [string, readonly string[]])[];
      for (const [, fields] of found) lines.push(fields[1] ?? '');
      const last = found.at(-1);
      if (!last || found.length < together) return lines;
      from = `(${last[0]}`;
    }
  }

  private index(): string {
    return `${this.prefix}:{ctl}:audit`;
  }

  private key(process: string): string {
    return `${this.prefix}:{ctl}:audit:${process}`;
  }

  private bundle(session: string): string {
    return `${this.prefix}:{ctl}:bundle:${session}`;
  }
}
