// stop-set.ts: every stop this process knows, indexed for the walk, latched through the store.
//
// A stop takes hold in the process that learns of it at once, before and regardless of the latch (S3). Writing it down
// follows; a failure is reported and retried, and never lifts it (I13).

import {
  applyReading,
  type Breaker,
  type Decision,
  isEngaged,
  join,
  type Marks,
  type Reading,
  releaseByAct,
  run,
  type Stop,
  type SwitchFlag,
  strongest,
  type Tier,
  tiers,
  unmarked,
} from '@offswitch/core';
import { Latches, type LatchesOptions } from './latches.ts';
import type { Node, RootCell, TierCell } from './node.ts';
import { isSuccession, pendingFor, type Succession, successionsIn } from './pending-stops.ts';
import { decisionOf, describeStop, type StopEntry } from './stop-entry.ts';
import {
  conversationKey,
  formatStopKey,
  isConversationKey,
  parseStopKey,
  type StopKey,
  seriesKey,
  subjectKey,
} from './stop-key.ts';
import type { StopDetails, StoredStop } from './store.ts';

export interface StopChange {
  readonly entry: StopEntry;
  /** Whether it is in force now. A change of the mark alone (engaged again at a higher n) keeps it. */
  readonly engaged: boolean;
  readonly wasEngaged: boolean;
  /** Nothing begins or ends by it: a flip that was latched before anybody had read it now goes by its reading (stop-key.ts). */
  readonly isSuccession: boolean;
  /** Of its tier and subject, those under way now. */
  readonly successions: readonly Succession[];
  /** It was in the store already: this process takes in what another one did. */
  readonly isLearned?: true;
  /** Resolves when the mark is durable, with false when it could not be made so yet. */
  readonly latched: Promise<boolean>;
}

export interface StopSetOptions extends LatchesOptions {
  readonly effects: ReadonlyMap<string, SwitchFlag>;
  readonly onChange: (change: StopChange) => void;
  /** Who and why are known now of one that was learned without. */
  readonly onWords: (entry: StopEntry) => void;
  /** The root cell of a session that the caller can find itself, by its subject key: then it need not be told of with `know`. */
  readonly findRoot?: ((subject: string) => RootCell | undefined) | undefined;
}

export class StopSet {
  readonly tiers: TierCell = { epoch: 0 };
  private readonly entries = new Map<string, StopEntry>();
  private readonly bySubject = new Map<string, StopEntry[]>();
  private readonly byTier: Record<Tier, Map<string, Decision>> = {
    global: new Map(),
    feature: new Map(),
    user: new Map(),
    instance: new Map(),
  };
  /** Sessions with a tripped breaker, by subject key: their calls wait too, and not only their turns. */
  readonly tripped: Set<string> = new Set();
  /** Users and workflows whose cap is reached, by tier and subject key: the same for all their sessions. */
  private readonly trippedAbove = new Set<string>();
  /** Root cells under which a session has a place, and how many of its places. */
  private readonly roots = new Map<string, Map<RootCell, number>>();
  private readonly options: StopSetOptions;
  private readonly latches: Latches;

  constructor(options: StopSetOptions) {
    this.options = options;
    this.latches = new Latches(options, () => this.entries.values());
  }

  /** The strongest stop against one subject; `run` when there is none. `key` as `subjectKey` makes it. */
  against(tier: Tier, key: string): Decision {
    return this.byTier[tier].get(key) ?? run;
  }

  has(tier: Tier): boolean {
    return this.byTier[tier].size > 0;
  }

  /** Says whose root cell to bump when a stop against this session is learned; until `unknow` was called as often. */
  know(node: Node): void {
    const cells = this.roots.get(node.key) ?? new Map<RootCell, number>();
    this.roots.set(node.key, cells.set(node.root, (cells.get(node.root) ?? 0) + 1));
  }

  unknow(node: Node): void {
    const cells = this.roots.get(node.key);
    const left = (cells?.get(node.root) ?? 0) - 1;
    if (left > 0) cells!.set(node.root, left);
    else if (cells?.delete(node.root) && cells.size === 0) this.roots.delete(node.key);
  }

