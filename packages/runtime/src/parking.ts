// parking.ts: a graph at rest frees its memory, and goes on from its checkpoints when what held it is released (S7, S8).
// After a crash it is the same: what the journals tell is a parked graph (takeover.ts).

import type { Stopped } from '@offswitch/core';
import type { AgentDefinition } from './agent.ts';
import { type Blocked, blockedOf, waiting } from './blocked.ts';
import { looseIn } from './bring-loose.ts';
import type { Graph, Member } from './graph.ts';
import { NotBrought } from './not-brought.ts';
import type { Saved } from './saved.ts';
import type { LiveSession } from './session.ts';
import { endedBefore } from './session-end.ts';
import { Slice, turnOfLoop } from './slices.ts';
import { snapshot } from './snapshot.ts';
import type { World } from './world.ts';

export class Parking {
  private readonly world: World;
  private readonly parked = new Set<Graph>();
  private readonly notBrought = new NotBrought();
  /** In which epoch it was claimed to be marked as terminated, which the store has not taken down yet. */
  private readonly claimed = new WeakMap<Saved, number>();
  private isScheduled = false;
  private allParked: ((left: readonly string[]) => void) | undefined;

  constructor(world: World) {
    this.world = world;
  }

  /** The root of a graph began or ended to rest. */
  rootRestChanged(root: LiveSession): void {
    const { graph } = root;
    this.world.clock.clearTimeout(graph.parkTimer);
    graph.parkTimer = undefined;
    if (!root.isAtRest || this.waitsElsewhere(graph)) return;
    if (this.allParked) {
      graph.parkTimer = this.world.clock.setTimeout(() => this.park(graph), 0);
      return;
    }
    const isHold = [...blockedOf(this.world, graph)].every(
      (one) => one.decision.action !== 'run' && one.decision.cause === 'unknown',
    );
    graph.parkTimer = this.world.clock.setTimeout(
      () => this.park(graph),
      isHold ? this.world.options.holdForMs : this.world.options.parkAfterMs,
    );
  }

  get isParkingAll(): boolean {
    return this.allParked !== undefined;
  }

  /** Only a session in another process is held: what waits for it is free to go on, and stays in place to hear of it. */
  private waitsElsewhere(graph: Graph): boolean {
    if (this.allParked) return false;
    for (const { live, node } of graph.members())
      for (const call of live?.calls ?? [])
        if (call.isCarried && call.isResting && this.world.decide(node).action === 'run') return true;
    return false;
  }

  /** Parks a graph whose root is at rest; leaves first. */
  park(graph: Graph): void {
    const root = graph.root.live;
    if (!root?.isAtRest || this.world.isClosed || this.waitsElsewhere(graph)) return;
    this.world.clock.clearTimeout(graph.parkTimer);
    graph.parkTimer = undefined;
    const blocked = [...blockedOf(this.world, graph)];
    const shown = blocked.find((one) => one.decision.action !== 'run')?.decision ?? waiting(blocked[0], this.world.clock.now());
    const askers = this.askersOf(graph);
    const live = [...graph.members()]
      .filter((member) => member.live)
      .sort((a, b) => b.saved.record.path.length - a.saved.record.path.length);
    for (const member of live) {
      const session = member.live!;
      if (session.parentCall) this.world.ifHeld.end(session.parentCall);
      const own = this.world.decide(member.node);
      const unknown = [...(session.calls ?? [])].filter((call) => call.waitsForPerson !== undefined).map((call) => call.id);
      session.park(own.action === 'run' ? (shown as Stopped) : own, unknown);
      member.live = undefined;
      this.world.stopping.memberRests(member);
      this.world.changed(session);
    }
    graph.parked = {
      blocked: [...blocked, ...askers].map(({ node, call }) => ({ node, ...(call === undefined ? {} : { call }) })),
    };
    this.notBrought.deleteAll(graph);
    this.parked.add(graph);
    this.lookWhetherAllParked();
    // A release may have come in the very moment: then nobody else looks again.
    this.reconsider();
  }

  /** Holds everything and parks it as it comes to rest. Answers the roots that did not within the time, or of which not all is written down. */
  parkAll(withinMs: number): Promise<readonly string[]> {
    return new Promise((resolve) => {
      const timer = this.world.clock.setTimeout(() => resolve(this.notParked()), withinMs);
      this.allParked = (left) => {
        this.world.clock.clearTimeout(timer);
        resolve(left);
      };
      this.world.kernel.shutDown();
      this.world.ifHeld.reconsider();
      this.world.births.bearAll();
      for (const graph of [...this.world.graphs.values()]) this.park(graph);
      this.lookWhetherAllParked();
    });
  }

  /** Whoever waits for everything to be parked is told what was not. */
  close(): void {
    this.allParked?.(this.notParked());
  }

  private notParked(): readonly string[] {
    const live = [...this.world.graphs.values()].filter((graph) => graph.root.live !== undefined);
    return [...new Set([...live, ...this.world.births.unborn()])].map((graph) => graph.id);
  }

