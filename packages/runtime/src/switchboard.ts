// switchboard.ts: reads the source for every subject that lives here, and derives the holds.
//
// What is definite goes to the stop set. What is not is a hold or the last known state: a switch that was never read holds,
// one that was read and is lost keeps what it said (S5), one that reads engaged for everybody terminates nobody (S11).

import {
  type Decision,
  isEngaged,
  type KillSwitches,
  noticeOf,
  type Reading,
  run,
  type Subject,
  type SwitchFlag,
  type SwitchSource,
  unknown,
} from '@offswitch/core';
import type { Clock } from './clock.ts';
import { healthOf, readingOf } from './guarded-source.ts';
import { mintId } from './id.ts';
import type { Node } from './node.ts';
import { subjectKey } from './stop-key.ts';
import type { StopEntry, StopSet } from './stop-set.ts';
import type { KeptReading } from './store.ts';

/** Subjects nobody is: engaged for one of them means somebody turned the whole flag on. A few, since a percentage rollout can miss one. */
const canaryCount = 5;
/** A source that has not answered by then has not answered. Milliseconds. */
const readTimeoutMs = 500;
/** A sweep gives the event loop back after this long. Milliseconds. */
const sliceMs = 2;
/** With more subjects than this the event loop is given back between the wide tiers and them. */
const manySubjects = 1_000;
/** Two sweeps are at least this far apart, however fast a source flaps. Milliseconds; the first change is always read at once. */
const sweepGapMs = 5;
/** Last readings are kept on disk this often while they are fresh. Milliseconds. */
const keepEveryMs = 60_000;

export interface FlagState {
  readonly flag: SwitchFlag;
  /** A definite reading was seen: live in this process, or kept from less than `bootstrapMaxAgeMs` ago. */
  isKnown: boolean;
  /** Why it is unknown, or reads engaged for everybody. */
  trouble: Extract<Reading, { state: 'unknown' }> | undefined;
  /** The last definite reading for nobody in particular. */
  last: Exclude<Reading, { state: 'unknown' }> | undefined;
  /** Monotonic and epoch milliseconds of the last live definite reading. */
  lastLiveAt: number | undefined;
  /** When the trouble began, epoch milliseconds. */
  since: number;
  /** An alarm about the trouble was raised. */
  isTold: boolean;
}

/** A subject that is read. Of global, feature and user there is one for all sessions that share it. */
interface Tracked {
  readonly flag: SwitchFlag;
  readonly id: string;
  readonly subject: Subject;
  count: number;
  last: Reading | undefined;
  readonly node: Node | undefined;
}

/** One session as a subject, made for the moment of a reading: what lasts is kept in its node, since there may be very many. */
class TrackedSession implements Tracked {
  readonly flag: SwitchFlag;
  readonly node: Node;
  readonly count = 1;

  constructor(flag: SwitchFlag, node: Node) {
    this.flag = flag;
    this.node = node;
  }

  get id(): string {
    return this.node.id;
  }
  get subject(): Subject {
    const { id, workflow, userId, conversationId } = this.node;
    return {
      sessionId: id,
      ...(workflow === undefined ? {} : { workflow }),
      ...(userId === undefined ? {} : { userId }),
      ...(conversationId === undefined ? {} : { conversationId }),
    };
  }
  get last(): Reading | undefined {
    return this.node.reading;
  }
  set last(reading: Reading | undefined) {
    this.node.reading = reading;
  }
}

export interface SwitchboardOptions {
  readonly switches: KillSwitches;
  readonly source: SwitchSource;
  readonly stops: StopSet;
  readonly clock: Clock;
  readonly kept: readonly KeptReading[];
  readonly bootstrapMaxAgeMs: number;
  /** A flag's hold began, changed or ended; `message` is for people. */
  readonly onTrouble: (state: FlagState) => void;
  /** A sweep ended or a hold changed: sessions may go on, or must not. */
  readonly onSwept: () => void;
  readonly keep: (readings: readonly KeptReading[]) => void;
}