  /** Stops in force, strongest reach first. */
  inForce(): Stop[] {
    return [...this.entries.values()]
      .filter((entry) => isEngaged(entry.marks))
      .map(describeStop)
      .sort((a, b) => tiers.indexOf(a.tier) - tiers.indexOf(b.tier) || a.since - b.since || (a.id < b.id ? -1 : 1));
  }

  all(): Iterable<StopEntry> {
    return this.entries.values();
  }

  /** What is pending beside the reading's stop that takes over from it. */
  successions(): readonly Succession[] {
    return [...this.bySubject.values()].flatMap(successionsIn);
  }

  find(id: string): StopEntry | undefined {
    return this.entries.get(id);
  }

  /** Acts in force against one session. */
  actsAgainst(subject: string): StopEntry[] {
    return (this.bySubject.get(`instance.${subject}`) ?? []).filter(
      (entry) => entry.key.kind === 'act' && isEngaged(entry.marks),
    );
  }

  get isAnyTripped(): boolean {
    return this.tripped.size > 0 || this.trippedAbove.size > 0;
  }

  /** Is the cap of a user or a workflow on this path reached? */
  isTrippedAbove(node: Node): boolean {
    if (this.trippedAbove.size === 0) return false;
    for (let at: Node | undefined = node; at; at = at.parent ?? at.detachedFrom) {
      if (at.userId !== undefined && this.trippedAbove.has(`user.${subjectKey(at.userId)}`)) return true;
      if (at.workflow !== undefined && this.trippedAbove.has(`feature.${subjectKey(at.workflow)}`)) return true;
    }
    return false;
  }

  /** Caps are what is reached here, and nothing else. */
  isTrippedByCostAlone(subject: string): boolean {
    return (this.bySubject.get(`instance.${subject}`) ?? []).every(
      ({ key, marks }) => key.kind !== 'act' || key.cause !== 'breaker' || key.breaker === 'cost' || !isEngaged(marks),
    );
  }

  /** Every time one breaker tripped for one session (or a cap for one user or workflow), released or not. */
  trips(subject: string, breaker: Breaker, tier: Tier = 'instance'): StopEntry[] {
    return (this.bySubject.get(`${tier}.${subject}`) ?? []).filter(({ key }) => key.kind === 'act' && key.breaker === breaker);
  }

  /**
   * What releases of one breaker have allowed one session beyond its threshold, in the breaker's unit: as lasting as the stops
   * themselves. `unnamed`: what a release allows that names nothing, as one does that was made with no process running.
   */
  allowed(subject: string, breaker: Breaker, unnamed: number, tier: Tier = 'instance'): number {
    let sum = 0;
    for (const { marks, releasedDetails } of this.trips(subject, breaker, tier))
      if (!isEngaged(marks)) sum += releasedDetails?.allowance ?? unnamed;
    return sum;
  }

