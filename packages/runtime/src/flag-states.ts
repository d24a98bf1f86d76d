// flag-states.ts: what is known of each switch as a whole, and the hold that follows from not knowing.
//
// A switch that was never read holds, one that was read and is lost keeps what it said (S5), one that reads engaged for everybody
// holds everybody it could mean (S11). The last definite readings are kept for the next process.

import {
  type Decision,
  type KillSwitches,
  noticeOf,
  type Reading,
  run,
  type SwitchFlag,
  type SwitchSource,
} from '@offswitch/core';
import type { Clock } from './clock.ts';
import { Floors } from './floors.ts';
import { healthOf } from './guarded-source.ts';
import type { StopSet } from './stop-set.ts';
import type { KeptReading } from './store.ts';

/** Last readings are kept on disk this often while they are fresh. Milliseconds. */
const keepEveryMs = 60_000;
/** And this soon after one of them changed, so that the next process knows of it. Milliseconds. */
const changedKeepMs = 1_000;

export interface FlagState {
  readonly flag: SwitchFlag;
  /** A definite reading was seen: live in this process, or kept from less than `bootstrapMaxAgeMs` ago. */
  isKnown: boolean;
  /** Why it is unknown, or reads engaged for everybody. */
  trouble: Extract<Reading, { state: 'unknown' }> | undefined;
  /** It reads from an older copy than was read before. For people. */
  older: string | undefined;
  /** The last definite reading for nobody in particular. */
  last: Exclude<Reading, { state: 'unknown' }> | undefined;
  /** Monotonic and epoch milliseconds of the last live definite reading. */
  lastLiveAt: number | undefined;
  /** When the trouble began, epoch milliseconds. */
  since: number;
  /** An alarm about the trouble was raised. */
  isTold: boolean;
}

export interface FlagStatesOptions {
  readonly switches: KillSwitches;
  readonly source: SwitchSource;
  readonly stops: StopSet;
  readonly clock: Clock;
  readonly kept: readonly KeptReading[];
  readonly bootstrapMaxAgeMs: number;
  /** A flag's hold began, changed or ended; `message` is for people. */
  readonly onTrouble: (state: FlagState) => void;
  /** The first flag reads from an older copy, or the last one no longer does. */
  readonly onOlder: (state: FlagState) => void;
  readonly keep: (readings: readonly KeptReading[]) => void;
}

export class FlagStates {
  private readonly options: FlagStatesOptions;
  private readonly states = new Map<string, FlagState>();
  private readonly floors: Floors;
  private isClosed = false;
  private keepTimer: unknown;
  /** Monotonic milliseconds. */
  private keepAt = Number.POSITIVE_INFINITY;
  private isKeeping = false;

  constructor(options: FlagStatesOptions) {
    this.options = options;
    this.floors = new Floors(options.kept);
    const now = options.clock.now();
    for (const flag of options.switches.flags) {
      const kept = options.kept.find(
        (one) => one.key === flag.key && now - one.at < options.bootstrapMaxAgeMs && one.at <= now + 60_000,
      );
      this.states.set(flag.key, {
        flag,
        isKnown: kept !== undefined,
        older: undefined,
        trouble: kept ? undefined : { state: 'unknown', cause: 'not-ready', message: `${flag.key} has not been read yet` },
        last: kept && {
          state: kept.state,
          origin: 'cached',
          position: { series: kept.series, ...(kept.n === undefined ? {} : { n: kept.n }) },
        },
        lastLiveAt: undefined,
        since: now,
        isTold: false,
      });
      // A kept engage stops; a kept release only permits (S3, S5).
      if (kept?.state === 'engaged' && (flag.tier === 'global' || flag.tier === 'feature')) {
        options.stops.read(flag, flag.workflow ?? '', {
          state: 'engaged',
          origin: 'cached',
          position: { series: kept.series, ...(kept.n === undefined ? {} : { n: kept.n }) },
          reason: 'engaged when it was last read, before this process started',
        });
      }
    }
  }

  get all(): Iterable<FlagState> {
    return this.states.values();
  }

  /** The hold of one flag, as a decision; `run` when there is none. */
  hold(flag: SwitchFlag): Decision {
    const state = this.states.get(flag.key)!;
    if (state.trouble?.cause === 'untargeted') return holdDecision(flag, state.trouble.message, state.since);
    if (state.isKnown || flag.whenUnknown === 'run') return run;
    return holdDecision(flag, state.trouble?.message ?? `${flag.key} has not been read yet`, state.since);
  }