export class Switchboard {
  private readonly options: SwitchboardOptions;
  private readonly states = new Map<string, FlagState>();
  /** By tier and id; widest tiers first, since they stop the most. */
  private readonly tracked = {
    global: new Map<string, Tracked>(),
    feature: new Map<string, Tracked>(),
    user: new Map<string, Tracked>(),
  };
  private readonly sessions = new Set<Node>();
  /** One released reading is like another: kept once, and not once per session. */
  private released: Reading | undefined;
  private readonly canaries: readonly string[] = Array.from({ length: canaryCount }, () => mintId('offswitch-canary-'));
  private unsubscribe: (() => void) | undefined;
  private isSweeping = false;
  private isDirty = false;
  private isClosed = false;
  /** The source answers with promises: then it is asked in sweeps only, one at a time. */
  private isAsync = false;
  private lastSweepAt = Number.NEGATIVE_INFINITY;
  private gapTimer: unknown;
  private keepTimer: unknown;
  private generation = 0;
  private waiting: (() => void)[] = [];

  constructor(options: SwitchboardOptions) {
    this.options = options;
    const now = options.clock.now();
    for (const flag of options.switches.flags) {
      const kept = options.kept.find(
        (one) => one.key === flag.key && now - one.at < options.bootstrapMaxAgeMs && one.at <= now + 60_000,
      );
      this.states.set(flag.key, {
        flag,
        isKnown: kept !== undefined,
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

  /** Opens the source and reads every switch once. A source that rejects or hangs leaves its switches unknown. */
  async open(): Promise<void> {
    const { source, switches } = this.options;
    this.unsubscribe = source.subscribe(() => this.changed());
    for (const flag of switches.flags) {
      if (flag.tier === 'global') this.track(flag, 'global', {}, '');
      if (flag.tier === 'feature') this.track(flag, 'feature', { workflow: flag.workflow! }, flag.workflow!);
    }
    // A switch's stop whose subject does not live here now is still released by its own reading.
    for (const entry of this.options.stops.all()) this.follow(entry);
    await this.swept();
    this.keepSoon();
  }

  /** Reads on for a user's stop that was learned from the store, while it is in force, whether or not a session of that user lives here. */
  follow(entry: StopEntry): void {
    const { user } = this.options.switches;
    const id = entry.details?.subject;
    if (!user || id === undefined || entry.key.kind !== 'switch' || entry.key.tier !== 'user') return;
    if (!isEngaged(entry.marks) || this.tracked.user.has(id)) return;
    this.tracked.user.set(id, { flag: user, id, subject: { userId: id }, count: 0, last: undefined, node: undefined });
  }

  get flags(): Iterable<FlagState> {
    return this.states.values();
  }

  /** The hold of one flag, as a decision; `run` when there is none. */
  hold(flag: SwitchFlag | undefined): Decision {
    if (!flag) return run;
    const state = this.states.get(flag.key)!;
    if (state.trouble?.cause === 'untargeted') return holdDecision(flag, state.trouble.message, state.since);
    if (state.isKnown || flag.whenUnknown === 'run') return run;
    return holdDecision(flag, state.trouble?.message ?? `${flag.key} has not been read yet`, state.since);
  }

  /** The last reading of one switch for one subject; used to refuse a release while it says engaged. */
  lastReading(flag: SwitchFlag, id: string): Reading | undefined {
    if (flag.tier !== 'instance') return this.tracked[flag.tier].get(id)?.last;
    for (const node of this.sessions) if (node.id === id) return node.reading;
    return undefined;
  }

  /** Starts reading for a session. The promise is there only when the source is asynchronous; until then the node holds. */
  admit(node: Node): Promise<void> | undefined {
    const { switches } = this.options;
    const fresh: Tracked[] = [];
    if (this.sessions.has(node)) return undefined;
    this.sessions.add(node);
    if (switches.user) for (const userId of usersOf(node)) fresh.push(this.track(switches.user, 'user', { userId }, userId));
    if (switches.instance) {
      fresh.push(new TrackedSession(switches.instance, node));
    }
    const pending = fresh.map((one) => this.readOne(one)).filter((one) => one !== undefined);
    const done = (): void => {
      node.isRead = true;
      node.seenTier = -1;
    };
    if (pending.length === 0) {
      done();
      return undefined;
    }
    return Promise.all(pending).then(async (current) => {
      if (current.includes(false)) await this.swept();
      done();
      // Its descendants have decided meanwhile that it was not read.
      node.root.epoch++;
    });
  }

  /** Is the session's own switch read? */
  follows(node: Node): boolean {
    return this.sessions.has(node);
  }

  /** A user's id as the other sessions of that user hold it: one text for all of them. */
  sharedUserId(id: string): string {
    return this.tracked.user.get(id)?.id ?? id;
  }

  dismiss(node: Node): void {
    const { switches } = this.options;
    if (!this.sessions.delete(node)) return;
    if (switches.user) for (const userId of usersOf(node)) this.untrack(switches.user, userId);
  }

  /** Asks the source now, and resolves when everything was read anew. */
  async refresh(): Promise<void> {
    try {
      await this.options.source.refresh?.();
    } catch {
      // A source that cannot be asked now is read as it stands; its health says so.
    }
    await this.swept();
  }

  close(): void {
    this.isClosed = true;
    this.unsubscribe?.();
    this.options.clock.clearTimeout(this.gapTimer);
    this.options.clock.clearTimeout(this.keepTimer);
    for (const done of this.waiting.splice(0)) done();
  }

  private track(flag: SwitchFlag, tier: keyof Switchboard['tracked'], subject: Subject, id: string): Tracked {
    let one = this.tracked[tier].get(id);
    if (!one) {
      one = { flag, id, subject, count: 0, last: undefined, node: undefined };
      this.tracked[tier].set(id, one);
    }
    one.count++;
    return one;
  }

  private untrack(flag: SwitchFlag, id: string): void {
    const one = flag.tier === 'instance' ? undefined : this.tracked[flag.tier].get(id);
    if (one && --one.count <= 0) this.letGo(one);
  }

  /** A subject whose stop is in force is read on, so that its release is learned. */
  private letGo(one: Tracked): void {
    const { tier } = one.flag;
    if (tier === 'instance' || one.count > 0 || this.options.stops.against(tier, subjectKey(one.id)).action === 'pause') return;
    this.tracked[tier].delete(one.id);
  }

  private changed(): void {
    if (this.isClosed) return;
    this.generation++;
    this.isDirty = true;
    // What stops the most is read in the same moment where the source can answer at once; everybody's own switch follows.
    this.readWide();
    this.sweepSoon();
  }

  /** Something may read differently although the source does not say so: a stop came from elsewhere. */
  lookAgain(): void {
    this.isDirty = true;
    this.sweepSoon();
  }

  private sweepSoon(): void {
    if (this.isClosed || this.isSweeping || this.gapTimer !== undefined) return;
    const wait = this.lastSweepAt + sweepGapMs - this.options.clock.monotonic();
    if (wait <= 0) void this.sweep();
    else {
      this.gapTimer = this.options.clock.setTimeout(() => {
        this.gapTimer = undefined;
        void this.sweep();
      }, wait);
    }
  }

  private readWide(): void {
    if (this.isAsync) return;
    for (const one of this.tracked.global.values()) void this.readOne(one);
    for (const one of this.tracked.feature.values()) void this.readOne(one);
  }

  /** Resolves after a sweep that began after this call. */
  private swept(): Promise<void> {
    return new Promise((resolve) => {
      if (this.isClosed) return resolve();
      this.waiting.push(resolve);
      this.isDirty = true;
      this.options.clock.clearTimeout(this.gapTimer);
      this.gapTimer = undefined;
      if (!this.isSweeping) void this.sweep();
    });
  }

  private async sweep(): Promise<void> {
    if (this.isSweeping || this.isClosed) return;
    this.isSweeping = true;
    try {
      while (this.isDirty && !this.isClosed) {
        this.isDirty = false;
        const waiting = this.waiting.splice(0);
        this.lastSweepAt = this.options.clock.monotonic();
        await this.sweepOnce();
        for (const done of waiting) done();
        this.options.onSwept();
        if (this.waiting.length === 0) break;
      }
    } finally {
      this.isSweeping = false;
    }
    // A flapping source is read at a bounded pace.
    if (this.isDirty) this.sweepSoon();
  }

  private async sweepOnce(): Promise<void> {
    const { global, feature, user } = this.tracked;
    // All at once: a source that answers none of them is told of after one waiting time and not after three.
    const canaries = this.options.switches.flags
      .filter((flag) => flag.tier === 'user' || flag.tier === 'instance')
      .map((flag) => this.readCanaries(flag));
    await Promise.all([...canaries, this.readAll([...global.values(), ...feature.values()])]);
    if (user.size + this.sessions.size > manySubjects) await new Promise((resolve) => setImmediate(resolve));
    await this.readAll([...user.values()]);
    const { instance } = this.options.switches;
    if (instance) await this.readAll([...this.sessions], (node) => new TrackedSession(instance, node));
  }

  private async readAll(all: readonly Tracked[]): Promise<void>;
  private async readAll(all: readonly Node[], asSubject: (node: Node) => Tracked): Promise<void>;
  private async readAll(all: readonly (Tracked | Node)[], asSubject?: (node: Node) => Tracked): Promise<void> {
    let pending: Promise<boolean>[] = [];
    let sliceStart = this.options.clock.monotonic();
    for (const one of all) {
      if (this.isClosed) return;
      const settled = this.readOne(asSubject ? asSubject(one as Node) : (one as Tracked));
      if (settled) {
        pending.push(settled);
        if (pending.length >= 64) {
          await Promise.all(pending);
          pending = [];
        }
      } else if (this.options.clock.monotonic() - sliceStart > sliceMs) {
        await new Promise((resolve) => setImmediate(resolve));
        sliceStart = this.options.clock.monotonic();
      }
    }
    if (pending.length > 0) await Promise.all(pending);
  }

  /** Reads a scoped flag for subjects nobody is. */
  private readCanaries(flag: SwitchFlag): Promise<void> | undefined {
    const readings = this.canaries.map((id) =>
      this.ask(flag, flag.tier === 'user' ? { userId: id } : { sessionId: id, conversationId: id }),
    );
    const take = (all: readonly Reading[]): void =>
      this.noteFlag(flag, all.find((one) => one.state === 'engaged') ?? all.find((one) => one.state === 'unknown') ?? all[0]!);
    const sync = readings.filter((one): one is Reading => !(one instanceof Promise));
    if (sync.length === readings.length) {
      take(sync);
      return undefined;
    }
    return Promise.all(readings).then(take);
  }

  /** The promise, for an asynchronous source, tells whether the answer was still current when it came. */
  private readOne(one: Tracked): Promise<boolean> | undefined {
    const generation = this.generation;
    const answer = this.ask(one.flag, one.subject);
    if (!(answer instanceof Promise)) {
      this.take(one, answer);
      return undefined;
    }
    this.isAsync = true;
    return answer.then((reading) => {
      // What was read before a change may be older than what another read has taken since: read again in the sweep to come.
      const isCurrent = generation === this.generation;
      const taken = isCurrent || reading.state !== 'released' ? this.take(one, reading) : undefined;
      return taken ? taken.then(() => isCurrent) : isCurrent;
    });
  }

  private take(one: Tracked, reading: Reading): void | Promise<void> {
    const { flag } = one;
    const isScoped = flag.tier === 'user' || flag.tier === 'instance';
    if (!isScoped) this.noteFlag(flag, reading);
    if (isScoped && reading.state === 'engaged') {
      if (this.states.get(flag.key)?.trouble?.cause === 'untargeted') return this.noteUntargeted(one, reading);
      if (one.last?.state !== 'engaged') {
        // Asked in the same moment, so that no flip comes between. The rest of the subject is kept: a rule on the user or
        // the workflow alone names no session.
        const nobody = this.canaries[0]!;
        const canary = this.ask(
          flag,
          flag.tier === 'user' ? { userId: nobody } : { ...one.subject, sessionId: nobody, conversationId: nobody },
        );
        if (canary instanceof Promise) {
          return canary.then((seen) => (seen.state === 'engaged' ? this.noteUntargeted(one, reading) : this.apply(one, reading)));
        }
        if (canary.state === 'engaged') return this.noteUntargeted(one, reading);
      }
    }
    this.apply(one, reading);
  }

  private apply(one: Tracked, reading: Reading): void {
    one.last = this.shared(reading);
    if (one.node?.untargeted !== undefined && reading.state !== 'unknown') {
      one.node.untargeted = undefined;
      one.node.root.epoch++;
    }
    this.options.stops.read(one.flag, one.id, reading);
    const conversation = one.node?.conversationId;
    if (conversation !== undefined) this.options.stops.readConversation(one.flag, conversation, reading);
    if (one.count <= 0) this.letGo(one);
  }

  private shared(reading: Reading): Reading {
    if (reading.state !== 'released') return reading;
    const known = this.released;
    const isSame =
      known?.state === 'released' &&
      known.origin === reading.origin &&
      known.position.series === reading.position.series &&
      known.position.n === reading.position.n &&
      known.position.watch === reading.position.watch;
    if (!isSame) this.released = reading;
    return this.released!;
  }

  private noteUntargeted(one: Tracked, reading: Reading): void {
    one.last = unknown('untargeted', `${one.flag.key} is engaged for everybody`);
    if (one.node && one.node.untargeted === undefined) {
      one.node.untargeted = untargetedMessage(one.flag, reading);
      one.node.root.epoch++;
    }
  }

  /** Updates what is known of a flag from a reading for everybody (global, feature) or for nobody (canaries). */
  private noteFlag(flag: SwitchFlag, reading: Reading): void {
    const state = this.states.get(flag.key)!;
    const isScoped = flag.tier === 'user' || flag.tier === 'instance';
    const before = state.trouble;
    if (isScoped && reading.state === 'engaged') {
      state.trouble = { state: 'unknown', cause: 'untargeted', message: untargetedMessage(flag, reading) };
    } else if (reading.state === 'unknown') {
      // The last known state stays; only an alarm about everybody being engaged is not ended by not knowing.
      if (state.trouble?.cause !== 'untargeted') state.trouble = reading;
    } else {
      state.trouble = undefined;
      state.last = reading;
      state.isKnown = true;
      if (reading.origin === 'live') state.lastLiveAt = this.options.clock.now();
    }
    if (before?.cause === state.trouble?.cause && before?.message === state.trouble?.message) return;
    state.since = this.options.clock.now();
    this.options.stops.tiers.epoch++;
    // That it can be read at last is no news to anybody who was never told that it could not.
    const isNews = state.trouble !== undefined || state.isTold;
    state.isTold = state.trouble !== undefined;
    if (isNews) this.options.onTrouble(state);
  }

  /** Never throws, never hangs. */
  private ask(flag: SwitchFlag, subject: Subject): Reading | Promise<Reading> {
    let answer: Reading | Promise<Reading>;
    try {
      answer = this.options.source.read(flag, subject);
    } catch (error) {
      return unknown('error', `reading ${flag.key} failed: ${String(error)}`);
    }
    if (!(answer instanceof Promise)) return readingOf(flag, answer);
    const { clock } = this.options;
    return new Promise((resolve) => {
      const timer = clock.setTimeout(
        () => resolve(unknown('error', `${flag.key} was not answered within ${readTimeoutMs} ms`)),
        readTimeoutMs,
      );
      answer
        .then(
          (reading) => readingOf(flag, reading),
          (error) => unknown('error', `reading ${flag.key} failed: ${String(error)}`),
        )
        .then((reading) => {
          clock.clearTimeout(timer);
          resolve(reading);
        });
    });
  }

  private keepSoon(): void {
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
    this.keepTimer = this.options.clock.setTimeout(() => this.keepSoon(), keepEveryMs);
    // Keeping readings fresh on disk is no reason to stay alive.
    if (typeof this.keepTimer === 'object') (this.keepTimer as { unref?: () => void } | null)?.unref?.();
  }
}

function untargetedMessage(flag: SwitchFlag, reading: Reading): string {
  const by = reading.state === 'engaged' && reading.by !== undefined ? ` by ${reading.by}` : '';
  return `${flag.key} is engaged for everybody${by}: ${flag.tier === 'instance' ? 'an' : 'a'} ${flag.tier} switch must name its targets. Nobody is ${flag.action === 'terminate' ? 'terminated' : 'stopped'} by it; every session it could mean is held. Turn it off, or target it.`;
}

/** Whose user switches reach it: its own, and those of the sessions it was detached from, which may have ended (S2). */
function usersOf(node: Node): readonly string[] {
  // A parent's users are read for the parent, which lives at least as long.
  if (!node.detachedFrom) return node.userId === undefined ? [] : [node.userId];
  const users = new Set<string>();
  for (let at: Node | undefined = node; at; at = at.parent ?? at.detachedFrom) if (at.userId !== undefined) users.add(at.userId);
  return [...users];
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