  /** What a source said of one switch for one subject. Returns true when that changed what is in force. */
  read(flag: SwitchFlag, subject: string, reading: Reading): boolean {
    if (reading.state === 'unknown') return false;
    // Nothing to release: the reading of almost every session, almost always.
    if (reading.state === 'released' && !this.bySubject.has(`${flag.tier}.${subjectKey(subject)}`)) return false;
    const key: StopKey = {
      kind: 'switch',
      tier: flag.tier,
      subject: subjectKey(subject),
      series: seriesKey(reading.position.series),
    };
    const name = formatStopKey(key);
    const entry = this.entries.get(name);
    if (!entry && reading.state === 'released') return false;
    // An instance stop is for good: a later release of the flag permits a new run, never this one (S6).
    if (entry && flag.tier === 'instance' && reading.state === 'released') return false;
    const { n, watch } = reading.position;
    const sameWatch = watch !== undefined && entry?.watch === watch;
    const at = this.options.clock.now();
    const marks = applyReading(entry?.marks ?? unmarked, reading, sameWatch);
    const target = entry ?? this.add(name, key);
    const isLiveEngaged = reading.state === 'engaged' && reading.origin === 'live';
    if (isLiveEngaged) target.watch = watch;
    if (marks === target.marks) {
      // Learned without words, it has those of whoever reads it, and whose switch it is: a release by act asks that (S3).
      if (reading.state === 'engaged' && isEngaged(marks) && target.details === undefined) {
        const reason = reading.reason ?? `${flag.key} is engaged`;
        target.details = { reason, ...optionalBy(reading.by), at, subject, series: reading.position.series };
        this.apply(target);
        this.options.onWords(target);
      }
      if (isLiveEngaged) this.takeOver(target, reading);
      return false;
    }
    if (reading.state === 'engaged') {
      const pending = isLiveEngaged ? pendingFor(target, this.siblings(target), n) : [];
      const words = pending[0]?.details;
      const isChanged = this.change(target, marks, {
        reason: reading.reason ?? words?.reason ?? `${flag.key} is engaged`,
        ...optionalBy(reading.by ?? words?.by),
        at: isEngaged(target.marks) ? (target.details?.at ?? at) : (words?.at ?? at),
        subject,
        series: reading.position.series,
      });
      if (isLiveEngaged) this.takeOver(target, reading);
      return isChanged;
    }
    return this.change(target, marks, {
      reason: `${flag.key} reads released at ${n}`,
      at,
      subject,
      series: reading.position.series,
    });
  }

  /** The flag permits new runs of a conversation again (S6): its latch is released as any switch's is; the runs it ended stay ended. */
  readConversation(flag: SwitchFlag, conversation: string, reading: Reading): void {
    if (flag.tier !== 'instance' || reading.state !== 'released') return;
    const { series, n } = reading.position;
    const subject = conversationKey(conversation);
    const entry = this.entries.get(formatStopKey({ kind: 'switch', tier: 'instance', subject, series: seriesKey(series) }));
    if (!entry) return;
    const marks = applyReading(entry.marks, reading, false);
    if (marks === entry.marks) return;
    const at = this.options.clock.now();
    this.change(entry, marks, { reason: `${flag.key} reads released at ${n}`, at, subject: conversation, series });
  }

  private siblings({ key }: StopEntry): readonly StopEntry[] {
    return this.bySubject.get(`${key.tier}.${key.subject}`) ?? [];
  }

  /**
   * The flip that a person made through the vendor's control is read at last: from here the stop goes by the reading's n. The
   * pending one is let go only when this one is durable, so that no crash in between leaves neither (S4).
   */
  private takeOver(entry: StopEntry, reading: Reading): void {
    if (reading.state !== 'engaged') return;
    const pending = pendingFor(entry, this.siblings(entry), reading.position.n);
    if (pending.length === 0) return;
    void this.latches.latch(entry).then((isLatched) => {
      if (!isLatched) return;
      const { series, n } = reading.position;
      const reason = `read engaged${n === undefined ? '' : ` at ${n}`}, and stopped by that reading from here on`;
      for (const one of pending) {
        if (!isEngaged(one.marks)) continue;
        const { subject } = one.details ?? {};
        const words = { reason, at: this.options.clock.now(), series, ...(subject === undefined ? {} : { subject }) };
        this.commit(one, releaseByAct(one.marks), words);
      }
    });
  }

  /** Engages an operator's or a breaker's stop. */
  act(key: Extract<StopKey, { kind: 'act' }>, details: StopDetails): StopChange {
    const entry = this.add(formatStopKey(key), key);
    return this.commit(entry, join(entry.marks, { engaged: 0, released: -1 }), details);
  }

  /** Releases a stop by an authorised person's act; the caller has checked that no live reading says engaged. */
  release(entry: StopEntry, details: StopDetails): StopChange {
    return this.commit(entry, releaseByAct(entry.marks), details);
  }

