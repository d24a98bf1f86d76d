// others.ts: what is to be learned of a stop from other processes: that each refuses under it, how what they had has ended, and whom
// they ran that are not heard from.

import type { Member } from './graph.ts';
import { hasEnded } from './lineage-store.ts';
import { isOwn, type Order } from './order.ts';
import type { ReceiptSession } from './receipt.ts';
import { askAfter, learnEnds, unheardUnder } from './unheard.ts';
import type { World } from './world.ts';

/** Processes that had not confirmed are asked again after this long. Milliseconds. */
export const confirmAgainMs = 1_000;
/** So often it is asked again how sessions elsewhere ended, that long after each failure; then the stop goes on with them unconfirmed, and of a terminate it is asked ever later. */
const elsewhereTries = 10;
/** Graphs that are asked for at once: where one reading serves all who ask, as in a folder, there would be one for each. */
const askedTogether = 200;
/** Whom a terminate covers elsewhere is looked at again after a second, then after twice as long each time, up to this. Milliseconds. */
const elsewhereAgainAtMostMs = 60_000;

/**
 * Who learned of a stop from the store asks this much later than who made it. Milliseconds. 25: as often as a store looks again. Ten
 * processes that all ask at once cost each other more than the answer does (it took half as long again), and after this one question is enough.
 */
const learnedAskAfterMs = 25;

export interface OthersHost {
  /** Nobody starts anything new under it any more. */
  fenced(order: Order): void;
  /** Something was learned: whether another stage is true is to be looked at. */
  look(order: Order): void;
  /** The receipt has something to say that it had not. */
  changed(order: Order): void;
  /** Brings back whom it left open that this process had forgotten it with. Rejects where the store does. */
  recall(order: Order): Promise<void>;
}

export class Others {
  private readonly world: World;
  private readonly host: OthersHost;

  constructor(world: World, host: OthersHost) {
    this.world = world;
    this.host = host;
  }

  /**
   * Every other process takes the stop in before it is called fenced; asked again until each has, or is known to refuse everything.
   * Whoever knows of the stop asks, so that it is carried on when the process that made it is gone.
   */
  async confirm(order: Order): Promise<void> {
    const { store, clock } = this.world;
    let missing: readonly string[];
    try {
      const { confirmed, runners, unconfirmed } = await store.lineage.confirm(order.entry.name, order.entry.marks.engaged);
      order.others = [...new Set([...order.others, ...runners])];
      order.isAskedAgain = confirmed.length > runners.length;
      missing = unconfirmed;
    } catch (error) {
      missing = [`Other processes could not be asked to confirm ${order.id}: ${String(error)}`];
    }
    if (missing.length === 0) {
      this.host.fenced(order);
    } else {
      order.missing.fenced = missing;
      if (!this.world.isClosed && order.released === undefined)
        order.confirmTimer = clock.setTimeout(() => void this.confirm(order), confirmAgainMs);
    }
    this.host.look(order);
  }

  /** Another process has made the stop, and asks itself if it lives to. */
  confirmSoon(order: Order): void {
    const { clock, isClosed } = this.world;
    if (!isClosed && order.released === undefined)
      order.confirmTimer = clock.setTimeout(() => void this.confirm(order), learnedAskAfterMs);
  }

  /**
   * What another process had when it was last heard of may have ended long since, and then nobody else has a word to say of it. Told
   * here, so that it is not called unconfirmed for ever.
   */
  async learnElsewhere(order: Order): Promise<void> {
    const { store, clock } = this.world;
    // Before anything is waited for: one at a time looks.
    order.isElsewhereKnown = true;
    let open = 0;
    try {
      const graphs = [...this.openElsewhere(order)];
      for (let at = 0; at < graphs.length; at += askedTogether) {
        const asked = graphs.slice(at, at + askedTogether).map(async ([root, members]) => {
          const ends = await store.lineage.ends(
            root,
            members.map(({ saved }) => saved.record.s),
          );
          for (const member of members) {
            const session = member.saved.record.s;
            const ended = ends.get(session);
            if (!ended && (await this.neverBegins(order, order.elsewhereAgainMs, session, root))) order.neverBegun.add(member);
            else if (!ended) open++;
            else if (ended.status === 'terminated' && isOwn(order, ended.stopId)) order.endedElsewhere.add(member);
            else order.ended.add(member);
          }
        });
        await Promise.all(asked);
      }
      order.elsewhereTries = 0;
    } catch (error) {
      // Asked again, and named as unconfirmed where it cannot be learned.
      if (this.world.isClosed) return;
      if (order.elsewhereTries++ < elsewhereTries) {
        clock.clearTimeout(order.elsewhereTimer);
        order.elsewhereTimer = clock.setTimeout(() => void this.learnElsewhere(order), confirmAgainMs);
        return;
      }
      open++;
      if (order.elsewhereTries === elsewhereTries + 1)
        this.world.alarm(`how the sessions of ${order.id} in other processes ended could not be read: ${String(error)}`);
    }
    if (this.world.isClosed) return;
    // Their own process tells of them, if it lives to; a terminate leaves nothing open for long.
    if (open > 0 && order.stop.action === 'terminate') this.learnElsewhereLater(order);
    this.host.look(order);
  }

