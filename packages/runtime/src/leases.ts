// leases.ts: the credit of this process: one for each graph and set of caps, asked for when a call needs it, given back when nobody
// used it for a while, when its graph ends and when the runtime closes.

import { accountOf } from './account.ts';
import { type Cap, capsOn, heightOf, reachCap } from './caps.ts';
import { Credit } from './credit.ts';
import type { Graph } from './graph.ts';
import type { JournalRecord } from './journal.ts';
import type { Node } from './node.ts';
import { reconcile } from './reconcile.ts';
import type { LiveSession } from './session.ts';
import type { World } from './world.ts';

/** Credit that was not used for this long is given back, at the latest after twice as long. Milliseconds. */
const idleMs = 1_000;
/** What the store did not take back of a graph that has ended is given back again: after `idleMs`, then each time twice as late, up to this. Milliseconds. */
const giveBackAtMostMs = 60_000;

export class Leases {
  private readonly world: World;
  private readonly hasCaps: boolean;
  /** By graph, then by the caps. */
  private readonly credits = new Map<Graph, Map<string, Credit>>();
  private readonly ofNode = new WeakMap<Node, Credit | 'none'>();
  private idleTimer: unknown;
  private reconciled: Promise<void> = Promise.resolve();
  /** By graph: of one that comes back, what was leased before it was lost is closed before more is leased. */
  private readonly closing = new Map<string, Promise<void>>();
  /** How often a graph was lost. */
  private losses = 0;
  private readonly waiters = new Set<() => void>();
  private isClosed = false;

  constructor(world: World) {
    this.world = world;
    const { breakers, caps } = world.options;
    this.hasCaps =
      world.store.budgets !== undefined &&
      [...Object.values(breakers).map(({ costMicros }) => costMicros), ...Object.values(caps)].some((one) => one !== undefined);
  }

  /** What the session's calls reserve from; `undefined` where no cap is declared, or none that the store keeps. */
  of(session: LiveSession): Credit | undefined {
    if (!this.hasCaps) return undefined;
    let credit = this.ofNode.get(session.node);
    if (credit === undefined) {
      credit = this.make(session.graph, session.node) ?? 'none';
      this.ofNode.set(session.node, credit);
    }
    return credit === 'none' ? undefined : credit;
  }

  /** What processes that are gone had leased is closed at what their journals tell, before anything more is leased. */
  learn(
    journals: readonly { readonly process: string; readonly alive: boolean; readonly records: readonly JournalRecord[] }[],
  ): void {
    const { budgets } = this.world.store;
    const dead = journals.filter(({ alive }) => !alive);
    if (!budgets || dead.length === 0) return;
    this.reconciled = this.reconciled.then(() =>
      reconcile(budgets, dead, this.world.graphs, (node) => capsOn(this.world, node).map(({ key }) => key)).catch((error) =>
        this.world.alarm(
          `what processes that are gone had leased counts as spent: their spending could not be told: ${String(error)}`,
        ),
      ),
    );
  }

  /** Of a graph that has ended: nothing spends of it any more. */
  end(graph: Graph): void {
    const credits = this.credits.get(graph);
    if (!credits) return;
    this.credits.delete(graph);
    void this.endAll(credits.values(), true).then(() => {
      // The graph's own cap goes with its root, unless sessions elsewhere may spend of it yet.
      const [cap] = capsOn(this.world, graph.root.node);
      if (cap?.tier !== 'instance' || cap.subject !== graph.id) return undefined;
      const { budgets } = this.world.store;
      return (graph.wasCarried ? budgets?.retire(cap.key) : budgets?.forget(cap.key))?.catch(() => undefined);
    });
  }

  /** Another process has the graph. That one says what was spent of a lease here only where it finds this process gone. Again for what comes late. */
  lose(graph: Graph): void {
    const credits = this.credits.get(graph);
    if (!credits) return;
    this.losses++;
    this.credits.delete(graph);
    for (const { node } of graph.members()) this.ofNode.delete(node);
    for (const credit of credits.values()) credit.lose();
    const closed = Promise.all([this.closing.get(graph.id), this.endAll(credits.values(), true)]).then(() => {
      if (this.closing.get(graph.id) === closed) this.closing.delete(graph.id);
    });
    this.closing.set(graph.id, closed);
  }

