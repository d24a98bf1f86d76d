// folder-budgets.ts: caps shared by the processes of one machine: a small file for each, changed by one process at a time.
//
//   budgets/<key>.json   what was spent of a cap, and every open lease of it
//
// A crash in the middle of a lease leaves it in some scopes and not in others: open and nobody's, so it counts as spent where it is.

import { join } from 'node:path';
import {
  close,
  closeIfOpen,
  emptyLedger,
  grant,
  leasedMicros,
  type OpenLease,
  orphansOf,
  type ScopeLedger,
} from '../budget-ledger.ts';
import {
  type BudgetGrant,
  type BudgetLease,
  type BudgetOrphan,
  type BudgetRequest,
  type BudgetSpending,
  type BudgetStore,
  isGraphKey,
} from '../budget-store.ts';
import type { AtomicFiles } from './atomic-file.ts';
import { codeOf, type FolderFs, removeIfThere, storeFailed } from './folder-fs.ts';
import { FolderLock } from './folder-lock.ts';
import { isProcessAlive, listProcesses } from './processes.ts';

/** How long who lives is not looked for again when only an estimate hangs on it. Milliseconds. */
const livingForMs = 2_000;

const ending = '.json';

export class FolderBudgets implements BudgetStore {
  private readonly disk: FolderFs;
  private readonly root: string;
  private readonly folder: string;
  private readonly process: string;
  private readonly atomic: AtomicFiles;
  private readonly now: () => number;
  private readonly lock: FolderLock;
  private living: ReadonlySet<string> = new Set();
  private lookedAt = Number.NEGATIVE_INFINITY;

  /** `now`: epoch milliseconds. */
  constructor(disk: FolderFs, root: string, process: string, atomic: AtomicFiles, now: () => number) {
    this.disk = disk;
    this.root = root;
    this.folder = join(root, 'budgets');
    this.process = process;
    this.atomic = atomic;
    this.now = now;
    this.lock = new FolderLock(disk, this.folder, process, (one) => isProcessAlive(root, one));
  }

  async lease(request: BudgetRequest): Promise<BudgetGrant> {
    if (performance.now() - this.lookedAt > livingForMs) await this.look();
    return this.lock.hold(async () => {
      const before = request.scopes.map(({ key }) => this.read(key));
      const { answer, after } = grant(request, this.process, before, (one) => this.isAlive(one));
      await this.write(after, before);
      return answer;
    });
  }

  settle(account: string, keys: readonly string[], spentMicros: number): Promise<void> {
    const lease = { process: this.process, account, keys };
    return this.lock.hold(() => this.write(keys.map((key) => close(this.read(key), lease, spentMicros))));
  }

  async spent(key: string): Promise<BudgetSpending> {
    const ledger = this.read(key);
    return { spentMicros: ledger.spentMicros, leasedMicros: leasedMicros(ledger) };
  }

  async orphans(): Promise<readonly BudgetOrphan[]> {
    await this.look();
    return orphansOf(
      this.list().map((key) => this.read(key)),
      (one) => this.isAlive(one),
    );
  }

  reconcile(lease: BudgetLease, spentMicros: number): Promise<void> {
    return this.lock.hold(async () => {
      for (const key of lease.keys) {
        const before = this.read(key);
        const after = closeIfOpen(before, lease, spentMicros);
        if (after !== before) await this.write([after]);
      }
    });
  }

  retire(key: string): Promise<void> {
    return this.lock.hold(async () => {
      if (this.list().includes(key)) await this.write([{ ...this.read(key), retiredAt: this.now() }]);
    });
  }

  /** Clears away what was retired before then. Epoch milliseconds. */
  tidy(before: number): void {
    for (const key of this.list()) {
      if (!isGraphKey(key)) continue;
      try {
        const { retiredAt } = this.read(key);
        if (retiredAt !== undefined && retiredAt < before) removeIfThere(this.disk, this.file(key));
      } catch {
        // Damaged: whoever asks for it is told.
      }
    }
  }

  forget(key: string): Promise<void> {
    return this.lock.hold(async () => removeIfThere(this.disk, this.file(key)));
  }

  /** Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    await this.lock.settle();
  }

  /** What cannot be written whole is put back; what cannot be put back stays leased, on the safe side. */
  private async write(after: readonly ScopeLedger[], before: readonly ScopeLedger[] = []): Promise<void> {
    let written = 0;
    try {
      for (const ledger of after) {
        await this.atomic.write(this.file(ledger.key), ledger);
        written++;
      }
    } catch (error) {
      for (const ledger of before.slice(0, written))
        await this.atomic.write(this.file(ledger.key), ledger).catch(() => undefined);
      throw error;
    }
  }

  private async look(): Promise<void> {
    this.living = new Set((await listProcesses(this.root)).map(({ process }) => process));
    this.lookedAt = performance.now();
  }

  private isAlive(process: string): boolean {
    return process === this.process || this.living.has(process);
  }

  private list(): string[] {
    try {
      return this.disk
        .readdirSync(this.folder)
        .filter((name) => name.endsWith(ending) && !name.startsWith('.'))
        .map((name) => name.slice(0, -ending.length));
    } catch (error) {
      throw storeFailed(`${this.folder} cannot be listed`, error);
    }
  }

  /** What is not there was never spent of; what cannot be read was, and nobody knows how much. */
  private read(key: string): ScopeLedger {
    let text: string;
    try {
      text = this.disk.readFileSync(this.file(key), 'utf8');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return emptyLedger(key);
      throw storeFailed(`${this.file(key)} cannot be read`, error);
    }
    const ledger = ledgerIn(text);
    if (!ledger)
      throw storeFailed(
        `${this.file(key)} is damaged, so it is not known what was spent; mend it, or remove it to begin at nothing`,
      );
    return ledger;
  }

  private file(key: string): string {
    return join(this.folder, `${key}${ending}`);
  }
}

function ledgerIn(text: string): ScopeLedger | undefined {
  try {
    const value = JSON.parse(text) as Partial<ScopeLedger> | null;
    if (typeof value?.key !== 'string' || !isMicros(value.spentMicros) || !Array.isArray(value.leases)) return undefined;
    return value.leases.every(isLease) ? (value as ScopeLedger) : undefined;
  } catch {
    return undefined;
  }
}

function isLease(value: Partial<OpenLease> | null): boolean {
  return (
    typeof value?.process === 'string' &&
    typeof value.account === 'string' &&
    Array.isArray(value.keys) &&
    isMicros(value.grantedMicros) &&
    isMicros(value.toldMicros)
  );
}

function isMicros(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