  private learnElsewhereLater(order: Order): void {
    const { clock } = this.world;
    clock.clearTimeout(order.elsewhereTimer);
    order.elsewhereTimer = clock.setTimeout(() => void this.learnElsewhere(order), order.elsewhereAgainMs);
    order.elsewhereAgainMs = Math.min(2 * order.elsewhereAgainMs, elsewhereAgainAtMostMs);
  }

  /**
   * Nothing was ever written down of it, nor is it to be: the process that began it was gone before its first word, or lost it before the store
   * had taken it in. Asked once everybody refuses to begin it, and not before what had just begun then can be written down. Of one that has
   * ended, or whose graph is not known any more, the records may have been cleared away.
   */
  private async neverBegins({ stop, stages }: Order, againMs: number, session: string, root: string): Promise<boolean> {
    if (stop.action !== 'terminate' || stages.fenced === undefined || againMs <= confirmAgainMs) return false;
    const { lineage } = this.world.store;
    if (await lineage.hasBegun(session, root)) return false;
    const registered = await lineage.find(session, root);
    if (registered) return !hasEnded(registered.state);
    // What is known of a graph is cleared away with its root.
    return lineage.registersAll && (await lineage.find(root, root)) !== undefined;
  }

  /** By root: those that another process had, of which nobody has said here that they have ended. */
  private openElsewhere(order: Order): ReadonlyMap<string, readonly Member[]> {
    const open = new Map<string, Member[]>();
    for (const member of order.covered.values()) {
      const { saved } = member;
      if (saved.settled || order.ended.has(member) || order.endedElsewhere.has(member) || order.neverBegun.has(member)) continue;
      if (!this.world.isElsewhere(member)) continue;
      const ofRoot = open.get(saved.record.root);
      if (ofRoot) ofRoot.push(member);
      else open.set(saved.record.root, [member]);
    }
    return open;
  }

  /**
   * What a process ran that is not heard from may run on: it ends nothing that nobody can tell of. Asked again until it is heard from, or
   * another process has taken it over and says what became of it.
   */
  async learnUnheard(order: Order): Promise<void> {
    if (order.isAskingUnheard) return;
    const { store, clock } = this.world;
    order.isAskingUnheard = true;
    try {
      await this.host.recall(order);
      const found = await unheardUnder(store.lineage, order.entry.key);
      const others = new Set([...order.others, ...found.sessions.map(({ process }) => process)]);
      if (found.sessions.length === 0 && (order.isAskedAgain || order.unheard !== undefined)) {
        // Whoever was not heard from before may be back, or another has what it ran: theirs is the next word.
        const { runners, unconfirmed } = await store.lineage.confirm(order.entry.name, order.entry.marks.engaged);
        for (const one of runners) others.add(one);
        if (unconfirmed.length > 0) throw new Error(unconfirmed.join('; '));
      }
      const now = new Set(found.sessions.map(({ session }) => session));
      for (const session of order.unheard?.sessions ?? [])
        if (!now.has(session.session)) order.heardAgain.set(session.session, { session, end: undefined });
      for (const session of now) order.heardAgain.delete(session);
      order.others = [...others];
      order.unheard = found;
      if (order.heardAgain.size > 0) await this.learnHeardAgain(order);
    } catch {
      // Nothing is said before it is known; it is asked again.
    }
    if (this.world.isClosed || order.isDone) return;
    if (order.unheard?.sessions.length === 0) {
      order.isAskingUnheard = false;
      this.host.look(order);
      return;
    }
    this.host.changed(order);
    order.unheardTimer = clock.setTimeout(() => {
      order.isAskingUnheard = false;
      this.host.look(order);
    }, confirmAgainMs);
  }

  /** Whom its receipt leaves open, of those that this process has nothing to say of. */
  learnLeftOpen(order: Order, sessions: readonly ReceiptSession[]): void {
    const before = order.heardAgain.size;
    askAfter(
      order.heardAgain,
      sessions.filter(({ session }) => !order.covered.has(session)),
    );
    if (order.heardAgain.size > before) void this.learnHeardAgain(order);
  }

  /**
   * Who has them may die before it has told what became of them. Asked again, ever later, until all have ended; a pause ends none, and is
   * asked of no more once it is done.
   */
  private async learnHeardAgain(order: Order): Promise<void> {
    const { store, clock } = this.world;
    const all = [...order.heardAgain.values()];
    if (all.every(({ end }) => end)) return;
    try {
      await learnEnds(store.lineage, all);
      for (const one of all) {
        const { session, path } = one.session;
        if (!one.end && (await this.neverBegins(order, order.heardAgainMs, session, path[0]!))) one.end = 'never-begun';
      }
    } catch {
      // Asked again.
    }
    if (this.world.isClosed || order.released !== undefined) return;
    this.host.changed(order);
    if (all.every(({ end }) => end) || order.stop.action !== 'terminate') return;
    clock.clearTimeout(order.heardAgainTimer);
    order.heardAgainTimer = clock.setTimeout(() => void this.learnHeardAgain(order), order.heardAgainMs);
    order.heardAgainMs = Math.min(2 * order.heardAgainMs, elsewhereAgainAtMostMs);
  }

  /** Nothing is asked any more. */
  forget(order: Order): void {
    const { clock } = this.world;
    clock.clearTimeout(order.confirmTimer);
    clock.clearTimeout(order.elsewhereTimer);
    clock.clearTimeout(order.unheardTimer);
    clock.clearTimeout(order.heardAgainTimer);
  }
}
