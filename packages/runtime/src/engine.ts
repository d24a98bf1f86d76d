// engine.ts: what a session needs of the runtime it lives in.

import type { Decision, Stopped } from '@offswitch/core';
import type { AgentDefinition } from './agent.ts';
import type { Thresholds } from './breakers.ts';
import type { Call } from './call.ts';
import type { Clock } from './clock.ts';
import type { Grants } from './grants/grants.ts';
import type { Graph } from './graph.ts';
import type { IfHeld } from './if-held.ts';
import type { JournalRecord } from './journal.ts';
import type { Limiter } from './limiter.ts';
import type { Node } from './node.ts';
import type { Carrier } from './path/carrier.ts';
import type { LiveSession } from './session.ts';
import type { StateStore } from './store.ts';

export interface Engine {
  readonly clock: Clock;
  readonly store: StateStore;
  readonly effectDeadlineMs: number;
  /** The credentials lent to sessions. */
  readonly grants: Grants;
  decide(node: Node): Decision;
  /** True while anything at all holds calls and not only turns: the quick look before `mustHold`, and after `decide`. */
  readonly holdsCalls: boolean;
  /** Is a breaker tripped on this path, or has the store failed? Then calls wait too, and not only turns. */
  mustHold(node: Node): boolean;
  /** The same for a call that has its reserve: what it costs is within the cap, whichever call was the one to reach it. */
  mustHoldReserved(node: Node): boolean;
  /** Appends; a store that fails has already alarmed and holds everything, so the caller goes on to its next gate. Throws `not_serialisable`. */
  append(graph: Graph, record: JournalRecord): boolean;
  thresholds(workflow: string): Thresholds;
  limiter(workflow: string): Limiter | undefined;
  /** Charges a breaker of the session and its ancestors; trips what is over. `measure` answers the count of one session. */
  charge(
    session: LiveSession,
    breaker: 'turns' | 'actions' | 'tool-failures' | 'repeats',
    measure: (one: LiveSession) => number,
  ): void;
  /** Reserves for a call; false when a cap refused it, and what the cap is of is now paused. Later only where credit has to be leased. */
  reserve(call: Call, micros: number): boolean | Promise<boolean>;
  /** The end of its reservation: what it really cost. */
  spend(call: Call, actualMicros: number): void;
  /** A child session of this call, new or re-attached; `undefined` when another process has it, or the store refuses it for now. */
  child(parent: LiveSession, call: Call, spec: ChildSpec): LiveSession | undefined;
  /** Prepares a detached session; it is born when what is answered is called. Throws `detach_not_declared`, `not_serialisable`. */
  detached(parent: LiveSession, id: string, spec: DetachSpec): () => void;
  /** Was a root of this id ever born, here or in another process? Rejects while the store cannot say. */
  wasBorn(root: string): Promise<boolean>;
  /** False while a crash would forget this root, which was born; later only where the store must know it. */
  isKept(root: string): boolean | Promise<boolean>;
  /** False while the store refuses to take down that there is this session: it does nothing before. Looked at again in a while. */
  isBorn(session: LiveSession): boolean;
  /** Is anybody below it not brought back yet, after a park or a crash? It is ended after them, and then asked again. */
  isAnyLeftUnder(session: LiveSession): boolean;
  /** Ends those where they lie: it ends without having asked for them. False while the store refuses that. */
  endLeftUnder(session: LiveSession): boolean;
  /** Is anything of it written down? */
  isWritten(session: LiveSession): boolean;
  /** The store refused to take down its end, or what ends before it, which is tried again. */
  endLater(session: LiveSession): void;
  definition(name: string): AgentDefinition | undefined;
  /** What a person or a probe said of a call of unknown outcome. */
  resolution(session: string, call: string): { readonly verdict: 'happened' | 'did-not'; readonly value?: unknown } | undefined;
  /** Sessions in which something waits to look again when a decision changes. */
  readonly held: Set<LiveSession>;
  /** Spawns that asked for the pause of their child as a value. */
  readonly ifHeld: IfHeld;
  /** The session began or ended to rest. */
  restChanged(session: LiveSession): void;
  callEnded(session: LiveSession, call: Call): void;
  /** The gate said terminate. Idempotent. */
  terminate(session: LiveSession, decision: Stopped): void;
  settled(session: LiveSession): void;
  /** Claims the next epoch for a resume in place; false when another process has the session. */
  claim(session: LiveSession): boolean;
  /** Resolves when the store knows the session, and with it every stop that it may be born under; `undefined` where it need not. */
  register(session: LiveSession): Promise<void> | undefined;
  /** Makes the session known to other processes, and its path ready to travel. */
  carry(session: LiveSession): Promise<Carrier>;
  alarm(message: string): void;
  /** Looks again in a while at what the store refused. */
  reconsiderLater(): void;
  /** Tells whoever records that a session began to rest, and which switch is behind it. */
  notePaused(session: LiveSession): void;
  changed(session: LiveSession): void;
}

export interface ChildSpec {
  readonly agent: string;
  readonly definition?: AgentDefinition;
  readonly input?: unknown;
  readonly userId?: string;
  /** Where it is not told by the agent's name: that of a run without one. */
  readonly workflow?: string;
  readonly inline?: boolean;
}

/** A session that a turn leaves to itself. */
export interface DetachSpec {
  readonly definition: AgentDefinition;
  readonly input: unknown;
  readonly reason: string;
  readonly owner: string;
}
