// fake-vendor.ts: a vendor in memory: what its control stores, its source reads at the next poll.

import { type MemorySource, memorySource } from '@offswitch/testing';
import type { Flip, Inspection, KillSwitches, Order, Plan, SwitchControl, SwitchSource } from 'offswitch';

export class FakeVendor {
  readonly source: SwitchSource;
  private readonly memory: MemorySource;
  private readonly unread: (() => void)[] = [];
  readonly flips: Flip[] = [];
  /** Options that the command made the control with. */
  readonly made: Readonly<Record<string, unknown>>[] = [];
  /** Thrown by every call of the control. */
  failure: Error | undefined;
  /** False: the vendor's client does not hear of a change before its own next poll. */
  isHeardOnRefresh = true;
  /** Flips are answered when this is. */
  answered: Promise<void> = Promise.resolve();
  /** Never resolves: the vendor takes what is asked and says nothing. */
  isSilent = false;
  /** What the control is asked for, the vendor says already. */
  isSoAlready = false;
  /** Somebody else acts once a release is made and before it is answered. */
  meanwhile: (() => Promise<unknown>) | undefined;
  /** How often its client was asked to look now. */
  refreshes = 0;
  inspections: readonly Inspection[] = [];
  isProvisioned = false;

  constructor(switches: KillSwitches, { withoutPositions = false, series = 'unleash:test' } = {}) {
    this.memory = memorySource(switches, { name: 'unleash', series, withoutPositions });
    this.source = Object.create(this.memory, {
      refresh: {
        value: async () => {
          this.refreshes++;
          if (this.isHeardOnRefresh) this.poll();
        },
      },
    }) as SwitchSource;
  }

  /** The client hears of what was changed. */
  poll(): void {
    for (const apply of this.unread.splice(0)) apply();
  }

  /** Somebody flips by hand in the dashboard. */
  byHand(action: Flip['action'], key: string, target?: string): void {
    this.unread.push(() => this.memory[action](key, target));
  }

  /** The module `@offswitch/unleash/control`. */
  get module(): { readonly unleashControl: (options: Readonly<Record<string, unknown>>) => SwitchControl } {
    return {
      unleashControl: (options) => {
        this.made.push(options);
        return this.control();
      },
    };
  }

  private control(): SwitchControl {
    const flip = (action: Flip['action'], { flag, target, targetKind, reason, by }: Order): Flip => {
      if (this.failure) throw this.failure;
      const words = { reason, by, ...(targetKind === undefined ? {} : { targetKind }) };
      if (!this.isSoAlready) this.unread.push(() => this.memory[action](flag.key, target, words));
      const made = {
        key: flag.key,
        action,
        reason,
        by,
        at: Date.now(),
        changed: !this.isSoAlready,
        ...(target === undefined ? {} : { target }),
      };
      this.flips.unshift(made);
      return made;
    };
    const guarded = <T>(value: () => T) => {
      if (this.failure) throw this.failure;
      return value();
    };
    return {
      name: 'unleash',
      engage: async (order) => {
        await this.answered;
        return flip('engage', order);
      },
      release: async (order) => {
        const made = flip('release', order);
        await this.meanwhile?.();
        return made;
      },
      provision: async (switches, { apply = false } = {}) =>
        guarded((): Plan => {
          const change = this.isProvisioned ? ('keep' as const) : ('create' as const);
          if (apply) this.isProvisioned = true;
          return { applied: apply, steps: switches.flags.map(({ key }) => ({ key, change, detail: 'a kill-switch flag' })) };
        }),
      inspect: () =>
        this.isSilent ? new Promise(() => undefined) : Promise.resolve().then(() => guarded(() => this.inspections)),
      history: async ({ key, limit = 50 } = {}) =>
        guarded(() => this.flips.filter((one) => key === undefined || one.key === key).slice(0, limit)),
    };
  }
}