  /** Gives everything back; what is still under way counts as spent. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.world.clock.clearTimeout(this.idleTimer);
    for (const wake of this.waiters) wake();
    const all = [...this.credits.values()].flatMap((one) => [...one.values()]);
    await Promise.all([this.endAll(all, false), ...this.closing.values()]);
    this.credits.clear();
  }

  private async endAll(credits: Iterable<Credit>, isLoud: boolean): Promise<void> {
    for (const credit of credits)
      for (let tries = 1; ; tries++) {
        try {
          await credit.end();
          break;
        } catch (error) {
          // A closing process is about to be a dead one: its lease is told by its journal.
          if (!isLoud || this.isClosed) break;
          if (tries === 1)
            this.world.alarm(
              `what was leased as ${credit.account} could not be given back, so it counts as spent until it is: ${String(error)}`,
            );
          await this.pause(Math.min(idleMs * 2 ** (tries - 1), giveBackAtMostMs));
        }
      }
  }

  private make(graph: Graph, node: Node): Credit | undefined {
    const { world } = this;
    const { budgets } = world.store;
    const caps = capsOn(world, node);
    if (!budgets || caps.length === 0) return undefined;
    const keys = caps.map(({ key }) => key);
    let ofGraph = this.credits.get(graph);
    if (!ofGraph) {
      ofGraph = new Map();
      this.credits.set(graph, ofGraph);
    }
    const name = keys.join(' ');
    const known = ofGraph.get(name);
    if (known) return known;
    // Not what is lost later: what that waits for may wait for this one.
    const closing = this.closing.get(graph.id);
    const credit = new Credit({
      budgets,
      process: world.store.processId,
      account: accountOf(graph.id, this.losses),
      keys,
      caps: () => caps.map((cap) => heightOf(world, cap)),
      knownMicros: () => this.knownOf(graph),
      ready: async () => {
        await this.reconciled;
        await closing;
      },
      wait: () => this.wait(),
      isHeld: () => world.mustHold(node),
      reached: (key, overMicros, nextMicros) =>
        this.reached(caps.find((cap) => cap.key === key) ?? caps[0]!, node.id, overMicros, nextMicros),
      opened: () => this.watchIdle(),
    });
    ofGraph.set(name, credit);
    return credit;
  }

  private knownOf(graph: Graph): number {
    let known = graph.budget.spent;
    for (const credit of this.credits.get(graph)?.values() ?? []) known -= credit.untoldMicros;
    return known;
  }

  private reached(cap: Cap, session: string, overMicros: number, nextMicros: number): void {
    if (!this.isClosed) reachCap(this.world, cap, session, { value: heightOf(this.world, cap) + overMicros, nextMicros });
  }

  private watchIdle(): void {
    if (this.idleTimer !== undefined || this.isClosed) return;
    this.idleTimer = this.world.clock.setTimeout(() => {
      this.idleTimer = undefined;
      let isAny = false;
      for (const ofGraph of this.credits.values())
        for (const credit of ofGraph.values()) {
          credit.returnIdle();
          isAny ||= credit.holdsAny;
        }
      if (isAny) this.watchIdle();
    }, idleMs);
  }

  /** As long as it takes until credit that nobody uses has been given back; what this process itself can do without, at once. */
  private async wait(): Promise<void> {
    if (this.isClosed) return;
    for (const ofGraph of this.credits.values()) for (const credit of ofGraph.values()) void credit.giveBack();
    await this.pause(2 * idleMs + idleMs / 2);
  }

  /** Over at once when the runtime closes. */
  private async pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const end = (): void => {
        this.world.clock.clearTimeout(timer);
        this.waiters.delete(end);
        resolve();
      };
      const timer = this.world.clock.setTimeout(end, ms);
      this.waiters.add(end);
    });
  }
}
