// switchboard.ts: reads the source for every subject that lives here, and derives the holds.
//
// What is definite goes to the stop set. What is not is a hold or the last known state: a switch that was never read holds,
// one that was read and is lost keeps what it said (S5), one that reads engaged for everybody terminates nobody (S11).

import { type Decision, isEngaged, type Reading, run, type Subject, type SwitchFlag, unknown } from '@offswitch/core';
import { askInTime } from './ask-in-time.ts';
import { type FlagState, FlagStates, type FlagStatesOptions, untargetedMessage } from './flag-states.ts';
import { mintId } from './id.ts';
import type { Node } from './node.ts';
import type { StopEntry } from './stop-entry.ts';
import { subjectKey } from './stop-key.ts';
import { Sweeps } from './sweeps.ts';
import { type SubjectReading, type Tracked, TrackedSession, usersOf } from './tracked.ts';

/** Subjects nobody is: engaged for one of them means somebody turned the whole flag on. A few, since a percentage rollout can miss one. */
const canaryCount = 5;
/** A sweep gives the event loop back after this long. Milliseconds. */
const sliceMs = 2;
/** With more subjects than this the event loop is given back between the wide tiers and them. */
const manySubjects = 1_000;

export interface SwitchboardOptions extends FlagStatesOptions {
  /** A sweep ended or a hold changed: sessions may go on, or must not. */
  readonly onSwept: () => void;
}

export class Switchboard {
  private readonly options: SwitchboardOptions;
  /** What is known of each flag as a whole. */
  private readonly states: FlagStates;
  private readonly sweeps: Sweeps;
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
  private isClosed = false;
  /** The source answers with promises: then it is asked in sweeps only, one at a time. */
  private isAsync = false;
  private generation = 0;

  constructor(options: SwitchboardOptions) {
    this.options = options;
    this.states = new FlagStates(options);
    this.sweeps = new Sweeps(options.clock, () => this.readEverything(), options.onSwept);
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
    await this.sweeps.swept();
    this.states.keepSoon();
  }

  /**
   * Reads on for a user's stop that was learned from the store, while it is in force, whether or not a session of that user lives
   * here. True when that is new.
   */
  follow(entry: StopEntry): boolean {
    const { user } = this.options.switches;
    const id = entry.details?.subject;
    if (!user || id === undefined || entry.key.kind !== 'switch' || entry.key.tier !== 'user') return false;
    if (!isEngaged(entry.marks) || this.tracked.user.has(id)) return false;
    this.tracked.user.set(id, { flag: user, id, subject: { userId: id }, count: 0, last: undefined, node: undefined });
    return true;
  }

  get flags(): Iterable<FlagState> {
    return this.states.all;
  }

  /** The hold of one flag, as a decision; `run` when there is none. */
  hold(flag: SwitchFlag | undefined): Decision {
    return flag ? this.states.hold(flag) : run;
  }

  /** The last reading of one switch for one subject; used to refuse a release while it says engaged. */
  lastReading(flag: SwitchFlag, id: string): Reading | undefined {
    if (flag.tier !== 'instance') return this.tracked[flag.tier].get(id)?.last;
    for (const node of this.sessions) if (node.id === id) return node.reading;
    return undefined;
  }

  /** What was read last of the switches of this very session, of those above it, and of their users. */
  *readingsOf(node: Node): Generator<SubjectReading> {
    const { user, instance } = this.options.switches;
    const users = new Set<string>();
    for (let at: Node | undefined = node; at; at = at.parent ?? at.detachedFrom) {
      if (instance && at.reading) yield { flag: instance, subject: at.id, reading: at.reading };
      if (at.userId !== undefined) users.add(at.userId);
    }
    for (const subject of users) {
      const reading = user && this.tracked.user.get(subject)?.last;
      if (reading) yield { flag: user, subject, reading };
    }
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
      if (current.includes(false)) await this.sweeps.swept();
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
    await this.sweeps.swept();
  }

  close(): void {
    this.isClosed = true;
    this.unsubscribe?.();
    this.sweeps.close();
    this.states.close();
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
    // What stops the most is read in the same moment where the source can answer at once; everybody's own switch follows.
    this.readWide();
    this.sweeps.lookAgain();
  }

  /** Something may read differently although the source does not say so: a stop came from elsewhere. */
  lookAgain(): void {
    this.sweeps.lookAgain();
  }

  private readWide(): void {
    if (this.isAsync) return;
    for (const one of this.tracked.global.values()) void this.readOne(one);
    for (const one of this.tracked.feature.values()) void this.readOne(one);
  }

  private async readEverything(): Promise<void> {
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
      askInTime(
        this.options.source,
        this.options.clock,
        flag,
        flag.tier === 'user' ? { userId: id } : { sessionId: id, conversationId: id },
      ),
    );
    const take = (all: readonly Reading[]): void =>
      this.states.note(flag, all.find((one) => one.state === 'engaged') ?? all.find((one) => one.state === 'unknown') ?? all[0]!);
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
    const answer = askInTime(this.options.source, this.options.clock, one.flag, one.subject);
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
    if (!isScoped) this.states.note(flag, reading);
    if (isScoped && reading.state === 'engaged') {
      if (this.states.isUntargeted(flag)) return this.noteUntargeted(one, reading);
      if (one.last?.state !== 'engaged') {
        // Asked in the same moment, so that no flip comes between. The rest of the subject is kept: a rule on the user or
        // the workflow alone names no session.
        const nobody = this.canaries[0]!;
        const canary = askInTime(
          this.options.source,
          this.options.clock,
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
}
