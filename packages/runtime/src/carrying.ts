// carrying.ts: how a graph goes on in other processes: what of it is carried there, who arrives here, and how the one that waits
// hears of the one it waits for.

import { checkId } from '@offswitch/core';
import type { AgentDefinition, RunOptions } from './agent.ts';
import { type Arrival, aboveOf, carryForMs, openArrival, refused, signNode, tokenOf } from './arrival.ts';
import type { Births } from './births.ts';
import type { Call } from './call.ts';
import { currentContext } from './context.ts';
import { RuntimeError } from './error.ts';
import type { SessionRecord } from './journal.ts';
import type { ChildNews, Registered, RegisteredSession } from './lineage-store.ts';
import type { Outcome } from './outcome.ts';
import { type Carrier, carrierOf } from './path/carrier.ts';
import type { PathKeys } from './path/path-keys.ts';
import { seal } from './path/signed-path.ts';
import { againMs, registrationOf } from './registering.ts';
import type { LiveSession } from './session.ts';
import { endedBefore } from './session-end.ts';
import type { World } from './world.ts';

export class Carrying {
  private readonly world: World;
  private readonly keys: PathKeys;
  /** By session: who waits for its end on behalf of another process. */
  private readonly waitingHere = new Map<string, Set<(error: RuntimeError) => void>>();
  /** On their way into the store. */
  private readonly beginning = new Set<string>();

  constructor(world: World, keys: PathKeys) {
    this.world = world;
    this.keys = keys;
  }

  /** Resolves when the session is known to the store and everything it has done is durable there. Rejects with `path_keys_missing`, `session_ended`. */
  async carry(session: LiveSession): Promise<Carrier> {
    const { world } = this;
    const context = currentContext();
    const call = context?.session === session ? context.call : undefined;
    if (session.isOver || (call && call.outcome !== undefined))
      throw new RuntimeError('session_ended', `session ${session.id} has ended, so nothing can begin under it`);
    session.graph.wasCarried = true;
    const path = signNode(this.keys, session.node);
    const key = call && keyOf(call);
    const token = seal(path, {
      expiresAt: world.clock.now() + carryForMs,
      ...(key === undefined ? {} : { call: key }),
    });
    await world.registering.makeKnown(session.node);
    await world.store.flush();
    if (call) call.isCarried = true;
    return carrierOf(token);
  }

  /** Verifies, and asks the store whether the root is known and lives. Throws the path's codes, `root_unknown`, `root_settled`. */
  async accept(carrier: string | object): Promise<Arrival> {
    try {
      return await openArrival(this.keys, tokenOf(carrier), this.world.clock.now(), this.world.store.lineage);
    } catch (error) {
      throw RuntimeError.is(error) ? this.refusing(error) : error;
    }
  }

  /** Once for each refusal, where it is made. */
  private refusing(error: RuntimeError): RuntimeError {
    this.world.emit({ type: 'refused', code: error.code, message: error.message });
    return error;
  }

  /** Runs an agent under an arrival to its end: a new session, or the one that the same call had before. */
  async arrive(definition: AgentDefinition, input: unknown, options: RunOptions, arrival: Arrival): Promise<Outcome> {
    const above = aboveOf(arrival, this.world.clock.now(), (error) => this.refusing(error));
    if (options.userId !== undefined) checkId('userId', options.userId);
    const { world } = this;
    const { births, store } = world;
    const prepared = births.prepareArrival(definition, input, options, arrival, above);
    const { record } = prepared;
    const registered = await this.registered(record);
    if (registered.status === 'registered') return this.begin(prepared, input);
    const { session, process, path: at } = registered.session;
    if (!this.isHere(session)) {
      const ended = await store.lineage.ended(session, at[0]!);
      if (ended) return endedBefore(session, ended);
      await world.takeover.adoptOrphans();
    }
    const epoch = this.isHere(session) ? undefined : await this.claimUnbegun(registered.session);
    if (epoch !== undefined) {
      const again = births.prepareArrival(definition, input, options, arrival, above, { id: session, epoch });
      await this.registered(again.record);
      return this.begin(again, input);
    }
    if (!this.isHere(session))
      throw new RuntimeError(
        'session_elsewhere',
        `${session} is what this call started before, and process ${process} has it; ask there, or again when that one is gone`,
      );
    const graph = world.graphOf.get(session)!;
    // Whoever asks anew has not heard of it.
    if (graph.parked || graph.root.live?.isAtRest) world.registering.note(graph.root.node, 'resting');
    return this.endHere(session);
  }

