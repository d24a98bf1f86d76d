// charges.ts: what the breakers and the limiter of this process count, by workflow, and what they do when it is too much.

import type { Breaker } from '@offswitch/core';
import { isDeclared, type Reach, reachOf, type Thresholds, thresholdsFor } from './breakers.ts';
import type { Call } from './call.ts';
import { overCap } from './caps.ts';
import type { Credit } from './credit.ts';
import type { Graph } from './graph.ts';
import { mintId } from './id.ts';
import { Limiter } from './limiter.ts';
import type { LiveSession } from './session.ts';
import type { World } from './world.ts';

export class Charges {
  private readonly world: World;
  private readonly reaches = new Map<string, Reach>();
  private lastReach: Reach | undefined;
  private readonly limiters = new Map<string, Limiter | undefined>();

  constructor(world: World) {
    this.world = world;
  }

  thresholds(workflow: string): Thresholds {
    return thresholdsFor(this.world.options.breakers, workflow);
  }

  limiter(workflow: string): Limiter | undefined {
    if (!this.limiters.has(workflow)) {
      const rate = this.thresholds(workflow).callsPerMinute;
      this.limiters.set(workflow, rate === undefined ? undefined : new Limiter(this.world.clock, rate));
    }
    return this.limiters.get(workflow);
  }

  /** Where each breaker of the workflow trips, or reports. On the path of every call, and nearly always of the workflow before. */
  private reach(workflow: string): Reach {
    if (this.lastReach?.workflow === workflow) return this.lastReach;
    let found = this.reaches.get(workflow);
    if (!found) {
      found = reachOf(workflow, this.thresholds(workflow));
      this.reaches.set(workflow, found);
    }
    this.lastReach = found;
    return found;
  }

  /** What a release of this breaker allows anew, unless it names another amount. */
  thresholdOf(workflow: string, breaker: Breaker): number {
    return this.reach(workflow)[breaker];
  }

  charge(session: LiveSession, breaker: Exclude<Breaker, 'cost'>, measure: (one: LiveSession) => number): void {
    for (let one: LiveSession | undefined = session; one; one = one.parent) {
      const value = measure(one);
      if (value > this.reach(one.workflow)[breaker]) this.check(one, breaker, value);
    }
  }

  /** The graph's cap in this process alone, or credit of caps that others spend of too. */
  reserve(call: Call, micros: number): boolean | Promise<boolean> {
    const credit = this.world.leases.of(call.session);
    if (!credit) {
      if (!this.reserveHere(call.session, micros)) return false;
      call.reservedMicros = micros;
      return true;
    }
    const isTaken = credit.take(micros);
    if (!isTaken) return credit.ask(micros).then((isGranted) => isGranted && this.reserved(call, credit, micros));
    return this.reserved(call, credit, micros);
  }

  spend(call: Call, actualMicros: number): void {
    const { session, reservedMicros } = call;
    session.graph.budget.settle(reservedMicros, actualMicros);
    (call.credit ?? this.world.leases.of(session))?.settle(call.credit ? reservedMicros : 0, actualMicros);
    call.reservedMicros = 0;
    call.credit = undefined;
    // What came back after its graph had ended, or was lost: nobody else gives this back.
    if (session.graph.isElsewhere) this.world.leases.lose(session.graph);
    else if (session.graph.root.saved.settled) this.world.leases.end(session.graph);
  }

  /** A call that was ended while it waited does not keep what it waited for. */
  private reserved(call: Call, credit: Credit, micros: number): boolean {
    if (call.outcome !== undefined || call.session.isOver) {
      credit.settle(micros, 0);
      return false;
    }
    const { graph } = call.session;
    graph.budget.reserve(micros, undefined);
    call.credit = credit;
    call.reservedMicros = micros;
    this.report(graph);
    return true;
  }

  private report({ root, budget }: Graph): void {
    if (root.live && this.thresholds(root.saved.record.workflow).costMicros === undefined)
      this.check(root.live, 'cost', budget.spent + budget.reserved);
  }

  private reserveHere({ graph }: LiveSession, micros: number): boolean {
    const root = graph.root.live;
    const cap = this.thresholds(graph.root.saved.record.workflow).costMicros;
    const allowance = cap === undefined ? 0 : this.world.kernel.stops.allowed(graph.root.node.key, 'cost', cap);
    const isReserved = graph.budget.reserve(micros, cap === undefined ? undefined : cap + allowance);
    if (isReserved) this.report(graph);
    else if (root) this.check(root, 'cost', graph.budget.spent + graph.budget.reserved + micros, micros);
    return isReserved;
  }

  /** `nextMicros`: what of a cost the call may cost that does not fit. */
  private check(session: LiveSession, breaker: Breaker, value: number, nextMicros = 0): void {
    const threshold = this.reach(session.workflow)[breaker];
    if (value <= threshold) return;
    if (!isDeclared(this.thresholds(session.workflow), breaker)) {
      if (session.counters.mayReport(breaker))
        this.world.emit({ type: 'breaker', session: session.id, breaker, value, limit: threshold, tripped: false });
      return;
    }
    // What was counted outlives a park and a crash, and so does what was allowed of it (recount.ts).
    const isRun = breaker === 'tool-failures' || breaker === 'repeats';
    const limit = threshold + this.world.kernel.stops.allowed(session.node.key, breaker, isRun ? 0 : threshold);
    if (value <= limit) return;
    for (const entry of this.world.kernel.stops.actsAgainst(session.node.key))
      if (entry.key.kind === 'act' && entry.key.breaker === breaker) return;
    this.world.kernel.stops.act(
      { kind: 'act', cause: 'breaker', breaker, action: 'pause', tier: 'instance', subject: session.node.key, id: mintId('b') },
      {
        reason:
          breaker === 'cost'
            ? overCap(value, nextMicros, limit, 'this graph')
            : `breaker ${breaker}: ${value} is over the threshold of ${limit} for ${session.workflow}`,
        by: 'breaker',
        at: this.world.clock.now(),
        subject: session.id,
      },
    );
    this.world.emit({ type: 'breaker', session: session.id, breaker, value, limit, tripped: true });
  }
}
