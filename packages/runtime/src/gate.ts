// gate.ts: level 1, for a loop of one's own: decisions and lineage, nothing else to adopt.

import {
  checkId,
  type Decision,
  type KillSwitches,
  noticeOf,
  OffswitchError,
  type SwitchSource,
  strongest,
  unknownWorkflow,
} from '@offswitch/core';
import { type Arrival, carryForMs, openArrival, rootOf, signNode, tokenOf, under } from './arrival.ts';
import { atMost } from './at-most.ts';
import { auditOf } from './audit/audit-of.ts';
import { type Clock, systemClock } from './clock.ts';
import { RuntimeError } from './error.ts';
import { folderStore } from './folder/folder-store.ts';
import { gateControlHandler } from './gate-control.ts';
import { type Alarm, Kernel } from './kernel.ts';
import { hasStoreFailed, type Loop, Loops } from './loops.ts';
import { Node } from './node.ts';
import { type Carrier, carrierOf } from './path/carrier.ts';
import { checkedPathKeys, type PathKeys, pathKeysFromEnv } from './path/path-keys.ts';
import { seal } from './path/signed-path.ts';
import type { StateStore } from './store.ts';

export interface GateOptions<Workflow extends string = string> {
  readonly switches: KillSwitches<Workflow>;
  readonly source: SwitchSource;
  /** Where stops are latched, so that they survive a restart (S4). Default: the folder `.offswitch`. */
  readonly store?: StateStore;
  /** Default: the machine's clock. */
  readonly clock?: Clock;
  /** Last readings of an earlier process count as read at start when younger than this. Milliseconds, default 3,600,000 (1 h): a vendor's outage during a deploy does not stop the fleet. */
  readonly bootstrapMaxAgeMs?: number;
  /** Keys that paths to and from other processes are signed with. Default: those of `OFFSWITCH_PATH_KEYS`. */
  readonly pathKeys?: PathKeys;
  /** Told of every hold with its cause and way out, within a second. Default: `console.error`. */
  readonly onAlarm?: (alarm: Alarm) => void;
}

export interface GateSubject<Workflow extends string = string> {
  readonly workflow: Workflow;
  readonly sessionId: string;
  readonly userId?: string;
  readonly conversationId?: string;
  /** The session that started this one; it must have asked this gate before, or the answer is a hold. Fixed at the first call that finds it and does not throw. */
  readonly parentId?: string;
  /** The session of another process that started this one, as `accept` gave it. Fixed at the first call that does not throw. */
  readonly parent?: Arrival;
}

export interface Gate<Workflow extends string = string> {
  /**
   * May this session take its next turn? Ask before each. Throws `unknown_workflow` and `invalid_id`; for a new one under a session of
   * another process, and for what it starts meanwhile, `path_expired`, `root_unknown`, `root_settled`, and `session_elsewhere` where its
   * call has a child already; never for a stop or a fault of the source or the store, which are decisions.
   */
  decide(subject: GateSubject<Workflow>): Promise<Decision>;
  /** May new work of this workflow start? For queues. From memory: what is known of global, the workflow and the user. */
  admits(subject: { readonly workflow: Workflow; readonly userId?: string }): Decision;
  /**
   * What another process needs to begin a session under this one: headers, an MCP `_meta`, an environment variable. Made anew for each
   * use, good for ten minutes. Rejects with `unknown_session` for one that has not asked this gate, with what `decide` throws
   * where it has not begun, `store_failed` where that cannot be made known, `path_keys_missing`, `path_too_long`.
   */
  carry(sessionId: string): Promise<Carrier>;
  /**
   * Verifies the path that a session of another process carried here: a token, or what it came in. Throws `path_missing`, `path_forged`,
   * `path_expired`, `path_too_long`, `path_malformed`, `path_keys_missing`, `root_unknown`, `root_settled`.
   */
  accept(carrier: string | object): Promise<Arrival>;
  /** The session is over: forget it, once its children are over too. Its stops stay. */
  end(sessionId: string): void;
  close(): Promise<void>;
}

