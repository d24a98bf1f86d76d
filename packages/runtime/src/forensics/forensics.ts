// forensics.ts: writes the bundle of each session that is terminated, behind everything else: a few at a time, and the stop waits
// for none of them (I13). What is missing is said in the receipt.

import { canonical, sha256 } from '../audit/canonical.ts';
import { messageOf } from '../error-text.ts';
import type { Member } from '../graph.ts';
import type { ReceiptSession } from '../receipt.ts';
import { Slice } from '../slices.ts';
import { wiringOf } from '../status.ts';
import { describeStop } from '../stop-entry.ts';
import type { World } from '../world.ts';
import { bundleOf, type Marked, type ReadingsThen, type StopThen } from './bundle.ts';
import { guarded, type Redact } from './redact.ts';

export interface ForensicsOptions {
  /**
   * What goes into a bundle of the application's own data: checkpoints, inputs, results, errors. Default: the SHA-256 digest of each
   * in its place, since only the application knows which of its fields may be shown, and a bundle is made to be passed on.
   */
  readonly redact?: Redact;
}

type Kept = NonNullable<ReceiptSession['forensics']>;

/** Bundles are begun at the latest so long after the first mark, and before when all sessions are marked and the stop is fenced. Milliseconds. */
const patienceMs = 2_000;
/** A store that is asked for one after the other would take a round trip for each. */
const writtenTogether = 16;
/** Bundles that are still written when the runtime is closed. */
const writtenAtClose = 1_000;

export class Forensics {
  private readonly world: World;
  private readonly redact: Redact;
  private readonly isOff: boolean;
  private readonly kept = new WeakMap<Member, Kept>();
  private readonly queue = new Map<Member, Marked>();
  private running: Promise<void> | undefined;
  private last: { readonly stop: string | undefined; readonly at: number; readonly readings: ReadingsThen } | undefined;
  private timer: unknown;
  private hasFailed = false;

  constructor(world: World, options: ForensicsOptions | false) {
    this.world = world;
    this.isOff = options === false;
    this.redact = guarded(options === false ? undefined : options.redact);
  }

  /** What a receipt says of it; nothing of a session that an earlier process marked. */
  of(member: Member): Kept | undefined {
    return this.kept.get(member);
  }

  /** It was marked terminated just now. */
  marked(member: Member): void {
    const { world } = this;
    const why = this.isOff ? 'switched off in this process' : world.store.forensics ? undefined : 'this store keeps none';
    this.kept.set(member, { missing: why ?? 'not written yet' });
    if (why !== undefined) return;
    try {
      const { record, settled } = member.saved;
      this.queue.set(member, {
        saved: member.saved,
        process: world.store.processId,
        decision: world.decide(member.node),
        stop: this.stopOf(settled?.stopId),
        readings: this.readings(settled?.stopId),
        subjects: [...world.kernel.switchboard.readingsOf(member.node)],
        version: world.definitions.get(record.agent)?.version,
        grants: world.grants.of(record.s),
      });
    } catch (error) {
      this.missing(member, error);
      return;
    }
    if (!this.world.stopping.isEnding) this.go();
    else this.timer ??= this.world.clock.setTimeout(() => this.go(), patienceMs);
  }

  /** Nobody is being ended any more: now there is time to write. */
  go(): void {
    this.world.clock.clearTimeout(this.timer);
    this.timer = undefined;
    if (this.queue.size > 0) this.run();
  }

  /** Writes what is left, up to a number; of the rest the receipts say that it is missing. */
  async close(): Promise<void> {
    for (const member of [...this.queue.keys()].slice(writtenAtClose)) {
      this.queue.delete(member);
      this.kept.set(member, { missing: 'the process ended before it was written' });
    }
    this.go();
    await this.running;
  }

  private run(): void {
    this.running ??= this.write().finally(() => {
      this.running = undefined;
      if (this.queue.size > 0) this.run();
    });
  }

  private async write(): Promise<void> {
    // Whoever marked it gets on first.
    const slice = new Slice(this.world.clock);
    await slice.next();
    const writing = new Set<Promise<void>>();
    // Those that are marked meanwhile come last.
    for (const [member, marked] of this.queue) {
      this.queue.delete(member);
      const one: Promise<void> = this.writeOne(member, marked).finally(() => writing.delete(one));
      writing.add(one);
      if (writing.size >= writtenTogether) await Promise.race(writing);
      if (slice.isOver) await slice.next();
    }
    await Promise.all(writing);
  }

  private async writeOne(member: Member, marked: Marked): Promise<void> {
    const { store, audit, stopping } = this.world;
    const { s: session } = member.saved.record;
    try {
      const text = canonical(bundleOf(marked, this.redact));
      await store.forensics!.writeBundle(session, text);
      const digest = sha256(text);
      this.kept.set(member, { digest });
      audit.forensics(session, marked.stop?.id, digest);
      this.hasFailed = false;
    } catch (error) {
      this.missing(member, error);
    }
    stopping.bundled(member);
  }

  private missing(member: Member, error: unknown): void {
    const why = messageOf(error);
    this.kept.set(member, { missing: `could not be written: ${why}` });
    if (!this.hasFailed && !this.world.isClosed)
      this.world.alarm(`the forensic bundle of session ${member.node.id} could not be written; its receipt says so: ${why}`);
    this.hasFailed = true;
  }

  private stopOf(id: string | undefined): StopThen | undefined {
    const entry = id === undefined ? undefined : this.world.kernel.stops.find(id);
    if (!entry) return undefined;
    const series = entry.details?.series;
    return { ...describeStop(entry), position: { ...(series === undefined ? {} : { series }), n: entry.marks.engaged } };
  }

  /** Looked at once for the sessions that one stop ends in one moment: there may be a hundred thousand. */
  private readings(stop: string | undefined): ReadingsThen {
    const at = this.world.clock.now();
    if (!this.last || this.last.stop !== stop || at - this.last.at > 1_000) {
      const { switches, source, store } = wiringOf(this.world.kernel);
      const then = switches.map(({ flag: { key, tier }, ...reading }) => ({ key, tier, ...reading }));
      this.last = { stop, at, readings: { at, switches: then, source, store } };
    }
    return this.last.readings;
  }
}
