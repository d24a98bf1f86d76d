// takeover.ts: what passes from one process to another: what those that are gone left is taken in as parked graphs, and what others have taken
// is left to them.

import { Away } from './away.ts';
import { catchUp, goneThere, tellEnds } from './catch-up.ts';
import { nodeOf } from './detached.ts';
import { Graph } from './graph.ts';
import type { Adoption } from './lineage-store.ts';
import { recount } from './recount.ts';
import { forgivenAt } from './release.ts';
import { foldJournals, type Saved } from './saved.ts';
import { subjectKey } from './stop-key.ts';
import type { StoreClaim } from './store.ts';
import type { World } from './world.ts';

/** After the store could not give what processes that are gone left, it is asked again: at first so soon, then each time twice as late. Milliseconds. */
const adoptAgainMs = 1_000;
const adoptAgainAtMostMs = 60_000;

export class Takeover {
  private readonly world: World;
  private adopting: Promise<void> = Promise.resolve();
  /** Asked for, and not begun. */
  private toAdopt: Promise<void> | undefined;
  private again: unknown;
  private againMs = adoptAgainMs;
  private notTaken = '';
  /** Graphs that other processes have. */
  private readonly away: Away;

  constructor(world: World) {
    this.world = world;
    this.away = new Away(world, (graph) => this.forget(graph));
  }

  close(): void {
    this.world.clock.clearTimeout(this.again);
    this.away.close();
  }

  /** Takes in what the journals of processes that are gone hold. */
  recover({ journals, claims: claimed }: Adoption): void {
    const { world } = this;
    const folded = foldJournals(journals);
    recount(folded, journals, (session, breaker) => forgivenAt(world.kernel.stops, session, breaker));
    const roots: Graph[] = [];
    /** Which graph a session is in. */
    const found = new Map<string, Graph>();
    const claims = new Map<string, { readonly epoch: number; readonly alive: boolean }>();
    for (const claim of claimed) {
      if (claim.epoch > (claims.get(claim.session)?.epoch ?? 0)) claims.set(claim.session, claim);
    }
    // Parents come before children, by their paths: the wall clock may have jumped between the two.
    const inOrder = [...folded.values()].sort((a, b) => a.saved.record.path.length - b.saved.record.path.length);
    for (const { saved, isElsewhere: isWritten } of inOrder) {
      const { record } = saved;
      // A claim without a record is of a process that died between the two: its epoch is used up. Of one that lives, it is its.
      const claim = claims.get(subjectKey(record.s));
      const isElsewhere = isWritten || (claim?.alive === true && claim.epoch > saved.epoch);
      if (claim && claim.epoch > saved.epoch) saved.epoch = claim.epoch;
      const isHead = record.s === record.root || record.arrived !== undefined;
      const graph = isHead ? undefined : found.get(record.path.at(-2)!);
      const here = world.graphOf.get(record.s);
      // It runs or rests here already.
      if (here && !here.isElsewhere && !(isHead && here.parked && saved.epoch > here.root.saved.epoch)) {
        if (here.parked && !isElsewhere) catchUp(world, here.get(record.s)!, saved);
        continue;
      }
      if (!graph && !isHead) continue;
      if (!graph) {
        // Or did, before another one took it up that is gone by now.
        const before = world.graphs.get(record.s);
        if (before) this.forget(before);
        const endOf = (session: string): Saved['settled'] => folded.get(session)?.saved.settled;
        if (saved.settled && saved.settled.status !== 'terminated') {
          if (before) goneThere(world, before, endOf);
          continue;
        }
        if (before && saved.settled) tellEnds(world, before, endOf);
        const above = record.arrived && !saved.settled ? world.foreign.enter(record.arrived) : undefined;
        const made = new Graph({ node: nodeOf(record, above), saved, live: undefined });
        made.isElsewhere = isElsewhere;
        // No record says whether it was.
        made.wasCarried = true;
        roots.push(made);
        found.set(record.s, made);
        continue;
      }
      const parent = graph.get(record.path.at(-2)!);
      if (!parent) continue;
      graph.add({ node: nodeOf(record, parent.node), saved, live: undefined });
      found.set(record.s, graph);
    }
    for (const graph of roots) {
      const { restartOf } = graph.root.saved.record;
      if (restartOf !== undefined) world.terminated.takesUp(graph, restartOf, found.get(restartOf));
      if (graph.root.saved.settled) {
        world.terminated.remember(graph);
        // Whoever ended it may not have lived to tell of it.
        world.stopping.takenOver(graph);
      } else this.adopt(graph);
    }
    const taken = roots.filter((graph) => !graph.isElsewhere && !graph.root.saved.settled);
    world.audit.takeover(
      'taken',
      taken.map((graph) => graph.id),
    );
  }

  /** Takes over what processes that are gone have left, where its agent is defined here. Many who ask in one moment ask the store once. */
  adoptOrphans(): Promise<void> {
    // One after the other: what the first was given, the second finds here.
    this.toAdopt ??= this.adopting.then(() => {
      this.toAdopt = undefined;
      return this.adoptNow();
    });
    this.adopting = this.toAdopt;
    return this.toAdopt;
  }

