// parking.ts: a graph at rest frees its memory, and goes on from its checkpoints when what held it is released (S7, S8).
// After a crash it is the same: what the journals tell is a parked graph (takeover.ts).

import type { Stopped } from '@offswitch/core';
import type { AgentDefinition } from './agent.ts';
import { type Blocked, blockedOf, waiting } from './blocked.ts';
import { looseIn } from './bring-loose.ts';
import { EndsAtRest } from './ends-at-rest.ts';
import type { Graph } from './graph.ts';
import { NotBrought } from './not-brought.ts';
import type { LiveSession } from './session.ts';
import { Slice, turnOfLoop } from './slices.ts';
import { snapshot } from './snapshot.ts';
import type { World } from './world.ts';

export class Parking {
  private readonly world: World;
  private readonly parked = new Set<Graph>();
  private readonly notBrought = new NotBrought();
  readonly atRest: EndsAtRest;
  private isScheduled = false;
  private allParked: ((left: readonly string[]) => void) | undefined;

  constructor(world: World) {
    this.world = world;
    this.atRest = new EndsAtRest(world, this.notBrought);
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
      this.atRest.terminateParked(graph);
      if (this.parked.has(graph) && this.mayResume(graph)) this.world.pacer.add(this.resumer(graph));
      if (slice.isOver) await slice.next();
    }
    for (const graph of this.notBrought.graphs()) {
      if (this.world.isClosed) return;
      this.atRest.terminateNotBrought(graph);
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
    if (!this.world.takeover.claims(graph, saved, 'stays parked')) return;
    this.parked.delete(graph);
    graph.parked = undefined;
    this.notBrought.goesOn(graph);
    for (const [parent, children] of looseIn(graph)) this.world.looseToBring.set(parent, children);
    const live = this.world.births.bring(graph, graph.root);
    live.write({ t: 'claim' });
    this.world.registering.note(live.node, 'running');
    live.start(definition, snapshot(`the input of ${saved.record.agent}`, saved.record.input));
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
}