/** Opens a gate: reads every switch once, or holds. Rejects on bad configuration only. */
export async function openGate<Workflow extends string>(options: GateOptions<Workflow>): Promise<Gate<Workflow>> {
  const clock = options.clock ?? systemClock;
  const pathKeys = options.pathKeys ? checkedPathKeys(options.pathKeys) : pathKeysFromEnv();
  const store = options.store ?? folderStore('.offswitch');
  const onAlarm = options.onAlarm ?? ((alarm: Alarm) => console.error(`offswitch: ${alarm.message}`));
  const audit = auditOf(store, clock, (alarm) => {
    try {
      onAlarm(alarm);
    } catch {
      // Whoever listens is outside of the decision (I13).
    }
  });
  let isOpen = false;
  const kernel = await Kernel.open({
    switches: options.switches,
    source: options.source,
    store,
    clock,
    bootstrapMaxAgeMs: options.bootstrapMaxAgeMs ?? 3_600_000,
    runsSessions: false,
    // What the store holds at the start is no news.
    onStop: (change) => {
      if (isOpen || !change.isLearned) audit.stop(change);
    },
    onChange: () => {},
    onAlarm,
  });
  isOpen = true;

  /** Once for each refusal, where it is made. */
  const refusing = (error: RuntimeError): RuntimeError => {
    audit.refused(error);
    return error;
  };

  const loops = new Loops(kernel, refusing);
  // The command line reaches a gate too; but a loop that has ended is no longer running for it.
  await kernel.options.store.serve?.(gateControlHandler(kernel, loops), { keepsAlive: false });
  let isClosed = false;

  const check = (subject: { readonly workflow: Workflow; readonly userId?: string }): void => {
    if (isClosed) throw closed();
    if (typeof subject !== 'object' || subject === null)
      throw new OffswitchError('invalid_id', 'say whom to decide for: { workflow, sessionId }');
    checkId('workflow', subject.workflow);
    if (!options.switches.isWorkflow(subject.workflow)) throw unknownWorkflow(subject.workflow, options.switches.workflows);
    if (subject.userId !== undefined) checkId('userId', subject.userId);
  };

  const decide = async (subject: GateSubject<Workflow>): Promise<Decision> => {
    check(subject);
    checkId('sessionId', subject.sessionId);
    if (subject.conversationId !== undefined) checkId('conversationId', subject.conversationId);
    if (subject.parentId !== undefined) checkId('parentId', subject.parentId);
    let loop = loops.get(subject.sessionId);
    if (!loop) {
      const { parentId, parent: arrival } = subject;
      if (parentId !== undefined && arrival)
        throw new RuntimeError('invalid_option', 'a session has one parent: parentId of this process, or parent of another');
      const parent = parentId === undefined ? undefined : loops.get(parentId);
      if (parentId !== undefined && !parent)
        return held(
          `the parent ${JSON.stringify(parentId)} has never asked this gate, so a stop of it could not reach this session; decide for the parent first`,
          'Held until its parent is known.',
          clock.now(),
        );
      const spec = {
        id: subject.sessionId,
        workflow: subject.workflow,
        ...(subject.userId === undefined ? {} : { userId: subject.userId }),
        ...(subject.conversationId === undefined ? {} : { conversationId: subject.conversationId }),
      };
      loop = arrival ? loops.addUnder(spec, arrival) : loops.add(spec, parent);
    }
    loop.hasEnded = false;
    const decision = loop.start ? await decideFirst(loop) : kernel.decide(loop.node);
    loop.refusal = decision.action === 'run' ? undefined : { decision, at: clock.now() };
    return decision;
  };

  const decideFirst = async (loop: Loop): Promise<Decision> => {
    try {
      await loops.begun(loop);
    } catch (error) {
      if (!hasStoreFailed(error)) throw error;
      const who = loop.parent ? 'its parent' : 'it';
      const reason = `it could not be made known that ${who} began: ${error.message}`;
      return strongest(kernel.decide(loop.node), held(reason, 'Held until the store answers.', clock.now()));
    }
    // Who is closed hears of no stop any more.
    if (isClosed) throw closed();
    return kernel.decide(loop.node);
  };

  return {
    decide: (subject) => (subject?.parent ? under(subject.parent, () => decide(subject)) : decide(subject)),
    admits(subject) {
      check(subject);
      const node = new Node({
        id: '-',
        workflow: subject.workflow,
        ...(subject.userId === undefined ? {} : { userId: subject.userId }),
      });
      node.isRead = true;
      return kernel.decide(node);
    },
    async carry(sessionId) {
      if (isClosed) throw closed();
      const loop = loops.get(sessionId);
      if (!loop) throw unknownSession(sessionId);
      // Nothing begins under one that has not begun, elsewhere neither.
      await loops.begun(loop);
      if (isClosed) throw closed();
      if (!loops.has(loop)) throw unknownSession(sessionId);
      const token = seal(signNode(pathKeys, loop.node), { expiresAt: clock.now() + carryForMs });
      const root = rootOf(loop);
      // What is above in other processes was made known there.
      if (!root.above) {
        await loops.makeKnown(root);
        await store.flush();
        if (!loops.has(root)) {
          // It ended meanwhile, when nobody knew of it yet.
          store.lineage.note(root.node.id, root.node.id, 'completed');
          throw unknownSession(sessionId);
        }
      }
      return carrierOf(token);
    },
    async accept(carrier) {
      if (isClosed) throw closed();
      try {
        return await openArrival(pathKeys, tokenOf(carrier), clock.now(), store.lineage);
      } catch (error) {
        throw RuntimeError.is(error) ? refusing(error) : error;
      }
    },
    end: (sessionId) => loops.end(sessionId),
    async close() {
      if (isClosed) return;
      isClosed = true;
      await atMost(clock, 5_000, () => audit.close());
      await kernel.close();
    },
  };
}

function closed(): RuntimeError {
  return new RuntimeError('closed', 'this gate was closed');
}

function unknownSession(id: string): RuntimeError {
  return new RuntimeError('unknown_session', `no session ${JSON.stringify(id)} is running at this gate`);
}

function held(reason: string, effect: string, since: number): Decision {
  return { action: 'pause', tier: 'instance', cause: 'unknown', reason, effect, notice: noticeOf('pause'), since };
}