  private async adoptNow(): Promise<void> {
    const { world } = this;
    if (world.isClosed) return;
    try {
      const adoption = await world.store.lineage.adopt([...world.definitions.keys()]);
      if (world.isClosed) return;
      this.recover(adoption);
      world.leases.learn(adoption.journals);
      // Asked for before the store has told that they are gone, it may tell of them no more.
      if (adoption.journals.length > 0) void world.grants.takeOver();
      world.parking.reconsider();
      if (adoption.unread) this.adoptLater(adoption.unread.join('; '));
      else {
        this.againMs = adoptAgainMs;
        this.notTaken = '';
      }
    } catch (error) {
      if (!world.isClosed) this.adoptLater(String(error));
    }
  }

  /** A store says once that a process is gone: nobody else asks again for what it left. */
  private adoptLater(why: string): void {
    // Said once.
    if (why !== this.notTaken) this.world.alarm(`what processes that are gone left could not be taken over yet: ${why}`);
    this.notTaken = why;
    if (this.again !== undefined) return;
    this.again = this.world.clock.setTimeout(() => {
      this.again = undefined;
      void this.adoptOrphans();
    }, this.againMs);
    this.againMs = Math.min(2 * this.againMs, adoptAgainAtMostMs);
  }

  /** It answers again. */
  storeIsBack(): void {
    if (this.again === undefined) return;
    this.world.clock.clearTimeout(this.again);
    this.again = undefined;
    this.againMs = adoptAgainMs;
    void this.adoptOrphans();
  }

  /** Another process has these graphs now, by their first sessions: what runs of them here is abandoned, and no stop waits for it. */
  lose(heads: readonly string[]): void {
    this.world.audit.takeover('lost', heads);
    for (const head of heads) {
      // Of one that has ended here and is not written, too.
      this.world.carrying.wentElsewhere(head);
      const graph = this.world.graphs.get(head);
      if (!graph || graph.isElsewhere) continue;
      this.abandon(graph, 'this process was cut off, and another one took it over');
      this.world.alarm(`session ${head} was taken over by another process while this one was cut off; this copy of it stops`);
    }
  }

  /** No process has it, and none may begin it but whoever has the graph it was detached in now. */
  giveUp(graph: Graph): void {
    if (graph.isElsewhere) return;
    this.abandon(graph, 'another process took over the session that detached it, before the store knew of it');
    this.forget(graph);
    tellEnds(this.world, graph, () => undefined);
    this.world.stopping.neverWas(graph.root);
    this.world.alarm(
      `session ${graph.id} never begins: ${graph.root.saved.record.detached?.from}, which detached it, was taken over by another process, which detaches it there`,
    );
  }

  private abandon(graph: Graph, why: string): void {
    this.wentAway(graph);
    this.world.clock.clearTimeout(graph.parkTimer);
    this.world.carrying.wentElsewhere(graph.id);
    for (const member of graph.members()) {
      member.live?.abandon(why);
      member.live = undefined;
    }
    for (const member of graph.members()) this.world.stopping.memberRests(member);
  }

  private adopt(graph: Graph): void {
    const { world } = this;
    world.addGraph(graph);
    for (const { node, saved } of graph.members()) {
      world.graphOf.set(node.id, graph);
      if (saved.settled) continue;
      world.admit(node);
    }
    world.stopping.takenOver(graph);
    if (!graph.isElsewhere) world.parking.add(graph);
  }

  /** Others have claimed these sessions: what of them lies parked here is theirs. */
  learnClaims(claims: readonly StoreClaim[]): void {
    const epochs = new Map(claims.map(({ session, epoch }) => [session, epoch]));
    for (const graph of this.world.parking.all()) {
      const epoch = epochs.get(subjectKey(graph.id));
      if (epoch !== undefined && epoch > graph.root.saved.epoch) this.leaveToOthers(graph);
    }
  }

  /** True where it is this process's. Where another was first the graph is that one's; `undefined` where the store refused: it is tried again. */
  claims(graph: Graph, saved: Saved, meanwhile: string): boolean | undefined {
    const isOurs = this.world.claimNext(saved, meanwhile);
    if (isOurs === false && graph.parked) this.leaveToOthers(graph);
    return isOurs;
  }

  /** Another process was first: nobody is told here any more what becomes of it, and no stop waits for it. */
  leaveToOthers(graph: Graph): void {
    this.wentAway(graph);
    for (const member of graph.members()) this.world.stopping.memberRests(member);
    this.world.carrying.wentElsewhere(graph.id);
    if (this.world.listeners.size > 0) this.world.emit({ type: 'session', session: graph.id });
  }

  private wentAway(graph: Graph): void {
    graph.isElsewhere = true;
    this.world.leases.lose(graph);
    this.world.parking.delete(graph);
    this.away.add(graph);
  }

  private forget(graph: Graph): void {
    this.away.delete(graph);
    this.world.parking.delete(graph);
    for (const { node, saved } of graph.members()) {
      this.world.dropPlace(node);
      if (!saved.settled) this.world.kernel.switchboard.dismiss(node);
    }
    this.world.graphs.delete(graph.id);
    if (this.world.arrived.delete(graph)) this.world.foreign.leave(graph.root.saved.record.arrived!);
  }
}
