// dead-processes.ts: the processes of a folder that are gone, and what they left there for the living to take up: journals and claims.

import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { leftBehind, type OwnedClaim, withoutOwner } from '../left-behind.ts';
import { Slice } from '../slices.ts';
import type { StoreClaim, StoreOpening } from '../store.ts';
import type { FolderFs } from './folder-fs.ts';
import { cannotList, type FolderHealth } from './folder-health.ts';
import { journalProcesses, readJournals } from './journals.ts';
import { isProcessAlive } from './processes.ts';
import { claimName, type SmallFiles } from './small-files.ts';
import { Touched } from './touched.ts';

/** How often is looked whether a process is gone. Milliseconds, default 2000: a connection to each socket. */
const lookForDeadMs = 2_000;

/** What they left. */
export type Left = Pick<StoreOpening, 'claims' | 'journals'>;
interface OwnedLeft {
  readonly claims: readonly OwnedClaim[];
  readonly journals: StoreOpening['journals'];
}

export interface DeadProcessesOptions {
  readonly disk: FolderFs;
  readonly clock: Clock;
  readonly folder: string;
  readonly processId: string;
  readonly retentionMs: number;
  readonly small: SmallFiles;
  readonly healths: FolderHealth;
  /** Reads claims; where they cannot be read, the health says so, and it is the first argument. */
  readonly reading: <T>(otherwise: T, read: () => T) => T;
  readonly living: () => Promise<readonly { readonly id: string }[]>;
}

export class DeadProcesses {
  private readonly from: DeadProcessesOptions;
  private readonly claimsTouched: Touched;
  private readonly seenClaims = new Set<string>();
  /** Who has claimed anything: such a one may die before it has written a word. */
  private readonly claimants = new Set<string>();
  /** Claims that were seen and whose owners are not among them yet. */
  private unowned: readonly StoreClaim[] = [];
  /** Processes whose journals this one was given as a dead one's. */
  private readonly taken = new Set<string>();
  /** Processes that were told to be gone. */
  private readonly gone = new Set<string>();
  private lookedAt = Number.NEGATIVE_INFINITY;

  constructor(options: DeadProcessesOptions) {
    this.from = options;
    this.claimsTouched = new Touched(options.disk, [join(options.folder, 'claims')]);
  }

  /** All claims there are, and all journals: who opens the folder has to know what the living run, too. */
  async open(): Promise<Left> {
    const { reading, small } = this.from;
    reading([], () => small.newClaims(this.seenClaims));
    const { claims, journals } = await this.readLeft();
    leftBehind(journals, this.taken, claims);
    for (const { owner } of claims) this.claimants.add(owner);
    return { claims: claims.map(withoutOwner), journals };
  }

  /** What was left since. Each journal is given once. */
  async adopt(): Promise<Left> {
    const { claims, journals } = await this.readLeft();
    return { claims: claims.map(withoutOwner), journals: leftBehind(journals, this.taken, claims) };
  }

  /** Claims made since this was asked last: they decide who takes up what a dead process left, and the others hear of it here. */
  newClaims(): readonly StoreClaim[] {
    if (!this.claimsTouched.look()) return [];
    const { reading, small } = this.from;
    const claimed = reading([], () => small.newClaims(this.seenClaims));
    this.unowned = [...this.unowned, ...claimed];
    return claimed;
  }

  /** Whether a process that has written or claimed is not there any more, which was not told before. Looks every `lookForDeadMs`. */
  async look(): Promise<boolean> {
    const { clock, processId } = this.from;
    const now = clock.monotonic();
    if (now - this.lookedAt < lookForDeadMs) return false;
    this.lookedAt = now;
    await this.learnClaimants();
    // First: who has written or claimed anything was alive before. It may have come and died between two looks, so that nobody saw it alive.
    const wrote = new Set([...this.whoWrote(), ...this.claimants]);
    const living = await this.living();
    if (living === undefined) return false;
    const fresh = [...wrote].filter(
      (one) => one !== processId && !living.has(one) && !this.taken.has(one) && !this.gone.has(one),
    );
    for (const one of fresh) this.gone.add(one);
    return fresh.length > 0;
  }

  /** `undefined`: who runs cannot be told now, so nobody is taken for gone. */
  private async living(): Promise<ReadonlySet<string> | undefined> {
    try {
      return new Set((await this.from.living()).map(({ id }) => id));
    } catch {
      return undefined;
    }
  }

  private async learnClaimants(): Promise<void> {
    const claims = this.unowned;
    this.unowned = [];
    const owned = await this.owned(claims);
    for (const { owner } of owned) if (owner !== '') this.claimants.add(owner);
    this.unowned = [...claims.slice(owned.length), ...this.unowned];
  }

  private whoWrote(): readonly string[] {
    try {
      return journalProcesses(this.from.disk, this.from.folder);
    } catch {
      // Looked at again soon; that the folder is gone or cannot be read, health tells.
      return [];
    }
  }

  /**
   * Of whom is dead here nothing is missing: all was written before the journals were listed. Who has died since counts as living, and is
   * told of as gone later.
   */
  private async readLeft(): Promise<OwnedLeft> {
    const { folder, reading, small } = this.from;
    const highest = (known?: ReadonlyMap<string, string>) =>
      this.owned(
        reading([], () => small.claims()),
        known,
      );
    const before = new Map((await highest()).map((one) => [claimName(one), one.owner]));
    const alive = new Map<string, boolean>();
    await Promise.all([...new Set(before.values())].map(async (owner) => alive.set(owner, await isProcessAlive(folder, owner))));
    const journals = await this.readJournals();
    for (const { process, alive: isAlive } of journals) alive.set(process, isAlive);
    // Listed again: one whose journal is given now, and then never again, may have claimed since.
    const claims = await highest(before);
    return { claims: claims.map((one) => ({ ...one, alive: one.owner !== '' && (alive.get(one.owner) ?? true) })), journals };
  }

  /** In slices: there is a file of each. Up to the first that cannot be read; the owner is empty where it was cleared away meanwhile. */
  private async owned(
    claims: Iterable<StoreClaim>,
    known?: ReadonlyMap<string, string>,
  ): Promise<readonly Omit<OwnedClaim, 'alive'>[]> {
    const { clock, reading, small } = this.from;
    const found: Omit<OwnedClaim, 'alive'>[] = [];
    const slice = new Slice(clock);
    for (const one of claims) {
      const owner = known?.get(claimName(one)) ?? reading(undefined, () => small.ownerOf(one));
      if (owner === undefined) break;
      found.push({ ...one, owner });
      if (slice.isOver) await slice.next();
    }
    return found;
  }

  private async readJournals(): Promise<StoreOpening['journals']> {
    const { disk, folder, clock, retentionMs, healths } = this.from;
    try {
      const { journals, damage } = await readJournals({
        disk,
        folder,
        isAlive: (process) => isProcessAlive(folder, process),
        retentionMs,
        now: () => clock.now(),
      });
      if (damage !== undefined) healths.fail('damage', damage);
      return journals;
    } catch (error) {
      healths.fail('journal', cannotList(join(folder, 'journal'), error));
      return [];
    }
  }
}