  /** Also asked when a graph ends. */
  lookWhetherAllParked(): void {
    if (this.allParked && this.notParked().length === 0) this.allParked([]);
  }

  /** One that a process left: what held it is not known here, so whatever lets its root run lets it go on, and what rests rests again by itself. */
  add(graph: Graph): void {
    graph.parked = { blocked: [] };
    this.parked.add(graph);
  }

  /** It has ended, or is not this process's to run. */
  delete(graph: Graph): void {
    this.parked.delete(graph);
    this.notBrought.deleteAll(graph);
  }

  all(): readonly Graph[] {
    return [...this.parked];
  }

  /** Looks whether parked graphs may go on, or were terminated where they lie. */
  reconsider(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    void this.reconsiderParked();
  }

  private async reconsiderParked(): Promise<void> {
    await turnOfLoop();
    // From here on a change is a reason to look again.
    this.isScheduled = false;
    const slice = new Slice(this.world.clock);
    for (const graph of [...this.parked]) {
      if (this.world.isClosed) return;
      if (!this.parked.has(graph)) continue;
      this.terminateParked(graph);
      if (this.parked.has(graph) && this.mayResume(graph)) this.world.pacer.add(this.resumer(graph));
      if (slice.isOver) await slice.next();
    }
    for (const graph of this.notBrought.graphs()) {
      if (this.world.isClosed) return;
      this.terminateNotBrought(graph);
      if (slice.isOver) await slice.next();
    }
  }

  /** A session of a graph that goes on runs again. */
  brought({ graph, member }: LiveSession): void {
    this.notBrought.delete(graph, member);
  }

  /** Is anybody below it still to be marked before it may end? Then that is done in a moment, and it is asked again. */
  isAnyLeftUnder({ graph, id }: LiveSession): boolean {
    if (!this.notBrought.isAnyUnder(graph, id)) return false;
    this.reconsider();
    return true;
  }

  /** What its code, run again, has not asked for is at rest and would be for good: it ends with it, and before it (I3). False while the store refuses that. */
  endLeftUnder({ graph, id }: LiveSession): boolean {
    const left = this.notBrought.under(graph, id);
    if (left.length === 0) return true;
    const ending = left.map((member) => ({ member, decision: this.endOf(graph, member) }));
    for (const { node } of this.markAll(graph, ending).filter(({ saved }) => saved.settled?.status === 'failed'))
      this.world.alarm(`session ${node.id} has failed: ${notAskedFor}`);
    return !this.notBrought.isAnyUnder(graph, id);
  }

  mayResume(graph: Graph): boolean {
    if (graph.isElsewhere || !graph.parked || !this.definitionOf(graph)) return false;
    if (this.world.decide(graph.root.node).action !== 'run') return false;
    const { blocked } = graph.parked;
    const mayAnyGo =
      blocked.length === 0 ||
      blocked.some(({ node, call }) => {
        const { action } = this.world.decide(node);
        // A child that was terminated meanwhile, whatever it waited for, is a value for its parent.
        if (action === 'terminate') return true;
        return call === undefined ? action === 'run' : this.world.resolution(node.id, call) !== undefined;
      });
    if (!mayAnyGo) return false;
    // Loose children go on with their parents, so all their agents must be known here.
    for (const children of looseIn(graph).values())
      for (const { saved } of children) if (!this.world.definitions.has(saved.record.agent)) return false;
    return true;
  }

  /** Who of a graph at rest goes on when it may itself, although its child is still held: its spawn asked for the pause. */
  private askersOf(graph: Graph): Pick<Blocked, 'node' | 'call'>[] {
    const askers: Pick<Blocked, 'node' | 'call'>[] = [];
    for (const { live } of graph.members())
      if (live?.parentCall && this.world.ifHeld.has(live.parentCall)) askers.push({ node: live.parentCall.session.node });
    return askers;
  }

  /** Claims a parked graph and runs its root again; children are found again by the spawns that started them. */
  resume(graph: Graph): void {
    if (!this.parked.has(graph) || this.world.isClosed || !this.mayResume(graph)) return;
    const definition = this.definitionOf(graph)!;
    const { saved } = graph.root;
    if (!this.claims(graph, saved, 'stays parked')) return;
    this.parked.delete(graph);
    graph.parked = undefined;
    this.notBrought.goesOn(graph);
    for (const [parent, children] of looseIn(graph)) this.world.looseToBring.set(parent, children);
    const live = this.world.births.bring(graph, graph.root);
    live.write({ t: 'claim' });
    this.world.registering.note(live.node, 'running');
    live.start(definition, snapshot(`the input of ${saved.record.agent}`, saved.record.input));
  }