  /** Another process has it now: whoever waits for it here has to ask there. */
  wentElsewhere(session: string): void {
    const waiting = this.waitingHere.get(session);
    this.waitingHere.delete(session);
    for (const reject of waiting ?? []) reject(takenUp(session));
  }

  private endHere(session: string): Promise<Outcome> {
    // Taken over before anybody waited for it: nobody would be told.
    if (!this.isHere(session)) return Promise.reject(takenUp(session));
    return this.whileHere(session, this.world.ends.of(session));
  }

  /** Its end, once that outlives this process; rejects where another process has it by then. */
  private whileHere(session: string, end: Promise<Outcome>): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const waiting = this.waitingHere.get(session) ?? new Set();
      this.waitingHere.set(session, waiting.add(reject));
      const isOver = (): void => {
        waiting.delete(reject);
        if (waiting.size === 0 && this.waitingHere.get(session) === waiting) this.waitingHere.delete(session);
      };
      end
        .then((outcome) => this.durable(outcome))
        .then(resolve, reject)
        .finally(isOver);
    });
  }

  /**
   * Whoever asked from another process goes on with it. Told of an end that dies with this process, it would have ended itself, when another
   * one takes up the session and goes on with it under a root that is no more (S6).
   */
  private async durable(outcome: Outcome): Promise<Outcome> {
    const { store, clock } = this.world;
    for (;;) {
      try {
        await store.flush();
        return outcome;
      } catch (error) {
        if (this.world.isClosed) throw error;
        await new Promise<void>((resolve) => clock.setTimeout(resolve, againMs));
      }
    }
  }

  private async registered(record: SessionRecord): Promise<Exclude<Registered, { status: 'refused' }>> {
    this.beginning.add(record.s);
    try {
      const registered = await this.world.store.lineage.register(registrationOf(record, true));
      if (registered.status === 'refused') throw this.refusing(refused(registered.code, record.root));
      if (this.world.isClosed) throw new RuntimeError('closed', 'this runtime was closed');
      return registered;
    } finally {
      // Whoever is told that it is registered begins it in the same turn of the event loop.
      this.beginning.delete(record.s);
    }
  }

  private async begin(prepared: Parameters<Births['arrive']>[0], input: unknown): Promise<Outcome> {
    const { world } = this;
    const outcome = await world.births.arrive(prepared, input).outcome;
    // A pause is for whoever waits here to bear; only the end of this process is not.
    const { session, status } = outcome;
    if (status !== 'paused') return this.whileHere(session, Promise.resolve(outcome));
    return world.isClosed || world.parking.isParkingAll ? outcome : this.endHere(session);
  }

  /**
   * Whoever had it died before a word of it was written: then it did nothing, and whoever claims it may begin it, in that epoch. One that had
   * claimed it so before may have died too.
   */
  private async claimUnbegun({ session, process, path }: RegisteredSession): Promise<number | undefined> {
    const { store } = this.world;
    const { lineage, processId } = store;
    if (this.beginning.has(session)) return undefined;
    // In this order: who has claimed it since it was asked is found to be alive, or to have written.
    const claimed = await lineage.claimed(session, path[0]!);
    const living = (await lineage.processes()).filter(({ id, isAlive }) => isAlive && id !== processId);
    if (living.some(({ id }) => id === process || id === claimed?.process)) return undefined;
    if (await lineage.hasBegun(session, path[0]!)) return undefined;
    if (this.isHere(session) || this.beginning.has(session)) return undefined;
    const epoch = (claimed?.epoch ?? 1) + 1;
    if (!store.claim(session, epoch)) return undefined;
    // Until it is registered: nobody else who asks here is to claim it meanwhile.
    this.beginning.add(session);
    return epoch;
  }

  /** News of sessions in other processes that calls of ours wait for. */
  hear(news: readonly ChildNews[]): void {
    for (const { parent, call: key, state } of news) {
      const { live } = this.world.graphOf.get(parent)?.get(parent) ?? {};
      if (!live || live.isOver) continue;
      for (const call of live.calls ?? [])
        if (call.isCarried && call.outcome === undefined && keyOf(call) === key) live.setResting(call, state === 'resting');
    }
  }

  private isHere(session: string): boolean {
    const graph = this.world.graphOf.get(session);
    return graph !== undefined && !graph.isElsewhere;
  }
}

/** Which call of its session it is, for whoever takes up the path it carried. */
function keyOf(call: Call): string {
  return `${call.turn.number}/${call.key}`;
}

function takenUp(session: string): RuntimeError {
  return new RuntimeError(
    'session_elsewhere',
    `${session} was taken up by another process; ask there, or again when that is gone`,
  );
}