  /** Was the flag turned on for everybody, although it must name its targets? */
  isUntargeted(flag: SwitchFlag): boolean {
    return this.states.get(flag.key)?.trouble?.cause === 'untargeted';
  }

  /** Updates what is known of a flag from a reading for everybody (global, feature) or for nobody (canaries). */
  note(flag: SwitchFlag, reading: Reading): void {
    const state = this.states.get(flag.key)!;
    const isScoped = flag.tier === 'user' || flag.tier === 'instance';
    const before = state.trouble;
    if (isScoped && reading.state === 'engaged') {
      state.trouble = { state: 'unknown', cause: 'untargeted', message: untargetedMessage(flag, reading) };
    } else if (reading.state === 'unknown') {
      // The last known state stays; only an alarm about everybody being engaged is not ended by not knowing.
      if (state.trouble?.cause !== 'untargeted') state.trouble = reading;
    } else {
      const { last } = state;
      state.trouble = undefined;
      state.last = reading;
      state.isKnown = true;
      if (reading.origin === 'live') {
        state.lastLiveAt = this.options.clock.now();
        this.look(state, reading);
        if (last?.state !== reading.state || last.position.n !== reading.position.n) this.keepWithin(changedKeepMs);
      }
    }
    if (before?.cause === state.trouble?.cause && before?.message === state.trouble?.message) return;
    state.since = this.options.clock.now();
    this.options.stops.tiers.epoch++;
    // That it can be read at last is no news to anybody who was never told that it could not.
    const isNews = state.trouble !== undefined || state.isTold;
    state.isTold = state.trouble !== undefined;
    if (isNews) this.options.onTrouble(state);
  }

  private look(state: FlagState, { position }: Exclude<Reading, { state: 'unknown' }>): void {
    const older = this.floors.below(state.flag, position);
    if (older === state.older) return;
    const others = [...this.states.values()].some((one) => one !== state && one.older !== undefined);
    const isNews = !others && (older === undefined) !== (state.older === undefined);
    state.older = older;
    // Told once for all of them: it is one copy that they are read from.
    if (isNews) this.options.onOlder(state);
  }

  /** Keeps the last readings now and then; also those that every sweep has confirmed. */
  keepSoon(): void {
    this.isKeeping = true;
    if (this.isClosed) return;
    const readings: KeptReading[] = [];
    for (const { flag, last, lastLiveAt, trouble } of this.states.values()) {
      if (!last || lastLiveAt === undefined) continue;
      // While the source says it is fresh, the last live reading is confirmed by every sweep that found nothing new.
      const isConfirmed = !trouble && healthOf(this.options.source).state === 'fresh';
      const at = isConfirmed ? this.options.clock.now() : lastLiveAt;
      const { series, n } = last.position;
      readings.push({ key: flag.key, state: last.state, series, ...(n === undefined ? {} : { n }), at });
    }
    if (readings.length > 0) this.options.keep(readings);
    this.keepWithin(keepEveryMs);
  }

  private keepWithin(ms: number): void {
    const { clock } = this.options;
    if (this.isClosed || !this.isKeeping || clock.monotonic() + ms >= this.keepAt) return;
    clock.clearTimeout(this.keepTimer);
    this.keepAt = clock.monotonic() + ms;
    this.keepTimer = clock.setTimeout(() => {
      this.keepAt = Number.POSITIVE_INFINITY;
      this.keepSoon();
    }, ms);
    // Keeping readings fresh on disk is no reason to stay alive.
    if (typeof this.keepTimer === 'object') (this.keepTimer as { unref?: () => void } | null)?.unref?.();
  }

  close(): void {
    this.isClosed = true;
    this.options.clock.clearTimeout(this.keepTimer);
  }
}

export function untargetedMessage(flag: SwitchFlag, reading: Reading): string {
  const by = reading.state === 'engaged' && reading.by !== undefined ? ` by ${reading.by}` : '';
  return `${flag.key} is engaged for everybody${by}: ${flag.tier === 'instance' ? 'an' : 'a'} ${flag.tier} switch must name its targets. Nobody is ${flag.action === 'terminate' ? 'terminated' : 'stopped'} by it; every session it could mean is held. Turn it off, or target it.`;
}

function holdDecision(flag: SwitchFlag, why: string, since: number): Decision {
  return {
    action: 'pause',
    tier: flag.tier,
    cause: 'unknown',
    reason: why,
    effect: `Held before the next turn until ${flag.key} can be read; then it goes on or stops as the switch says.`,
    notice: noticeOf('pause'),
    since,
  };
}