  /** True where it is this process's. Where another was first the graph is that one's; `undefined` where the store refused: it is tried again. */
  private claims(graph: Graph, saved: Saved, meanwhile: string): boolean | undefined {
    const isOurs = this.world.claimNext(saved, meanwhile);
    if (isOurs === false && graph.parked) this.world.takeover.leaveToOthers(graph);
    return isOurs;
  }

  private readonly resumers = new WeakMap<Graph, () => void>();
  private resumer(graph: Graph): () => void {
    let resumer = this.resumers.get(graph);
    if (!resumer) {
      resumer = () => this.resume(graph);
      this.resumers.set(graph, resumer);
    }
    return resumer;
  }

  /** By name, or, for a run that has none, what was run in this very process. */
  private definitionOf(graph: Graph): AgentDefinition | undefined {
    return graph.definition ?? this.world.definitions.get(graph.root.saved.record.agent);
  }

  /** A terminate reaches what is parked too: marked where it lies, leaves first. */
  private terminateParked(graph: Graph): void {
    this.markAll(
      graph,
      this.terminated(
        graph,
        [...graph.members()].filter((member) => !member.saved.settled),
      ),
    );
    if (graph.root.saved.settled) this.world.retire(graph);
  }

  /** And what a graph that goes on has not come to yet. Who of it runs and is being ended ends after them. */
  private terminateNotBrought(graph: Graph): void {
    for (const { saved } of this.markAll(graph, this.terminated(graph, this.notBrought.of(graph)))) {
      const above = graph.get(saved.record.path.at(-2)!)?.live;
      if (above?.stopping) above.tryMark();
    }
  }

  private terminated(graph: Graph, members: readonly Member[]): readonly Ending[] {
    return members.flatMap((member) => {
      const decision = this.endOf(graph, member);
      return decision ? [{ member, decision }] : [];
    });
  }

  /** Leaves first. Answers those that are not left to be marked here. */
  private markAll(graph: Graph, ending: readonly Ending[]): readonly Member[] {
    const marked: Member[] = [];
    /** Above one that could not be marked: a session is marked after all that is under it (I3). */
    const above = new Set<string>();
    const depth = ({ member }: Ending): number => member.saved.record.path.length;
    for (const { member, decision } of [...ending].sort((a, b) => depth(b) - depth(a))) {
      if (graph.isElsewhere) break;
      if (above.has(member.node.id)) continue;
      if (this.mark(graph, member, decision)) marked.push(member);
      else for (const id of member.saved.record.path) above.add(id);
    }
    return marked;
  }

  /** What ends it: a stop, or that one above it is being ended, which no release takes back. */
  private endOf(graph: Graph, { node, saved }: Member): Stopped | undefined {
    const decision = this.world.decide(node);
    if (decision.action === 'terminate') return decision;
    return saved.record.path.map((id) => graph.get(id)?.live?.stopping).find((one) => one !== undefined);
  }

  /** As terminated, or as failed where nothing decided that. False where the store refused it: it is tried again. */
  private mark(graph: Graph, member: Member, decision: Stopped | undefined): boolean {
    const { saved } = member;
    const meanwhile = `${decision ? 'is terminated' : 'has failed'} but not marked yet`;
    const isOurs = this.claimed.get(saved) === saved.epoch || this.claims(graph, saved, meanwhile);
    // Of a graph that goes on here: that it is lost is heard of in a moment.
    if (isOurs === false) this.notBrought.delete(graph, member);
    if (!isOurs) return isOurs === false;
    const at = this.world.clock.now();
    const stopId = decision?.stopId === undefined ? {} : { stopId: decision.stopId };
    const end = decision ? ({ status: 'terminated', ...stopId } as const) : ({ status: 'failed', error: notAskedFor } as const);
    const isWritten = this.world.append(graph, { t: 'settled', s: saved.record.s, e: saved.epoch, at, ...end });
    if (!isWritten && this.world.births.isWritten(member)) {
      this.claimed.set(saved, saved.epoch);
      this.world.reconsiderLater();
      return false;
    }
    for (const turn of saved.turns)
      for (const call of turn.calls)
        if (call.outcome === undefined) call.outcome = call.class === 'effect' ? 'unknown' : 'aborted';
    saved.settled = { at, ...end };
    this.notBrought.delete(graph, member);
    this.world.births.ended(saved);
    this.world.registering.note(member.node, end.status);
    // A stop takes its grants back itself.
    if (decision) this.world.forensics.marked(member);
    else this.world.grants.left({ id: member.node.id, stopping: undefined });
    this.world.kernel.switchboard.dismiss(member.node);
    this.world.stopping.memberRests(member);
    this.world.ends.tell(saved.record.s, Promise.resolve(endedBefore(saved.record.s, saved.settled, decision)));
    if (this.world.listeners.size > 0) this.world.emit({ type: 'session', session: saved.record.s });
    return true;
  }
}

interface Ending {
  readonly member: Member;
  /** None: its session ends without having asked for it. */
  readonly decision: Stopped | undefined;
}

const notAskedFor = 'what had started it was run again and ended without asking for it';