  /** What the store holds, at start or because another process wrote it. True when a switch is engaged that was not, or at a higher n. */
  learn(stored: readonly StoredStop[]): boolean {
    let isNew = false;
    // What begins comes first: a stop that was let go for another is not told of as released.
    const begun = stored.filter(({ marks }) => isEngaged(marks));
    for (const one of begun.length === stored.length ? stored : [...begun, ...stored.filter(({ marks }) => !isEngaged(marks))]) {
      const key = parseStopKey(one.key);
      if (!key) continue;
      const entry = this.add(one.key, key);
      entry.stored = join(entry.stored, one.marks);
      const marks = join(entry.marks, one.marks);
      const hadWords = entry.details !== undefined;
      if (one.engaged && (entry.details === undefined || one.marks.engaged > entry.marks.engaged)) entry.details = one.engaged;
      if (one.released && (entry.releasedDetails === undefined || one.marks.released > entry.marks.released))
        entry.releasedDetails = one.released;
      if (marks.engaged === entry.marks.engaged && marks.released === entry.marks.released) {
        // Who and why may follow the mark: it is read while it is being written.
        if (!hadWords && entry.details) {
          this.apply(entry);
          this.options.onWords(entry);
        }
        continue;
      }
      const wasEngaged = isEngaged(entry.marks);
      entry.marks = marks;
      if (key.kind === 'switch' && isEngaged(marks)) isNew = true;
      this.apply(entry);
      this.options.onChange({
        entry,
        engaged: isEngaged(marks),
        wasEngaged,
        isSuccession: isSuccession(entry, this.siblings(entry)),
        successions: successionsIn(this.siblings(entry)),
        isLearned: true,
        latched: Promise.resolve(true),
      });
    }
    return isNew;
  }

  close(): void {
    this.latches.close();
  }

  private add(name: string, key: StopKey): StopEntry {
    let entry = this.entries.get(name);
    if (!entry) {
      entry = { name, key, marks: unmarked, details: undefined, releasedDetails: undefined, watch: undefined, stored: unmarked };
      this.entries.set(name, entry);
      const subject = `${key.tier}.${key.subject}`;
      const siblings = this.bySubject.get(subject);
      if (siblings) siblings.push(entry);
      else this.bySubject.set(subject, [entry]);
    }
    return entry;
  }

  private change(entry: StopEntry, marks: Marks, details: StopDetails): boolean {
    const was = isEngaged(entry.marks);
    this.commit(entry, marks, details);
    return was !== isEngaged(marks);
  }

  private commit(entry: StopEntry, marks: Marks, details: StopDetails): StopChange {
    const wasEngaged = isEngaged(entry.marks);
    if (marks.engaged > entry.marks.engaged) entry.details = details;
    if (marks.released > entry.marks.released) entry.releasedDetails = details;
    entry.marks = marks;
    this.apply(entry);
    const change: StopChange = {
      entry,
      engaged: isEngaged(marks),
      wasEngaged,
      isSuccession: isSuccession(entry, this.siblings(entry)),
      successions: successionsIn(this.siblings(entry)),
      latched: this.latches.latch(entry),
    };
    this.options.onChange(change);
    return change;
  }

  /** Indexes it and bumps the epoch that covers it. From here on every guard in this process refuses. */
  private apply(entry: StopEntry): void {
    const { tier, subject } = entry.key;
    let decision: Decision = run;
    let isTripped = false;
    for (const one of this.bySubject.get(`${tier}.${subject}`) ?? []) {
      if (!isEngaged(one.marks)) continue;
      decision = strongest(decision, decisionOf(one, this.options.effects));
      if (one.key.kind === 'act' && one.key.cause === 'breaker') isTripped = true;
    }
    const [tripped, name] = tier === 'instance' ? [this.tripped, subject] : [this.trippedAbove, `${tier}.${subject}`];
    if (isTripped) tripped.add(name);
    else tripped.delete(name);
    if (decision === run) this.byTier[tier].delete(subject);
    else this.byTier[tier].set(subject, decision);
    if (tier !== 'instance' || isConversationKey(subject)) {
      this.tiers.epoch++;
      return;
    }
    // A session may have two places: its own, and the one that what came from other processes hangs under. Both look again (I1).
    const known = this.roots.get(subject);
    const own = this.options.findRoot?.(subject);
    for (const cell of known?.keys() ?? []) cell.epoch++;
    if (own && !known?.has(own)) own.epoch++;
  }
}

const optionalBy = (by: string | undefined): { readonly by?: string } => (by === undefined ? {} : { by });
