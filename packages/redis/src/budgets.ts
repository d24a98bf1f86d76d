// budgets.ts: caps that processes on several machines spend of: each step is one function in Redis.

import type { BudgetGrant, BudgetLease, BudgetOrphan, BudgetRequest, BudgetSpending, BudgetStore } from '@offswitch/runtime';
import type { Wire } from './connection/wire.ts';
import { refused } from './lineage.ts';
import type { Membership } from './membership.ts';

export interface BudgetOptions {
  readonly wire: Wire;
  readonly prefix: string;
  readonly process: string;
  readonly membership: Membership;
  readonly mustBeOpen: () => void;
  readonly retentionMs: number;
}

/** Processes whose leases are asked for at once. */
const askedTogether = 50;

export class RedisBudgets implements BudgetStore {
  private readonly options: BudgetOptions;

  constructor(options: BudgetOptions) {
    this.options = options;
  }

  /** Refused while the lease of this process is out: others may have said already what it spent. */
  async lease({ account, scopes, wantMicros, minMicros, toldMicros }: BudgetRequest): Promise<BudgetGrant> {
    const { wire, process, membership, mustBeOpen } = this.options;
    mustBeOpen();
    const caps = scopes.flatMap(({ key, capMicros, atLeastMicros = 0 }) => [key, capMicros, atLeastMicros]);
    const args = [process, membership.gen, membership.storeId, account, wantMicros, minMicros, toldMicros, ...caps];
    const [granted, tightest, remaining, elsewhere, holders] = (await wire
      .fn('borrow', args)
      .catch(refused)) as readonly string[];
    return {
      grantedMicros: Number(granted),
      tightest: tightest!,
      remainingMicros: Number(remaining),
      heldElsewhereMicros: Number(elsewhere),
      holders: Number(holders),
    };
  }

  async settle(account: string, keys: readonly string[], spentMicros: number): Promise<void> {
    const { wire, process, mustBeOpen } = this.options;
    mustBeOpen();
    await wire.fn('spend', [process, nameOf(account, keys), spentMicros]).catch(refused);
  }

  async spent(key: string): Promise<BudgetSpending> {
    const { wire, prefix } = this.options;
    const [spent, leased] = (await wire.call(['HMGET', `${prefix}:{ctl}:b:${key}`, 's', 't']).catch(refused)) as readonly (
      | string
      | null
    )[];
    return { spentMicros: Number(spent), leasedMicros: Number(leased) };
  }

  async orphans(): Promise<readonly BudgetOrphan[]> {
    const { wire, prefix } = this.options;
    const processes = (await wire.call(['SMEMBERS', `${prefix}:{ctl}:blp`]).catch(refused)) as readonly string[];
    const found: BudgetOrphan[] = [];
    for (let i = 0; i < processes.length; i += askedTogether) {
      const some = processes.slice(i, i + askedTogether).map((process) => this.orphansOf(process));
      for (const orphans of await Promise.all(some)) found.push(...orphans);
    }
    return found;
  }

  /** In pages. What one passes over, where the server was restarted meanwhile, stays leased, and so counts as spent. */
  private async orphansOf(process: string): Promise<readonly BudgetOrphan[]> {
    const found = new Map<string, BudgetOrphan>();
    let from = '0';
    do {
      const [next, leases] = (await this.options.wire.fn('orphans', [process, from]).catch(refused)) as readonly [
        string,
        readonly (readonly [name: string, granted: string, told: string])[],
      ];
      for (const [name, granted, told] of leases) {
        const [account, ...keys] = name.split('\n');
        found.set(name, { process, account: account!, keys, grantedMicros: Number(granted), toldMicros: Number(told) });
      }
      from = next;
    } while (from !== '0');
    return [...found.values()];
  }

  async reconcile({ process, account, keys }: BudgetLease, spentMicros: number): Promise<void> {
    const { wire, mustBeOpen } = this.options;
    mustBeOpen();
    await wire.fn('reconcile', [process, nameOf(account, keys), spentMicros]).catch(refused);
  }

  async retire(key: string): Promise<void> {
    const { wire, prefix, mustBeOpen, retentionMs } = this.options;
    mustBeOpen();
    await wire.call(['PEXPIRE', `${prefix}:{ctl}:b:${key}`, String(retentionMs)]).catch(refused);
  }

  async forget(key: string): Promise<void> {
    const { wire, prefix, mustBeOpen } = this.options;
    mustBeOpen();
    await wire.call(['DEL', `${prefix}:{ctl}:b:${key}`]).catch(refused);
  }
}

/** Neither an id nor a key holds a line feed. */
function nameOf(account: string, keys: readonly string[]): string {
  return [account, ...keys].join('\n');
}
